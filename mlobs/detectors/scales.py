"""The scale on which each metric is learned, the way back from it, and how exactly so many rows let it be known. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors import counts, rates
from mlobs.detectors.baseline import SPAN, Expected
from mlobs.detectors.columns import COUNT, LOCATION, RATE, SCALE, Columns
from mlobs.detectors.given_rows import GivenRows
from mlobs.detectors.series import Row

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

HUGE = 1e100
LEAST_PART = 0.3
"""Of the sampling noise, or of one row in counts: what a metric is taken to stray by, also where it strayed less so far."""
UNMOVED_PART = 0.5
"""The same of one row in a count that never moved in `SPAN` windows, and in numbers of distinct values: three fewer are news,
and one is none."""
FULLEST_PART = 0.5
"""Of Poisson's noise in the fullest of many bins, which strays about half as much as any one of them."""
ROWS_PACE = 0.05
"""Weight of the newest window in the usual number of rows."""


class Scales:
    """Rates as arcsine, scales as logarithm, counts between root and logarithm, some of them given the number of rows.

    Attributes:
        given: how counts grow with the rows.
        unit: first positive value of each metric, which its scale is measured in.
        typical_rows: usual rows behind each metric; NaN before the first.
    """

    def __init__(self) -> None:
        self.given = GivenRows()
        self.unit = np.zeros(0)
        self.typical_rows = np.zeros(0)

    def widen(self, size: int) -> None:
        """Room for metrics met for the first time."""
        blank = np.full(max(size - len(self.unit), 0), np.nan)
        self.unit = np.concatenate([self.unit, blank])
        self.typical_rows = np.concatenate([self.typical_rows, blank])
        self.given.widen(size)

    def learn(self, row: Row, columns: Columns, use: Mask, first: Mask) -> None:
        """Bring forward by one window: metrics to `use`, and which of them have a first alert, that is not learned from."""
        self.given.learn(row.values, row.rows, columns.given & use & ~first)
        fresh = np.isnan(self.typical_rows)
        moved = self.typical_rows + ROWS_PACE * (row.rows - self.typical_rows)
        known = np.isfinite(row.rows) & use
        self.typical_rows = np.where(known, np.where(fresh, row.rows, moved), self.typical_rows)

    def transform(self, row: Row, columns: Columns) -> Floats:
        """Metrics on the scale on which they are learned: rates as arcsine, scales as logarithm, counts between root and
        logarithm, some of them at the number of rows that they are anchored at."""
        value, rows, events = row
        kind = columns.kind
        fresh = np.isnan(self.unit) & np.isfinite(value) & (value > 0)
        self.unit[fresh] = value[fresh]
        y = value.copy()
        rate = (kind == RATE) & np.isfinite(events)
        y[rate] = rates.stabilised(events[rate], rows[rate])
        with np.errstate(invalid="ignore", divide="ignore"):
            wide = kind == SCALE
            y[wide] = np.log(np.maximum(value[wide], 0.0) / np.nan_to_num(self.unit[wide], nan=1.0) + 0.01)
            given = columns.given
            y[given] = np.expm1(np.log1p(np.maximum(value[given], 0.0)) - self.given.due(rows, given))
            many = kind == COUNT
            y[many] = counts.stabilised(y[many])
        # squares of what is learned must stay finite
        return np.where(np.isfinite(y), np.clip(y, -HUGE, HUGE), np.nan)

    def original(self, y: Floats, row: Row, columns: Columns) -> Floats:
        """The inverse of `transform`."""
        with np.errstate(all="ignore"):
            return self._original(y, row, columns)

    def _original(self, y: Floats, row: Row, columns: Columns) -> Floats:
        kind = columns.kind
        out = y.copy()
        rate = (kind == RATE) & np.isfinite(row.counts)
        out[rate] = rates.original(y[rate], row.rows[rate])
        wide, many = kind == SCALE, kind == COUNT
        with np.errstate(over="ignore"):
            grown = np.exp(np.minimum(y[wide], 700.0)) - 0.01
            out[wide] = np.maximum(grown, 0.0) * np.nan_to_num(self.unit[wide], nan=1.0)
            out[many] = counts.original(y[many])
            out[columns.given] = self._at(out, row.rows, columns)
        return out

    def usual(self, level: Floats, columns: Columns) -> Floats:
        """Counts of a level on the learned scale, in a window of the usual number of rows."""
        out = counts.original(level)
        given = columns.given
        out[given] = self._at(out, self.typical_rows, columns)
        return out

    def _at(self, count: Floats, rows: Floats, columns: Columns) -> Floats:
        """Counts that are judged given the rows, in a window of `rows` instead of the anchor's."""
        given = columns.given
        with np.errstate(over="ignore"):
            return np.asarray(np.expm1(np.log1p(count[given]) + self.given.due(rows, given)))

    def floored(self, expected: Expected, row: Row, columns: Columns, level: Floats, seen: Floats) -> Expected:
        """Scales no smaller than what counting and sampling noise make of so many rows.

        `level` is the usual value of every metric, on the scale on which it is learned; `seen` are its windows.
        """
        kind, rows = columns.kind, np.fmax(row.rows, 1.0)
        up, down = expected.up.copy(), expected.down.copy()
        still = (expected.record_up <= 0) & (expected.record_down <= 0)
        settled = seen >= SPAN
        floor = np.zeros(len(kind))
        rate = kind == RATE
        floor[rate] = _rate_floor(np.fmax(up, down)[rate], rows[rate], settled[rate])
        part = np.where(still, 1.0, LEAST_PART)
        sd = np.zeros(len(kind))
        has = columns.spread >= 0
        sd[has] = self._spread_now(columns, level)[columns.spread[has]]
        place = kind == LOCATION
        floor[place] = (part * sd / np.sqrt(rows))[place]
        # residuals are in units of the reference's: of n rows their mean strays by as much, unless rows are scheduled
        left = columns.residual_mean
        floor[left] = 1 / np.sqrt(rows[left])
        wide = kind == SCALE
        floor[wide] = (part / np.sqrt(2 * rows))[wide]
        many = kind == COUNT
        unmoved = np.where(still & settled, UNMOVED_PART, part)
        floor[many] = self._count_floor(expected.center, rows, columns, unmoved)[many]
        tiny = 1e-9 * np.fmax(np.abs(expected.center), 1e-3)
        with np.errstate(invalid="ignore", divide="ignore"):
            fewer = np.sqrt(np.clip(0.5 + 0.5 * self.typical_rows / rows, 1.0, 10.0))
        fewer = np.where((kind == LOCATION) | (kind == SCALE), np.fmax(fewer, 1.0), 1.0)
        floor = np.minimum(np.maximum(floor, tiny), HUGE)
        return expected._replace(up=np.maximum(up * fewer, floor), down=np.maximum(down * fewer, floor))

    def _count_floor(self, center: Floats, rows: Floats, columns: Columns, part: Floats) -> Floats:
        """What counts stray by at least: `part` of one row; numbers of distinct values by so much that a single pair of rows with
        one value is no news; the rows in the fullest bin by a part of Poisson's noise."""
        given = columns.given
        usual = counts.original(center)
        one = counts.step(usual)
        usual[given] = self._at(usual, rows, columns)
        with np.errstate(over="ignore"):
            one[given] *= np.exp(-self.given.due(rows, given))
        least = np.where(columns.varied, UNMOVED_PART, 0.0)
        fullest = np.where(given & columns.rising, FULLEST_PART * np.sqrt(np.fmax(usual, 1.0)), least)
        return np.asarray(np.fmax(part, fullest) * one)

    def _spread_now(self, columns: Columns, level: Floats) -> Floats:
        """Usual standard deviation of each `std` column, in the field's unit."""
        wide = columns.kind == SCALE
        out = np.zeros(len(columns))
        out[wide] = np.maximum(np.exp(np.minimum(level[wide], 700.0)) - 0.01, 0.0) * np.fmax(self.unit[wide], 0.0)
        return out


def _rate_floor(strayed: Floats, rows: Floats, settled: Mask) -> Floats:
    """What rates stray by at least: as much as sampling makes of so many rows; less where they have strayed by less than half
    of that in `SPAN` windows, which no sample does: rows that are scheduled, a row for every shop."""
    noise = rates.noise(rows)
    return np.asarray(noise * np.where(settled, np.clip(2 * strayed / noise, LEAST_PART, 1.0), 1.0))
