"""A field's distribution on the coarse bins that were frozen from the reference. Pure.

Numeric: unions of fine bins with near-equal reference mass, then below and above all that the reference had seen, NaN,
infinite, null. Categorical: the known levels (at most 50 of them, then `other`), unseen, null. Boolean: false, true, null.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np

from mlobs.states import BooleanState, CategoricalState, FieldState, Grid, NumericState
from mlobs.states.grid import HALF, Ints

COARSE = 10
"""Coarse bins that a numeric field is cut into."""

CATEGORIES = 50
"""Levels with a bin of their own, the reference's most frequent."""


def cut(bins: Ints, counts: Ints, parts: int = COARSE) -> tuple[int, ...]:
    """Fine bins at which coarse bins start, such that each of about `parts` holds a near-equal share of `counts`.

    A fine bin is never split, so one that holds more than a share makes its coarse bin heavier.

    >>> cut(np.arange(-50, 50), np.full(100, 7), 4)
    (-25, 0, 25)
    """
    if len(bins) < 2:
        return ()
    before = np.cumsum(counts)[:-1]
    targets = np.arange(1, parts) * (float(counts.sum()) / parts)
    nearest = np.abs(before[None, :] - targets[:, None]).argmin(axis=1)
    return tuple(int(b) for b in np.unique(bins[nearest + 1]))


def distribution(state: FieldState) -> tuple[list[str], Ints]:
    """Labels and counts, each of shape (n_bins,); the counts add up to the state's rows."""
    if isinstance(state, NumericState):
        return list(numeric_labels(state.grid)), numeric_counts(state)
    if isinstance(state, CategoricalState):
        return _categorical(state)
    if isinstance(state, BooleanState):
        return ["false", "true", "null"], np.array(
            [state.rows - state.nulls - state.trues, state.trues, state.nulls], np.int64
        )
    return ["value", "null"], np.array([state.rows - state.nulls, state.nulls], np.int64)


@lru_cache(maxsize=4096)
def numeric_labels(grid: Grid) -> tuple[str, ...]:
    """Labels of a numeric field's coarse bins: intervals [from, to), then the bins that aren't intervals."""
    edges = grid.edges[np.array(grid.cuts, np.int64) + HALF] if grid.cuts else np.zeros(0)
    values = [grid.low, *edges.tolist(), grid.high]
    # as many digits as keep the edges apart, which lie close together far from 0
    digits = next((d for d in (6, 9, 12, 15) if len({f"{v:.{d}g}" for v in values[1:-1]}) == len(edges)), 17)
    ends = [f"{v:.{digits}g}" for v in values]
    inner = [f"[{a}, {b})" for a, b in itertools.pairwise(ends[:-1])] + [f"[{ends[-2]}, {ends[-1]}]"]
    return (*inner, f"below {ends[0]}", f"above {ends[-1]}", "nan", "inf", "null")


def numeric_counts(state: NumericState) -> Ints:
    """Counts on the coarse bins of `numeric_labels`."""
    cuts = np.array(state.grid.cuts, np.int64)
    coarse = np.zeros(len(cuts) + 1, np.int64)
    np.add.at(coarse, np.searchsorted(cuts, state.bins, side="right"), state.counts)
    # values beyond the reference's ends lie in the outer coarse bins; they have bins of their own
    coarse[0] -= state.below
    coarse[-1] -= state.above
    tail = [state.below, state.above, state.nans, state.positive_inf + state.negative_inf, state.nulls]
    return np.concatenate([coarse, np.array(tail, np.int64)])


def _categorical(state: CategoricalState) -> tuple[list[str], Ints]:
    names, counts = state.levels.names, state.counts
    head = list(names[:CATEGORIES])
    other = int(counts[CATEGORIES:].sum())
    if len(names) > CATEGORIES:
        head.append("other")
        tail = [other]
    else:
        tail = []
    labels = [*head, "unseen", "null"]
    return labels, np.concatenate([counts[:CATEGORIES], np.array([*tail, state.unseen_rows, state.nulls], np.int64)])
