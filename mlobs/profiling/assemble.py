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
from mlobs.states.categorical import Values
from mlobs.states.grid import HALF, LARGEST
from mlobs.states.numeric import EXACT_BINS, rounded_outwards

Key = tuple[int, int]
"""(group, field number)."""

Columns = Mapping[str, NDArray[Any]]

FIELDS = 1 << 16
"""A group and field are numbered as group * FIELDS + field."""

_BINS = 1 << 11
"""More than there are bins and codes of values that are off the grid."""

_NOT_SORTED = frozenset({"p", "f", "g", "some"})
"""Columns that runs of a group and field have no use for."""


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

    def runs(self, *, by_bin: bool = False) -> tuple[Answer, list[tuple[int, int, int, int]]]:
        """Rows sorted by group and field (and bin); and (group, field, start, stop) of each group and field."""
        key = self["g"] * FIELDS + self["f"]
        # one whole number to sort by, the NULL bin last
        order = np.argsort(
            key * _BINS + np.where(np.isnan(self["b"]), _BINS - 1, self["b"] + HALF).astype(np.int64) if by_bin else key
        )
        rows = Answer({n: a[order] for n, a in self.columns.items() if n not in _NOT_SORTED}, self.texts)
        if not len(key):
            return rows, []
        key = key[order]
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        stops = np.append(starts[1:], len(key))
        g, f = (key[starts] // FIELDS).tolist(), (key[starts] % FIELDS).tolist()
        return rows, list(zip(g, f, starts.tolist(), stops.tolist(), strict=True))

    def by_key(self, *names: str) -> dict[Key, Columns]:
        """(group, field) -> its rows of the columns `names`."""
        rows, runs = self.runs()
        return {(g, f): {name: rows[name][start:stop] for name in names} for g, f, start, stop in runs}

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
        special: (group, field) -> the rows of `queries.SPECIAL`.
        moments: (group, field) -> rows, mean and squared deviations of `queries.MOMENTS`.
    """

    counts: Mapping[int, Mapping[Key, int]]
    asked: Mapping[int, frozenset[int]]
    special: Mapping[Key, Columns]
    moments: Mapping[Key, tuple[int, float, float]]

    def count(self, part: int, key: Key) -> int | None:
        """Rows, or None where the bins tell them."""
        return self.counts.get(part, {}).get(key, 0) if key[1] in self.asked.get(part, ()) else None


def wanted(numeric: Answer, grids: Mapping[int, Grid]) -> dict[int, set[int]]:
    """Part -> fields for which the lenient query's bins don't tell enough."""
    b, f, lo, hi = numeric["b"], numeric["f"], numeric["lo"], numeric["hi"]
    binned = ~np.isnan(b)
    told = numeric.columns.get(queries.ZEROS_BESIDE, np.full(len(b), np.nan))
    zero, low, high = (np.full(max(grids, default=0) + 1, np.nan) for _ in range(3))
    for at, grid in grids.items():
        zero[at], low[at], high[at] = float(grid.bins([0.0])[0]), grid.low, grid.high
    special = set(f[~binned & numeric["some"]].tolist())
    here = np.flatnonzero(b == zero[f])
    zf, zlo, zhi = f[here], lo[here], hi[here]
    return {
        queries.ZEROS: set(zf[(zlo <= 0) & (zhi >= 0) & (zlo != zhi) & np.isnan(told[here])].tolist()),
        queries.NEGATIVES: special | set(zf[(zlo < 0) & (zhi >= 0)].tolist()),
        queries.BELOW: special | set(f[binned & (lo < low[f]) & (hi >= low[f])].tolist()),
        queries.ABOVE: special | set(f[binned & (hi > high[f]) & (lo <= high[f])].tolist()),
        queries.SPECIAL: special,
    }


def numeric_states(numeric: Answer, grids: Mapping[int, Grid]) -> dict[Key, NumericState]:
    """States of every group and numeric field, as far as their bins tell; see `followed_up`."""
    rows, runs = numeric.runs(by_bin=True)
    if not runs:
        return {}
    states = _binned(rows, runs, grids)
    if "k2" in rows.columns and np.isfinite(rows["k2"]).any():
        names = ("b", "n", "s1", "lo", "hi", "k1", "k2", "k3", "k4")
        for (g, f, start, stop), state in zip(runs, list(states.values()), strict=True):
            states[g, f] = with_single_values(_guarded(state, {name: rows[name][start:stop] for name in names}))
    return states


def _binned(
    rows: Answer, runs: Sequence[tuple[int, int, int, int]], grids: Mapping[int, Grid]
) -> dict[Key, NumericState]:
    """The states of values on the grid, of all runs at once; counts that a bin holds only in part are left to follow-ups."""
    g, f, start, stop = np.array(runs, np.int64).T
    total = np.add.reduceat(rows["n"], start)
    nulls = np.add.reduceat(np.where(np.isnan(rows["b"]), rows["n"], 0), start)
    keys = list(zip(g.tolist(), f.tolist(), strict=True))
    states = {
        key: NumericState(grids[key[1]], n, none, exact_distinct=0)
        for key, n, none in zip(keys, total.tolist(), nulls.tolist(), strict=True)
    }
    of, a = _inside(np.repeat(np.arange(len(runs)), stop - start), rows)
    if not len(of):
        return states
    first = np.flatnonzero(np.concatenate([[True], of[1:] != of[:-1]]))
    last = np.append(first[1:], len(of)) - 1
    size = last - first + 1
    used = [grids[int(at)] for at in f[of[first]]]
    frame = np.array([(grid.centre, grid.scale, grid.tail, grid.low, grid.high) for grid in used]).T
    centre, scale, tail, low, high = np.repeat(frame, size, axis=1)
    counts, lows, highs = a["n"], a["lo"] + 0.0, a["hi"] + 0.0

    def rows_where(mask: NDArray[np.bool_]) -> list[int]:
        found: list[int] = np.add.reduceat(np.where(mask, counts, 0), first).tolist()
        return found

    mean, m2 = _moments(first, size, counts.astype(np.float64), a["s1"], a["s2"])
    m2[np.maximum(np.abs(lows[first]), np.abs(highs[last])) > LARGEST] = math.inf
    mean += frame[0]
    single = np.add.reduceat((lows != highs).astype(np.int64), first) == 0
    alone = np.where((lows == 0) & (highs == 0), counts, 0)
    told = a.get(queries.ZEROS_BESIDE, np.full(len(of), np.nan))
    zeros = np.add.reduceat(np.where(np.isnan(told), alone, told), first).astype(np.int64).tolist()
    negatives = rows_where(highs < 0)
    below, above = rows_where(highs < low), rows_where(lows > high)
    ends = rounded_outwards(centre, scale, tail, a["b"], lows, highs)
    for at, run in enumerate(of[first].tolist()):
        mine = slice(int(first[at]), int(last[at]) + 1)
        exact = size[at] <= EXACT_BINS
        states[keys[run]] = NumericState(
            used[at], int(total[run]), int(nulls[run]), zeros=zeros[at], negatives=negatives[at], below=below[at],
            above=above[at], mean=float(mean[at]), m2=float(m2[at]), low=float(lows[mine.start]), high=float(highs[last[at]]),
            bins=a["b"][mine].copy(), counts=counts[mine].copy(), lows=(lows if exact else ends[0])[mine].copy(),
            highs=(highs if exact else ends[1])[mine].copy(),
            exact_distinct=int(size[at]) if exact and single[at] else -1,
        )  # fmt: skip
    return states


def _inside(of: NDArray[np.int64], rows: Answer) -> tuple[NDArray[np.int64], Columns]:
    """The rows on the grid and the run of each, with bins from -HALF to HALF - 1.

    Very far from the centre, rounding gives one more bin at each end.
    """
    on_grid = rows["b"] < queries.NAN
    of = of[on_grid]
    names = [*queries.LENIENT_BINS, *({queries.ZEROS_BESIDE} & rows.columns.keys())]
    a = {name: rows[name][on_grid] for name in names}
    b = np.clip(a["b"], -HALF, HALF - 1).astype(np.int64)
    starts = np.flatnonzero(np.concatenate([[True], (of[1:] != of[:-1]) | (b[1:] != b[:-1])])) if len(b) else b
    if len(starts) < len(b):
        a = {name: np.add.reduceat(array, starts) for name, array in a.items() if name not in ("lo", "hi")} | {
            "lo": np.minimum.reduceat(a["lo"], starts),
            "hi": np.maximum.reduceat(a["hi"], starts),
        }
    return of[starts], {**a, "b": b[starts], "n": a["n"].astype(np.int64)}


def _moments(
    first: NDArray[np.int64],
    size: NDArray[np.int64],
    n: NDArray[np.float64],
    s1: NDArray[Any],
    s2: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean deviation from the centre, and squared deviations, of each run of bins; as `states.numeric.merged_moments`."""

    def added(values: NDArray[Any]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.add.reduceat(values, first)
        return found

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(values, size)

    with np.errstate(all="ignore"):
        mean = s1 / n
        inside = np.maximum(s2 - s1 * mean, 0.0)
        weight = n / spread(added(n))
        most = n == spread(np.maximum.reduceat(n, first))
        shift = spread(np.minimum.reduceat(np.where(most, mean, math.inf), first))
        together = shift[first] + added(weight * (mean - shift))
        m2 = added(inside) + added(n * (mean - spread(together)) ** 2)
        large = np.maximum.reduceat(np.abs(mean), first) > LARGEST
        if large.any():  # differences may overflow where the weighted sum doesn't
            together = np.where(large, added(weight * mean), together)
            m2 = np.where(large, np.where((size > 1) | np.isinf(added(inside)), math.inf, added(inside)), m2)
    return together, m2


def followed_up(states: Mapping[Key, NumericState], follow_ups: FollowUps) -> dict[Key, NumericState]:
    """The states with what the follow-up queries found."""
    result = dict(states)
    fields = {f for asked in follow_ups.asked.values() for f in asked} | {f for _, f in follow_ups.moments}
    for key, state in states.items():
        if key[1] not in fields:
            continue
        if key in follow_ups.special:
            special = follow_ups.special[key]
            state = _off_grid(replace(state, nulls=state.nulls - int(special["n"].sum())), special)
        counted = {
            "zeros": follow_ups.count(queries.ZEROS, key),
            "negatives": follow_ups.count(queries.NEGATIVES, key),
            "below": follow_ups.count(queries.BELOW, key),
            "above": follow_ups.count(queries.ABOVE, key),
        }
        told = {name: n for name, n in counted.items() if n is not None}
        state = _with_moments(replace(state, **told), follow_ups.moments.get(key))  # type: ignore[arg-type]
        result[key] = with_single_values(state)
    return result


def with_single_values(state: NumericState) -> NumericState:
    """The state with its exact number of distinct values, where every bin holds a single one."""
    distinct = single_valued(state)
    return state if distinct == state.exact_distinct else replace(state, exact_distinct=distinct)


def single_valued(state: NumericState) -> int:
    """The number of distinct values where every bin holds a single one, else -1."""
    if state.lows.dtype != np.float64 or not np.array_equal(state.lows, state.highs):
        return -1
    return len(state.bins) + sum(1 for n in (state.nans, state.positive_inf, state.negative_inf) if n)


def _off_grid(state: NumericState, a: Columns) -> NumericState:
    """The state with what isn't on the grid: NaN, infinities, and values too large to square, in the outermost bins."""
    rows = {int(b): at for at, b in enumerate(a["b"].tolist())}

    def count(code: int) -> int:
        return int(a["n"][rows[code]]) if code in rows else 0

    state = replace(
        state, nans=count(queries.NAN), positive_inf=count(queries.PLUS_INF), negative_inf=count(queries.MINUS_INF)
    )
    huge: list[NumericState] = []
    for code, at_bin in ((queries.MINUS_HUGE, -HALF), (queries.HUGE, HALF - 1)):
        n = count(code)
        if not n:
            continue
        low, high, total = (float(a[name][rows[code]]) for name in ("lo", "hi", "s1"))
        with np.errstate(all="ignore"):
            mean = float(np.float64(total / n) / queries.TINY_FACTOR)
        ends = np.array([low]), np.array([high])
        part = NumericState(
            state.grid, n, negatives=n if high < 0 else 0, mean=mean, m2=math.inf, low=low, high=high,
            bins=np.array([at_bin], np.int64), counts=np.array([n], np.int64), lows=ends[0], highs=ends[1],
        )  # fmt: skip
        huge.append(part)
    rest = replace(state, rows=state.rows - sum(s.rows for s in huge))
    parts = [*([rest] if rest.rows else []), *huge]
    return NumericState.merged(parts) if huge else state


def ill_conditioned(states: Mapping[Key, NumericState]) -> dict[int, float]:
    """Field -> a better centre for its moments, where squares about the grid's centre cancel to fewer than 7 digits."""
    found: dict[int, list[NumericState]] = {}
    for (_, f), s in states.items():
        if s.finite > 1 and s.low < s.high and max(abs(s.low), abs(s.high)) <= LARGEST:
            away = s.finite * (s.mean - s.grid.centre) ** 2
            if not s.m2 > 1e-9 * away:
                found.setdefault(f, []).append(s)
    return {f: float(np.median([s.mean for s in some])) for f, some in found.items()}


def moments(answer: Answer, shifts: Mapping[int, float]) -> dict[Key, tuple[int, float, float]]:
    """(group, field) -> rows, mean and squared deviations, from sums about another centre; none where squares overflowed."""
    lines = zip(*(answer[name].tolist() for name in ("g", "f", "n", "s1", "s2")), strict=True)
    return {
        (g, f): (n, shifts[f] + s1 / n, max(s2 - s1 * (s1 / n), 0.0))
        for g, f, n, s1, s2 in lines
        if n and math.isfinite(s2)
    }


def _with_moments(state: NumericState, better: tuple[int, float, float] | None) -> NumericState:
    if better is None or better[0] != state.finite:
        return state
    return replace(state, mean=better[1], m2=better[2])


def _guarded(state: NumericState, a: Columns) -> NumericState:
    """The state with what the guarded query's bins tell beside."""
    off = a["b"] >= queries.NAN
    state = replace(state, nulls=int(a["n"][np.isnan(a["b"])].sum()))
    state = _off_grid(state, {name: array[off] for name, array in a.items()})
    known = state.grid.low == state.grid.low
    return replace(
        state,
        zeros=int(np.nansum(a["k1"])),
        negatives=int(np.nansum(a["k2"])),
        below=int(np.nansum(a["k3"])) if known else 0,
        above=int(np.nansum(a["k4"])) if known else 0,
    )


def categorical_states(answer: Answer, frames: Mapping[int, tuple[Levels, str]]) -> dict[Key, CategoricalState]:
    """States of every group and categorical field."""
    states: dict[Key, CategoricalState] = {}
    for f in np.flatnonzero(np.bincount(answer["f"])).tolist():
        mine = answer.where(answer["f"] == f)
        levels, kind = frames[f]
        codes = np.flatnonzero(np.bincount(mine["v"] + 1)) - 1  # ascending; -1 is null
        places = np.zeros(len(mine.texts) + 1, np.int64)
        places[codes + 1] = np.arange(len(codes))
        present = codes >= 0
        values = Values.of(levels, [answer.texts[c] for c in codes[present].tolist()])
        shift = int((~present).sum())
        inverse = places[mine["v"] + 1]
        local = Answer({**{n: mine[n] for n in ("g", "f", "n")}, "v": inverse - shift})
        rows, runs = local.runs()
        for g, _, start, stop in runs:
            here, n = rows["v"][start:stop], rows["n"][start:stop].astype(np.int64)
            known = here >= 0
            states[g, f] = values.state(kind, here[known], n[known], int(n[~known].sum()))
    return states
