"""`expected_range`: what the history of one metric predicts for one more window; the univariate core, without a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from mlobs.detectors import baseline, rates
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
    >>> r.learning, r.expected, 11 in r, 30 in r
    (0, 11.0, True, False)
    """
    if len(values) != len(times) or (rows is not None and len(rows) != len(values)):
        raise ValueError(
            f"values, times and rows must have equal lengths, got {len(values)}, {len(times)}, {len(rows or ())}"
        )
    end = instant(at)
    known: dict[datetime, tuple[float, float]] = {}
    for position, (value, time) in enumerate(zip(values, times, strict=True)):
        start = instant(time)
        if start < end and np.isfinite(value):
            known[start] = (float(value), float(rows[position]) if rows is not None else np.nan)
    order = sorted(known)
    if len(order) < MIN_WINDOWS:
        middle = float(np.median([known[t][0] for t in order])) if order else np.nan
        return Range(-np.inf, np.inf, middle, MIN_WINDOWS - len(order))
    found = np.array([known[t] for t in order])
    daily = min(b - a for a, b in zip(order, order[1:], strict=False)) >= DAY - timedelta(hours=1)
    days = np.array([t.weekday() if daily else 0 for t in order], np.int64)
    y = found[:, :1]
    n = float(np.nanmedian(found[:, 1])) if rows is not None else 0.0
    if rows is not None:
        y = rates.stabilised(y * found[:, 1:], found[:, 1:])
    with np.errstate(over="ignore", invalid="ignore"):
        fit = baseline.fit(y, days, end.weekday() if daily else 0)
        spread = fit.scale if rows is None else np.hypot(fit.scale, rates.noise(n))
        half = np.nan_to_num(baseline.reach(score, spread, fit.dof), nan=np.inf, posinf=np.inf)
        low, middle, high = fit.center - half, fit.center, fit.center + half
    if rows is not None:
        low, middle, high = (rates.original(v, n) for v in (low, middle, high))
    center = float(np.nan_to_num(middle[0], posinf=1e308, neginf=-1e308))
    return Range(min(float(low[0]), center), max(float(high[0]), center), center)
