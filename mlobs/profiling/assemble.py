"""From the rows that the aggregate query gave to states, for every group at once. Numpy on small arrays; no queries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlobs.states import CategoricalState, Grid, Levels, NumericState
from mlobs.states import distinct as sketches
from mlobs.states.categorical import Values
from mlobs.states.grid import HALF
from mlobs.states.numeric import confined, merged_moments

Key = tuple[int, int]
"""(group, field number)."""


@dataclass(frozen=True)
class Answer:
    """Rows of the query's answer, as arrays of one length, keyed by the names of `queries.COLUMNS`.

    `v` holds positions in `texts`, -1 for null; NULL numbers are NaN; `some` tells where `lo` wasn't NULL.
    """

    columns: Mapping[str, NDArray[Any]]
    texts: Sequence[str] = ()

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.columns["n"])

    def where(self, mask: NDArray[np.bool_]) -> Answer:
        return Answer({name: array[mask] for name, array in self.columns.items()}, self.texts)

    def runs(self, *more: str) -> tuple[Answer, list[tuple[int, int, int, int]]]:
        """Rows sorted by group, field and `more`; and (group, field, start, stop) of each group and field."""
        order = np.lexsort(tuple(self[name] for name in (*reversed(more), "f", "g")))
        rows = Answer({name: array[order] for name, array in self.columns.items()}, self.texts)
        g, f = rows["g"], rows["f"]
        if not len(g):
            return rows, []
        starts = np.flatnonzero(np.concatenate([[True], (g[1:] != g[:-1]) | (f[1:] != f[:-1])]))
        stops = np.append(starts[1:], len(g))
        return rows, list(zip(g[starts].tolist(), f[starts].tolist(), starts.tolist(), stops.tolist(), strict=True))


def unbinned(numeric: Answer) -> list[int]:
    """Numbers of the fields whose NULL bin holds more than nulls, for which `queries.special_branch` must be asked."""
    mask = np.isnan(numeric["b"]) & numeric["some"]
    return sorted({int(f) for f in numeric["f"][mask]})


def numeric_states(
    numeric: Answer,
    special: Mapping[Key, Mapping[str, float]],
    registers: Mapping[Key, NDArray[np.uint8]],
    grids: Mapping[int, Grid],
    family: str,
) -> dict[Key, NumericState]:
    """States of every group and field."""
    rows, runs = numeric.runs("b")
    states: dict[Key, NumericState] = {}
    for g, f, start, stop in runs:
        part = slice(start, stop)
        key = (g, f)
        state = _binned(
            grids[f], {name: rows[name][part] for name in ("b", "n", "s1", "s2", "lo", "hi", "k1", "k2", "k3")}
        )
        if key in special:
            state = _with_special(state, special[key])
        sketch = registers.get(key)
        if state.rows > state.nulls and sketch is not None:
            state = replace(state, registers=sketch, family=family)
        exact = _single_valued(state)
        states[key] = replace(state, exact_distinct=exact) if exact >= 0 else state
    return states


def _single_valued(state: NumericState) -> int:
    """The number of distinct values where every bin holds a single one, else -1."""
    if state.lows.dtype != np.float64 or not np.array_equal(state.lows, state.highs):
        return -1
    return len(state.bins) + sum(1 for n in (state.nans, state.positive_inf, state.negative_inf) if n)


def _binned(grid: Grid, a: Mapping[str, NDArray[Any]]) -> NumericState:
    null = np.isnan(a["b"])
    rows = int(a["n"].sum())
    nulls = int(a["n"][null].sum())
    if nulls:
        a = {name: array[~null] for name, array in a.items()}
    if not len(a["n"]):
        return NumericState(grid, rows, nulls)
    bins, counts = a["b"].astype(np.int64), a["n"].astype(np.int64)
    n = counts.astype(np.float64)
    with np.errstate(all="ignore"):
        mean, m2 = merged_moments(n, a["s1"] / n, np.maximum(a["s2"] - a["s1"] * (a["s1"] / n), 0.0))
    lows, highs = a["lo"], a["hi"]
    low, high = float(lows[0]), float(highs[-1])
    below = above = 0
    if grid.low == grid.low:
        beyond = a["k3"].astype(np.int64)
        if beyond.any():
            # the two ends share a bin only when all of the reference lay in one
            is_below = np.where(lows >= grid.low, False, np.where(highs <= grid.high, True, bins * 2 < _middle(grid)))
            below, above = int(beyond[is_below].sum()), int(beyond[~is_below].sum())
    lows, highs = confined(grid, bins, lows, highs)
    return NumericState(
        grid, rows, nulls, zeros=int(a["k1"].sum()), negatives=int(a["k2"].sum()), below=below, above=above,
        mean=grid.centre + mean, m2=m2, low=low, high=high, bins=bins, counts=counts, lows=lows, highs=highs,
    )  # fmt: skip


def _middle(grid: Grid) -> int:
    ends = grid.bins(np.array([grid.low, grid.high]))
    return int(ends.sum())


def _with_special(state: NumericState, s: Mapping[str, float]) -> NumericState:
    """The state with what the NULL bin held besides nulls: NaN, infinities, values too large to bin."""
    nans, positive, negative = int(s["k1"]), int(s["k2"]), int(s["k3"])
    state = replace(state, nulls=state.nulls - int(s["n"]), nans=nans, positive_inf=positive, negative_inf=negative)
    huge = int(s["n"]) - nans - positive - negative
    if not huge:
        return state
    grid, below_zero = state.grid, int(s["b"])
    bins = np.array([b for b, n in ((-HALF, below_zero), (HALF - 1, huge - below_zero)) if n], np.int64)
    counts = np.array([n for n in (below_zero, huge - below_zero) if n], np.int64)
    with np.errstate(all="ignore"):
        mean = float(np.float64(s["s1"] / huge) * np.float64(2.0) ** 600)
    # the two outermost bins are known by their ends only
    low_of = np.array([s["lo"] if b < 0 else max(s["lo"], grid.centre) for b in bins])
    high_of = np.array([s["hi"] if b >= 0 else min(s["hi"], grid.centre) for b in bins])
    part = NumericState(
        grid, huge, zeros=0, negatives=below_zero, mean=mean, m2=math.inf, low=float(s["lo"]), high=float(s["hi"]),
        below=below_zero if grid.low == grid.low and s["lo"] < grid.low else 0,
        above=huge - below_zero if grid.low == grid.low and s["hi"] > grid.high else 0,
        bins=bins, counts=counts, lows=low_of, highs=high_of,
    )  # fmt: skip
    return NumericState.merged([replace(state, rows=state.rows - huge), part]) if state.rows > huge else part


def sketch_registers(answer: Answer) -> dict[Key, NDArray[np.uint8]]:
    """The distinct sketch of every group and field."""
    rows, runs = answer.runs()
    return {
        (g, f): sketches.registers(rows["b"][start:stop].astype(np.int64), rows["n"][start:stop].astype(np.uint64))
        for g, f, start, stop in runs
    }


def categorical_states(answer: Answer, frames: Mapping[int, tuple[Levels, str]]) -> dict[Key, CategoricalState]:
    """States of every group and categorical field."""
    states: dict[Key, CategoricalState] = {}
    for f in sorted({int(f) for f in answer["f"]}):
        mine = answer.where(answer["f"] == f)
        levels, kind = frames[f]
        codes, inverse = np.unique(mine["v"], return_inverse=True)
        present = codes >= 0
        texts = [answer.texts[c] for c in codes[present].tolist()]
        shift = int((~present).sum())
        values = Values.of(levels, texts)
        local = Answer({**{n: mine[n] for n in ("g", "f", "n")}, "v": inverse - shift})
        rows, runs = local.runs()
        for g, _, start, stop in runs:
            here, n = rows["v"][start:stop], rows["n"][start:stop].astype(np.int64)
            known = here >= 0
            states[g, f] = values.state(kind, here[known], n[known], int(n[~known].sum()))
    return states
