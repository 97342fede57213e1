"""The state of a numeric field: counts, stable moments, a histogram on the frozen grid, a distinct sketch. Numpy only.

States of the same grid merge exactly in their counts, to rounding in their moments (Chan's formula), and within the
sketch's error in distinct counts. What a state says is computed from these few arrays; no row is kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlobs.errors import ProfileError
from mlobs.states import distinct as sketches
from mlobs.states.grid import HALF, LARGEST, Floats, Grid, Ints, position, value

EXACT_BINS = 24
"""Up to so many occupied bins their smallest and largest values are kept exactly; beyond, to 1/15 of the bin."""

STEPS = 15
"""Positions inside a bin are rounded outwards to one of so many steps: both ends of a bin fit into a byte."""

ROUNDING = 1e-9
"""Part of a step by which a share of steps may be off in binary."""

_SLOPED = 30
"""Rows that a bin needs for a slope inside it to be told from its neighbours."""


def _no_ints() -> Ints:
    return np.zeros(0, np.int64)


def _no_floats() -> Floats:
    return np.zeros(0, np.float64)


@dataclass(frozen=True, eq=False)
class NumericState:
    """What is known of a numeric field over some rows.

    Attributes:
        grid: the frozen grid; only states of one grid merge.
        rows, nulls, nans, positive_inf, negative_inf: counts; the rest of the rows are the finite values.
        zeros, negatives: of the finite values.
        below, above: finite values under `grid.low` and over `grid.high`.
        mean, m2: mean of the finite values and sum of squared deviations from it (0 when there are none).
        low, high: smallest and largest finite value, NaN when there are none.
        bins, counts: occupied fine bins, ascending, and finite values in each.
        lows, highs: smallest and largest value in each of these bins: values (float64) for at most `EXACT_BINS` bins,
            else positions inside the bin in 15ths, rounded outwards (uint8); `bounds` gives values for both.
        registers: distinct sketch of the values that aren't null; None when none was taken.
        sampling: the registers are of the share 2^-sampling of the hash space.
        family: which hash function filled the registers.
        exact_distinct: number of distinct values when it was counted exactly, else -1.
    """

    grid: Grid
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    positive_inf: int = 0
    negative_inf: int = 0
    zeros: int = 0
    negatives: int = 0
    below: int = 0
    above: int = 0
    mean: float = 0.0
    m2: float = 0.0
    low: float = math.nan
    high: float = math.nan
    bins: Ints = field(default_factory=_no_ints)
    counts: Ints = field(default_factory=_no_ints)
    lows: NDArray[Any] = field(default_factory=_no_floats)
    highs: NDArray[Any] = field(default_factory=_no_floats)
    registers: NDArray[np.uint8] | None = None
    sampling: int = 0
    family: str = ""
    exact_distinct: int = -1

    kind = "numeric"

    @property
    def finite(self) -> int:
        """Rows with a finite value."""
        return self.rows - self.nulls - self.nans - self.positive_inf - self.negative_inf

    @property
    def sum(self) -> float:
        return float(self.mean) * self.finite

    @property
    def variance(self) -> float:
        """Population variance (ddof 0) of the finite values, NaN when there are none."""
        return self.m2 / self.finite if self.finite else math.nan

    @property
    def distinct(self) -> float:
        """Distinct values that aren't null: exact where it was counted, else estimated (`states.distinct.ERROR`).

        NaN when no sketch was taken, or sketches of different hash functions were merged.
        """
        if self.exact_distinct >= 0:
            return float(self.exact_distinct)
        if self.rows == self.nulls:
            return 0.0
        if self.registers is None:
            return math.nan
        return min(max(sketches.estimate(self.registers, self.sampling), 1.0), float(self.rows - self.nulls))

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Smallest and largest value in each occupied bin, two arrays of shape (len(bins),)."""
        if self.lows.dtype == np.float64:
            return self.lows, self.highs
        known: tuple[Floats, Floats] | None = self.__dict__.get("_bounds")
        if known is None:
            known = (
                _unpacked(self.grid, self.bins, self.lows, self.low, self.high),
                _unpacked(self.grid, self.bins, self.highs, self.low, self.high),
            )
            known[0][0], known[1][-1] = self.low, self.high
            self.__dict__["_bounds"] = known
        return known

    @property
    def slopes(self) -> Floats:
        """How the density changes inside each bin, as the logarithm of its ratio from one end to the other; 0 is even.

        Told from the densities of both neighbours, where there are rows enough, and from the mean of all values.
        """
        known: Floats | None = self.__dict__.get("_slopes")
        if known is None:
            known = self.__dict__["_slopes"] = self._sloped()
        return known

    def _sloped(self) -> Floats:
        slopes = np.zeros(len(self.bins))
        if len(self.bins) < 3:
            return slopes
        low, high = self.bounds
        n = (self.counts - self.at_zero).astype(np.float64)
        with np.errstate(all="ignore"):
            width, middle = high - low, low / 2 + high / 2
            density = np.log(n / width)
            lean = (density[2:] - density[:-2]) / (middle[2:] - middle[:-2]) * width[1:-1]
            ends = (density[[1, -1]] - density[[0, -2]]) / (middle[[1, -1]] - middle[[0, -2]]) * width[[0, -1]]
        slopes[1:-1], slopes[[0, -1]] = lean, ends
        enough = np.concatenate([[False], n >= _SLOPED, [False]])
        around = np.concatenate([[True], n >= _SLOPED / 3, [True]])
        told = enough[1:-1] & around[:-2] & around[2:] & np.isfinite(slopes)
        return self._to_mean(np.where(told, np.clip(slopes, -20.0, 20.0), 0.0), n, low, width)

    def _to_mean(self, slopes: Floats, n: Floats, low: Floats, width: Floats) -> Floats:
        """The slopes, changed so that the bins' means add up to the mean that is known.

        What is missing is shared out by how uncertain a bin's sum is: (n - 2) width^2 / 12, its ends being known.
        """
        doubt = np.maximum(n - 2.0, 0.0) * width**2
        if not math.isfinite(self.mean) or not doubt.sum() > 0 or not np.isfinite(doubt.sum()):
            return slopes
        for _ in range(2):
            steep = np.where(np.abs(slopes) > 1e-3, slopes, 1.0)
            inside = np.where(np.abs(slopes) > 1e-3, 1.0 / -np.expm1(-steep) - 1.0 / steep, 0.5)
            missing = float(np.sum(self.counts * (self.mean - low)) - np.sum(n * width * inside))
            change = np.where(
                doubt > 0, missing * doubt / doubt.sum() / np.maximum(n, 1.0) / np.where(width > 0, width, 1.0), 0.0
            )
            slopes = np.clip(slopes + 12.0 * change, -20.0, 20.0)
        return slopes

    @property
    def at_zero(self) -> Ints:
        """How many rows of each bin are exactly 0, where the bin begins with 0; else 0."""
        result = np.zeros(len(self.bins), np.int64)
        if self.zeros and len(self.bins):
            low, _ = self.bounds
            first = int(np.searchsorted(low, 0.0))
            if first < len(low) and low[first] == 0.0:
                result[first] = min(self.zeros, int(self.counts[first]))
        return result

    def quantiles(self, q: Sequence[float] | Floats) -> Floats:
        """Quantiles of the finite values at `q` in [0, 1], by interpolation between a bin's smallest and largest value.

        NaN when there are no finite values. Within .01 sd of the exact ones from the 1st to the 99th percentile.
        """
        at = np.asarray(q, dtype=np.float64)
        found: Floats = quantiles_of([self], at.reshape(-1))[0].reshape(at.shape)
        return found

    def cumulative(self) -> tuple[Floats, Floats]:
        """The distribution function of the finite values as a broken line: values, and the share at or below each.

        A jump is two points of one value. Two arrays of one length; empty without finite values.
        """
        if not len(self.counts):
            return _no_floats(), _no_floats()
        lows, highs = self.bounds
        total = float(self.counts.sum())
        ends = np.cumsum(self.counts) / total
        starts = ends - self.counts / total
        jumps = starts + self.at_zero / total
        slope = self.slopes[:, None]
        step = np.linspace(0.0, 1.0, 9)[None, :]
        with np.errstate(all="ignore"):
            bent = np.where(np.abs(slope) > 1e-3, np.expm1(slope * step) / np.expm1(slope), step)
            values = lows[:, None] * (1.0 - step) + highs[:, None] * step
        shares = jumps[:, None] + (ends - jumps)[:, None] * bent
        steep = np.abs(self.slopes) > 0.05
        keep = np.zeros(values.shape, np.bool_)
        keep[steep], keep[:, 0], keep[:, -1] = True, True, True
        values = np.concatenate([lows[:, None], values], axis=1)
        shares = np.concatenate([starts[:, None], shares], axis=1)
        keep = np.concatenate([(jumps > starts)[:, None], keep], axis=1)
        return values[keep], shares[keep]

    def __add__(self, other: NumericState) -> NumericState:
        return NumericState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[NumericState]) -> NumericState:
        """The state of all rows of `states` (at least one).

        Raises:
            ProfileError: when their grids differ.
        """
        first = states[0]
        if any(s.grid is not first.grid and s.grid != first.grid for s in states):
            raise ProfileError("numeric states on different grids can't be merged: profile both against one reference")
        filled = [s for s in states if s.rows]
        if len(filled) < 2:
            return filled[0] if filled else first
        rows, nulls, nans, positive, negative, zeros, negatives, below, above = (
            int(total)
            for total in np.array(
                [
                    (s.rows, s.nulls, s.nans, s.positive_inf, s.negative_inf, s.zeros, s.negatives, s.below, s.above)
                    for s in filled
                ],
                dtype=np.int64,
            ).sum(axis=0)
        )
        valued = [s for s in filled if len(s.counts)]
        bins, counts, lows, highs, mean, m2, low, high = (
            _no_ints(),
            _no_ints(),
            _no_floats(),
            _no_floats(),
            0.0,
            0.0,
            math.nan,
            math.nan,
        )
        if valued:
            mean, m2 = merged_moments(
                np.array([s.finite for s in valued], np.float64),
                np.array([s.mean for s in valued]),
                np.array([s.m2 for s in valued]),
            )
            low, high = min(s.low for s in valued), max(s.high for s in valued)
            bins, counts, lows, highs = _merged_bins(valued)
        sketch, sampling, family = _merged_sketch(filled)
        return NumericState(
            first.grid, rows, nulls, nans, positive, negative, zeros, negatives, below, above, mean, m2, low, high,
            bins, counts, lows, highs, sketch, sampling, family,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NumericState):
            return NotImplemented
        return (
            self.grid == other.grid
            and _scalars(self) == _scalars(other)
            and np.array_equal(
                [self.mean, self.m2, self.low, self.high], [other.mean, other.m2, other.low, other.high], True
            )
            and np.array_equal(self.bins, other.bins)
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.lows, other.lows)
            and np.array_equal(self.highs, other.highs)
            and np.array_equal(
                sketches.no_registers() if self.registers is None else self.registers,
                sketches.no_registers() if other.registers is None else other.registers,
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        facts = f"mean={self.mean:.6g}, low={self.low:.6g}, high={self.high:.6g}"
        return f"NumericState(rows={self.rows}, nulls={self.nulls}, {facts})"


def _scalars(s: NumericState) -> tuple[object, ...]:
    return (
        s.rows, s.nulls, s.nans, s.positive_inf, s.negative_inf, s.zeros, s.negatives, s.below, s.above,
        s.registers is None, s.sampling, s.family, s.exact_distinct,
    )  # fmt: skip


def merged_moments(n: Floats, mean: Floats, m2: Floats) -> tuple[float, float]:
    """Mean and sum of squared deviations of the union of groups, stable.

    Source: Chan, Golub, LeVeque, Updating formulae and a pairwise algorithm for computing sample variances (1979).
    """
    with np.errstate(all="ignore"):
        weight = n / n.sum()
        if np.abs(mean).max() > LARGEST:  # differences may overflow where the weighted sum doesn't
            return float(np.sum(weight * mean)), math.inf if len(n) > 1 or np.isinf(m2).any() else float(m2.sum())
        shift = float(mean[n == n.max()].min())
        together = shift + float(np.sum(weight * (mean - shift)))
        return together, float(m2.sum() + np.sum(n * (mean - together) ** 2))


def _merged_bins(states: Sequence[NumericState]) -> tuple[Ints, Ints, NDArray[Any], NDArray[Any]]:
    size = 2 * HALF
    counts = np.zeros(size, np.int64)
    for s in states:  # the bins of one state are distinct, so plain indexing adds correctly
        counts[s.bins + HALF] += s.counts
    used = np.flatnonzero(counts)
    exact = len(used) <= EXACT_BINS
    lows, highs = (
        (np.full(size, np.inf), np.full(size, -np.inf))
        if exact
        else (np.full(size, STEPS, np.uint8), np.zeros(size, np.uint8))
    )
    for s in states:
        at = s.bins + HALF
        low, high = (s.lows, s.highs) if exact else confined(s.grid, s.bins, s.lows, s.highs, always=True)
        lows[at] = np.minimum(lows[at], low)
        highs[at] = np.maximum(highs[at], high)
    return used - HALF, counts[used], lows[used], highs[used]


def _merged_sketch(states: Sequence[NumericState]) -> tuple[NDArray[np.uint8] | None, int, str]:
    valued = [s for s in states if s.rows > s.nulls]
    taken = [s.registers for s in valued if s.registers is not None]
    if not valued or len(taken) < len(valued) or len({s.family for s in valued}) > 1:
        return None, 0, ""
    sampling = max(s.sampling for s in valued)
    return sketches.sampled_to(np.maximum.reduce(taken), sampling), sampling, valued[0].family


def confined(
    grid: Grid, bins: Ints, lows: NDArray[Any], highs: NDArray[Any], *, always: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bins' smallest and largest values as a state keeps them: as they are for few bins, else as positions.

    Rounding outwards commutes with minimum and maximum, so merged states don't depend on the order of merging.
    """
    if lows.dtype == np.uint8 or (len(bins) <= EXACT_BINS and not always):
        return lows, highs
    return rounded_outwards(grid.centre, grid.scale, grid.tail, bins, lows, highs)


def rounded_outwards(
    centre: Any, scale: Any, tail: Any, bins: Ints, lows: Floats, highs: Floats
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Values as positions inside their bins; `centre`, `scale`, `tail` of the grid are numbers, or arrays as `bins`."""
    outer = np.where(bins < 0, 0.0, float(STEPS))

    def inside(x: Floats) -> Floats:
        found = (position(x, centre, scale, tail) - bins) * float(STEPS)
        return np.clip(np.where(np.isfinite(found), found, outer), 0.0, float(STEPS))

    return np.floor(inside(lows)).astype(np.uint8), np.ceil(inside(highs)).astype(np.uint8)


def _unpacked(grid: Grid, bins: Ints, inside: NDArray[np.uint8], low: float, high: float) -> Floats:
    """Values at positions inside bins, within the state's own smallest and largest value."""
    frame = grid.centre, grid.scale, grid.tail, _decimals(grid, low, high), low, high
    return _values_at(bins + inside / STEPS, bins, *frame)


def _decimals(grid: Grid, low: float, high: float) -> int:
    """The reference's decimals, where the values at both ends have no more; else -1."""
    if grid.decimals < 0 or round(low, grid.decimals) != low or round(high, grid.decimals) != high:
        return -1
    return grid.decimals


def _values_at(
    at: Floats, bins: Ints, centre: Any, scale: Any, tail: Any, decimals: Any, low: Any, high: Any
) -> Floats:
    values = value(at, centre, scale, tail)
    if np.any(np.asarray(decimals) >= 0):
        unit = 10.0 ** np.maximum(decimals, 0)
        rounded = np.rint(values * unit) / unit
        same = np.floor(position(rounded, centre, scale, tail)) == bins
        values = np.where(same & (np.asarray(decimals) >= 0), rounded, values)
    bounded: Floats = np.minimum(np.maximum(values, low), high)
    return bounded


def quantiles_of(states: Sequence[NumericState], q: Floats) -> Floats:
    """Quantiles of several fields at once, shape (len(states), len(q)); see `NumericState.quantiles`."""
    result = np.full((len(states), len(q)), math.nan)
    filled = [i for i, s in enumerate(states) if len(s.counts)]
    if not filled:
        return result
    some = [states[i] for i in filled]
    sizes = np.array([len(s.counts) for s in some])
    stop = np.cumsum(sizes)[:, None]
    start = stop - sizes[:, None]
    counts = np.concatenate([s.counts for s in some])
    bins = np.concatenate([s.bins for s in some])
    raw = np.stack([np.concatenate([s.lows for s in some]), np.concatenate([s.highs for s in some])]).astype(np.float64)
    ends = np.cumsum(counts)
    total = ends[stop - 1] - ends[start] + counts[start]
    before = ends[start] - counts[start]
    wanted = q[None, :] * (total - 1)
    rank = np.concatenate([np.floor(wanted), np.ceil(wanted)], axis=1) + before
    index = np.minimum(np.searchsorted(ends, rank, side="right"), stop - 1)
    around = np.stack([np.maximum(index - 1, start), index, np.minimum(index + 1, stop - 1)])
    frame = np.array(
        [
            (s.grid.centre, s.grid.scale, s.grid.tail, _decimals(s.grid, s.low, s.high), s.low, s.high, s.zeros)
            for s in some
        ]
    ).T[:, None, :, None]
    _, _, _, decimals, lowest, highest, zero_rows = frame
    exact = np.array([s.lows.dtype == np.float64 for s in some])[None, :, None]
    kept, here = raw[:, around], bins[around]
    lows, highs = np.where(exact, kept, _values_at(here + kept / STEPS, here, *frame[:6]))
    single = counts[around] == 1  # its two ends are one value
    at_low, at_high = around == start, around == stop - 1
    lows = np.where(at_low, lowest, np.where(at_high & single, highest, lows))
    highs = np.where(at_high, highest, np.where(at_low & single, lowest, highs))
    low, high, count = lows[1], highs[1], counts[index]
    zeros = np.where(low == 0.0, np.minimum(zero_rows[0], count), 0)
    inside = rank - (ends[index] - count) - zeros
    span = count - zeros - 1
    # rounded values are so many steps apart; others have no step
    unit = np.where(decimals >= 0, 10.0**-decimals, 0.0)[0]
    with np.errstate(all="ignore"):
        density = np.log(counts[around] / (highs - lows + unit))
        middle = lows / 2 + highs / 2
        slope = np.clip((density[2] - density[0]) / (middle[2] - middle[0]) * (high - low), -20.0, 20.0)
        share = np.where(span > 0, np.clip(inside / span, 0.0, 1.0), np.where(zeros > 0, inside >= 0, 0.5))
        bent = np.log1p(share * np.expm1(slope)) / slope
        share = np.where((count >= _SLOPED) & (np.abs(slope) > 1e-3), bent, share)
        found = low * (1.0 - share) + high * share
        steps = np.floor(share * ((high - low) / unit + 1.0) + ROUNDING)
        found = np.where(unit > 0, np.minimum(low + steps * unit, high), found)
    found = np.where((low == high) | (inside < 0), low, found)
    below, above = found[:, : len(q)], found[:, len(q) :]
    between = wanted - np.floor(wanted)
    result[filled] = np.where(below == above, below, below * (1.0 - between) + above * between)
    return result
