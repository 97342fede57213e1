"""From the rows that the aggregate queries gave to states, for every group at once. Numpy on small arrays; no queries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlobs.profiling import queries
from mlobs.states import CategoricalState, Grid, Levels, NumericState
from mlobs.states import distinct as sketches
from mlobs.states.categorical import Values
from mlobs.states.grid import HALF, LARGEST
from mlobs.states.numeric import confined, merged_moments

Key = tuple[int, int]
"""(group, field number)."""

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Answer:
    """Rows of a query's answer, as arrays of one length, keyed by column.

    `g` numbers the group (window and segment); `v` holds positions in `texts`, -1 for null; NULL numbers are NaN.
    """

    columns: Columns
    texts: Sequence[str] = ()

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.columns["n"])

    def where(self, mask: NDArray[np.bool_]) -> Answer:
        return Answer({name: array[mask] for name, array in self.columns.items()}, self.texts)

    def part(self, number: int) -> Answer:
        """The rows of one part of the profile."""
        mask = self["p"] == number
        return self if mask.all() else self.where(mask)

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

    def counts(self) -> dict[Key, int]:
        """(group, field) -> the sum of `n`."""
        found: dict[Key, int] = {}
        for g, f, n in zip(self["g"].tolist(), self["f"].tolist(), self["n"].tolist(), strict=True):
            found[g, f] = found.get((g, f), 0) + n
        return found


@dataclass(frozen=True)
class FollowUps:
    """What the follow-up queries found, for the fields that needed them.

    Attributes:
        counts: part -> (group, field) -> rows. A field that was asked for and has no entry has none.
        asked: part -> the fields it was asked for.
        special: (group, field) -> the numbers of `queries.SPECIAL`.
    """

    counts: Mapping[int, Mapping[Key, int]]
    asked: Mapping[int, frozenset[int]]
    special: Mapping[Key, Mapping[str, float]]

    def count(self, part: int, key: Key) -> int | None:
        """Rows, or None where the bins tell them."""
        return self.counts[part].get(key, 0) if key[1] in self.asked.get(part, ()) else None


NOTHING = FollowUps({}, {}, {})


def wanted(numeric: Answer, grids: Mapping[int, Grid]) -> dict[int, set[int]]:
    """Part -> fields for which the lenient query's bins don't tell enough."""
    found: dict[int, set[int]] = {
        p: set() for p in (queries.ZEROS, queries.NEGATIVES, queries.BELOW, queries.ABOVE, queries.SPECIAL)
    }
    b, f, lo, hi = numeric["b"], numeric["f"], numeric["lo"], numeric["hi"]
    unbinned = np.isnan(b)
    special = set(f[unbinned & numeric["some"]].tolist())
    found[queries.SPECIAL] = special
    for at, grid in grids.items():
        mine = (f == at) & ~unbinned
        zero = int(grid.bins(np.zeros(1))[0])
        at_zero = mine & (b == zero)
        if at in special:
            for part in (queries.NEGATIVES, queries.BELOW, queries.ABOVE):
                found[part].add(at)
        if (at_zero & (lo <= 0) & (hi >= 0) & (lo != hi)).any():
            found[queries.ZEROS].add(at)
        if (at_zero & (lo < 0) & (hi >= 0)).any():
            found[queries.NEGATIVES].add(at)
        if grid.low == grid.low:
            if (mine & (lo < grid.low) & (hi >= grid.low)).any():
                found[queries.BELOW].add(at)
            if (mine & (hi > grid.high) & (lo <= grid.high)).any():
                found[queries.ABOVE].add(at)
    return found


def numeric_states(
    numeric: Answer, grids: Mapping[int, Grid], follow_ups: FollowUps = NOTHING
) -> dict[Key, NumericState]:
    """States of every group and numeric field, without sketches."""
    rows, runs = numeric.runs("b")
    guarded = bool(np.isfinite(rows["k1"]).any())
    states: dict[Key, NumericState] = {}
    names = ("b", "n", "s1", "s2", "lo", "hi", "k1", "k2", "k3", "k4")
    for g, f, start, stop in runs:
        a = {name: rows[name][start:stop] for name in names}
        state = _guarded(grids[f], a) if guarded else _lenient(grids[f], a, (g, f), follow_ups)
        states[g, f] = replace(state, exact_distinct=single_valued(state)) if single_valued(state) >= 0 else state
    return states


def single_valued(state: NumericState) -> int:
    """The number of distinct values where every bin holds a single one, else -1."""
    if state.lows.dtype != np.float64 or not np.array_equal(state.lows, state.highs):
        return -1
    return len(state.bins) + sum(1 for n in (state.nans, state.positive_inf, state.negative_inf) if n)


def _lenient(grid: Grid, a: Columns, key: Key, follow_ups: FollowUps) -> NumericState:
    null = np.isnan(a["b"])
    rows, nulls = int(a["n"].sum()), int(a["n"][null].sum())
    if nulls:
        a = {name: array[~null] for name, array in a.items()}
    state = _binned(grid, rows, nulls, a)
    if key in follow_ups.special:
        state = _with_special(state, follow_ups.special[key])
    counted = {
        "zeros": follow_ups.count(queries.ZEROS, key),
        "negatives": follow_ups.count(queries.NEGATIVES, key),
        "below": follow_ups.count(queries.BELOW, key),
        "above": follow_ups.count(queries.ABOVE, key),
    }
    told = {name: n for name, n in counted.items() if n is not None}
    return replace(state, **told) if told else state  # type: ignore[arg-type]


def _binned(grid: Grid, rows: int, nulls: int, a: Columns) -> NumericState:
    """The state of values on the grid; counts that a bin holds only in part are left to the follow-ups."""
    if not len(a["n"]):
        return NumericState(grid, rows, nulls)
    a = _inside(a)
    bins, counts = a["b"].astype(np.int64), a["n"].astype(np.int64)
    lows, highs = a["lo"] + 0.0, a["hi"] + 0.0
    mean, m2 = _moments(counts.astype(np.float64), a["s1"], a["s2"], lows, highs)
    below = above = 0
    if grid.low == grid.low:
        below, above = int(counts[highs < grid.low].sum()), int(counts[lows > grid.high].sum())
    kept = confined(grid, bins, lows, highs)
    return NumericState(
        grid, rows, nulls, zeros=int(counts[(lows == 0) & (highs == 0)].sum()), negatives=int(counts[highs < 0].sum()),
        below=below, above=above, mean=grid.centre + mean, m2=m2, low=float(lows[0]), high=float(highs[-1]),
        bins=bins, counts=counts, lows=kept[0], highs=kept[1],
    )  # fmt: skip


def _inside(a: Columns) -> Columns:
    """Rows of the grid with the value's own bin at most HALF - 1: far above the centre, rounding gives HALF."""
    b = a["b"]
    if b[-1] < HALF:
        return a
    if len(b) < 2 or b[-2] < HALF - 1:
        return {**a, "b": np.minimum(b, HALF - 1)}
    joined = {name: np.append(array[:-2], array[-2] + array[-1]) for name, array in a.items()}
    joined["b"] = b[:-1]
    joined["lo"] = np.append(a["lo"][:-2], min(a["lo"][-2], a["lo"][-1]))
    joined["hi"] = np.append(a["hi"][:-2], max(a["hi"][-2], a["hi"][-1]))
    return joined


def _moments(
    n: NDArray[np.float64], s1: NDArray[Any], s2: NDArray[Any], lows: NDArray[Any], highs: NDArray[Any]
) -> tuple[float, float]:
    """Mean deviation from the centre, and squared deviations, of all bins together."""
    with np.errstate(all="ignore"):
        mean, m2 = merged_moments(n, s1 / n, np.maximum(s2 - s1 * (s1 / n), 0.0))
    if len(lows) and max(abs(float(lows[0])), abs(float(highs[-1]))) > LARGEST:
        m2 = math.inf
    return mean, m2


def _with_special(state: NumericState, s: Mapping[str, float]) -> NumericState:
    """The state with what the NULL bin held besides nulls: NaN, infinities, values too large to bin."""
    nans, positive, negative = int(s["k1"]), int(s["k2"]), int(s["k3"])
    huge = int(s["n"]) - nans - positive - negative
    state = replace(state, nulls=state.nulls - int(s["n"]), nans=nans, positive_inf=positive, negative_inf=negative)
    if not huge:
        return state
    return _with_huge(state, int(s["b"]), huge, s["lo"], s["hi"], s["s1"])


def _with_huge(
    state: NumericState, below_zero: int, huge: int, low: float, high: float, small_sum: float
) -> NumericState:
    """Values too large to square go to the outermost bins; they make the variance infinite."""
    sides = [(b, n) for b, n in ((-HALF, below_zero), (HALF - 1, huge - below_zero)) if n]
    with np.errstate(all="ignore"):
        mean = float(np.float64(small_sum / huge) / queries.TINY_FACTOR)
    part = NumericState(
        state.grid, huge, negatives=below_zero, mean=mean, m2=math.inf, low=low, high=high,
        bins=np.array([b for b, _ in sides], np.int64), counts=np.array([n for _, n in sides], np.int64),
        lows=np.array([low if b < 0 or len(sides) == 1 else LARGEST for b, _ in sides]),
        highs=np.array([high if b > 0 or len(sides) == 1 else -LARGEST for b, _ in sides]),
    )  # fmt: skip
    if state.rows == huge:
        return part
    return NumericState.merged([replace(state, rows=state.rows - huge), part])


def _guarded(grid: Grid, a: Columns) -> NumericState:
    """The state of a guarded query's rows, whose bins tell everything."""
    b, n = a["b"], a["n"]

    def rows_of(code: int) -> int:
        return int(n[b == code].sum())

    null, on_grid = np.isnan(b), b < queries.NAN
    rows, nulls = int(n.sum()), int(n[null].sum())
    huge = (b == queries.HUGE) | (b == queries.MINUS_HUGE)
    state = _binned(grid, rows, nulls, {name: array[on_grid] for name, array in a.items()})
    state = replace(
        state,
        nans=rows_of(queries.NAN),
        positive_inf=rows_of(queries.PLUS_INF),
        negative_inf=rows_of(queries.MINUS_INF),
    )
    if huge.any():
        ends = float(np.min(a["lo"][huge])), float(np.max(a["hi"][huge]))
        state = _with_huge(state, rows_of(queries.MINUS_HUGE), int(n[huge].sum()), *ends, float(a["s1"][huge].sum()))
    known = grid.low == grid.low
    return replace(
        state,
        zeros=int(np.nansum(a["k1"])),
        negatives=int(np.nansum(a["k2"])),
        below=int(np.nansum(a["k3"])) if known else 0,
        above=int(np.nansum(a["k4"])) if known else 0,
    )


def sampling_of(valued: int, distinct: int) -> int:
    """Which share 2^-r of the hash space a sketch needs: about 16 values for each register, of those expected."""
    expected = min(valued, distinct) if distinct else valued
    return max(0, (expected // (16 * sketches.REGISTERS)).bit_length() - 1)


def sketch_registers(answer: Answer) -> dict[Key, NDArray[np.uint8]]:
    """The registers of every group and field, as the query sampled them."""
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
        values = Values.of(levels, [answer.texts[c] for c in codes[present].tolist()])
        shift = int((~present).sum())
        local = Answer({**{n: mine[n] for n in ("g", "f", "n")}, "v": inverse - shift})
        rows, runs = local.runs()
        for g, _, start, stop in runs:
            here, n = rows["v"][start:stop], rows["n"][start:stop].astype(np.int64)
            known = here >= 0
            states[g, f] = values.state(kind, here[known], n[known], int(n[~known].sum()))
    return states
