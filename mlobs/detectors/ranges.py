"""`expected_range`: what the history of one metric predicts for one more window; the univariate core, without a table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from mlobs.detectors import baseline, rates
from mlobs.detectors.baseline import Baseline, Floats
from mlobs.detectors.verdict import Range
from mlobs.windows import DAY, instant

MIN_WINDOWS = 8


def expected_range(
    values: Sequence[float], times: Sequence[Any], at: Any, rows: Sequence[float] | None = None, *, score: float = 4.0
) -> Range:
    """The interval that history predicts for a metric at `at`.

    Args:
        values: of shape (n_windows,); what is not finite is left out.
        times: start of each window, in any order; those at or after `at` are left out, and of equal times the last counts.
        at: start of the window to predict.
        rows: rows behind each value. When given, the values are rates in [0, 1] and their sampling noise counts.
        score: normal score at which the range ends; 4 is one false alarm in 16,000.

    Returns:
        A `Range` with low <= expected <= high, or one with `learning` > 0 and infinite bounds.

    Raises:
        ValueError: when lengths differ, or a time can't be read (`WindowError`).

    >>> r = expected_range([10, 12, 11, 10, 12, 11, 10, 12, 11], [f"2013-01-{d:02}" for d in range(1, 10)], "2013-01-10")
    >>> r.learning, round(r.expected), 11 in r, 30 in r
    (0, 11, True, False)
    """
    if len(values) != len(times) or (rows is not None and len(rows) != len(values)):
        raise ValueError(
            f"values, times and rows must have equal lengths, got {len(values)}, {len(times)}, {len(rows or ())}"
        )
    until = instant(at)
    known: dict[datetime, tuple[float, float]] = {}
    for position, (value, time) in enumerate(zip(values, times, strict=True)):
        start = instant(time)
        if start < until and np.isfinite(value):
            known[start] = (float(value), float(rows[position]) if rows is not None else np.nan)
    order = sorted(known)
    if len(order) < MIN_WINDOWS:
        middle = sorted(known[t][0] for t in order)[len(order) // 2] if order else np.nan
        return Range(-np.inf, np.inf, middle, MIN_WINDOWS - len(order))
    found = np.array([known[t] for t in order])
    daily = min(b - a for a, b in itertools.pairwise(order)) >= DAY - timedelta(hours=1)
    n = float(np.nanmedian(found[:, 1])) if rows is not None else 0.0
    n = n if np.isfinite(n) else 0.0
    # in units of the largest value, so that squares of any finite value are finite
    unit = 1.0 if rows is not None else float(np.abs(found[:, 0]).max()) or 1.0
    with np.errstate(all="ignore"):
        y = found[:, 0] / unit if rows is None else rates.stabilised(found[:, 0] * found[:, 1], found[:, 1])
        y = y[np.isfinite(y)] if rows is not None else y
    with np.errstate(all="ignore"):
        return _predicted(y, order, until, daily, unit, n, score, rates_of=rows is not None)


def _predicted(
    y: Floats,
    order: Sequence[datetime],
    until: datetime,
    daily: bool,
    unit: float,
    n: float,
    score: float,
    *,
    rates_of: bool,
) -> Range:
    learned = Baseline()
    learned.widen(1)
    yes, no = np.ones(1, bool), np.zeros(1, bool)
    for time, value in zip(order, y, strict=False):
        day = time.weekday() if daily else 0
        learned.learn(np.array([value]), learned.predict(day), day, yes, yes, no, no)
    ahead = learned.predict(until.weekday() if daily else 0)
    floor = rates.noise(n) if rates_of else 1e-9 * np.maximum(np.abs(np.nan_to_num(ahead.center)), 1e-3)
    up, down = (baseline.reach(score, np.maximum(side, floor), ahead.dof) for side in (ahead.up, ahead.down))
    ends = [ahead.center - down, ahead.center, ahead.center + up]
    if rates_of:
        ends = [rates.original(end, n) for end in ends]
    first, middle, last = (float(end[0]) for end in ends)
    center = float(np.nan_to_num(middle)) * unit
    bounds = first * unit, last * unit
    limit = np.finfo(float).max
    center = min(max(center, -limit), limit)
    low, high = (
        float(np.nan_to_num(b, nan=side, posinf=side, neginf=side))
        for b, side in zip(bounds, (-np.inf, np.inf), strict=True)
    )
    return Range(min(low, center), max(high, center), center)
