"""What never happened in any window and is told by windows, not by rows: all null, one single value, no rows at all, a category
of many rows gone, a file of one size that has another. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors import counts, rates
from mlobs.detectors.baseline import Baseline, Expected
from mlobs.detectors.columns import COUNT, Columns
from mlobs.detectors.rates import Events
from mlobs.detectors.series import Row

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SATURATED_ROWS = 5
"""A window of at least so many rows in which a field is all null, or constant, when it never was before, fails."""
LEAST_VALUES = 5.0
"""Distinct values that a field usually shows from which a single one is no chance; rates and shares judge fields of fewer."""
VANISHED_ROWS = 10.0
LEFT_ROWS = 5.0
"""Usual rows of a category or segment from which its absence, when it was never absent, fails; and rows that it would have at the
lowest level on record, so that one which comes and goes isn't missed."""
STILL = 1e-9
"""Difference on the learned scale up to which counts are equal."""


def saturated(
    row: Row, columns: Columns, expected: Expected, baseline: Baseline, events: Events, usual: Floats, min_windows: int
) -> Mask:
    """Fields that are null throughout, or have one single value throughout; a table without rows; a category of many rows
    that has none. `usual` are the counts of a window of the usual number of rows."""
    null = columns.nulls & (row.counts == row.rows)
    empty = columns.volume & (row.values == 0)
    due = np.where(columns.kind == COUNT, usual, events.share() * row.rows)
    vanished = columns.part & (row.counts == 0) & (due >= VANISHED_ROWS) & (baseline.seen >= min_windows)
    if vanished.any():
        least = expected.center - np.maximum(expected.record_down, expected.down)
        fewest = np.where(columns.kind == COUNT, counts.original(least), rates.original(least, row.rows) * row.rows)
        vanished &= fewest >= LEFT_ROWS
    constant = columns.varied & (row.values <= 1) & (row.rows > 1) & (usual >= LEAST_VALUES)
    return np.asarray((null | constant) & (row.rows >= SATURATED_ROWS) | empty | vanished)


def steady(columns: Columns, baseline: Baseline, windows: float) -> Mask:
    """The table's rows, where in so many windows or more they never differed: a file of one size, a row for every shop."""
    return np.asarray(columns.volume & (baseline.record <= STILL).all(axis=0) & (baseline.seen >= windows))
