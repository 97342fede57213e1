"""What a continuous metric should be in the next window: robust location, weekday effect, scale, heavy tails. Pure numpy.

All functions take matrices of shape (n_windows, n_metrics) with NaN for what was not measured or is left out, and work on
all metrics at once.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from mlobs.detectors.novelty import log_normal_tail, normal_score

Floats = NDArray[np.float64]

RECENT = 56
"""Windows that location and weekday effect are learned from."""
MAD_TO_SD = 1.4826


class Baseline(NamedTuple):
    """Arrays of shape (n_metrics,): expected value, scale of the error, degrees of freedom, largest past error."""

    center: Floats
    scale: Floats
    dof: Floats
    largest: Floats


def fit(history: Floats, weekdays: NDArray[np.int64], weekday: int) -> Baseline:
    """The next value's distribution from past ones.

    Location is the median of the newest `RECENT` values; a weekday's effect is the median of its residuals, shrunk by
    k / (k + 2) for k values seen; the scale is half MAD, half winsorised sd of the residuals.

    Args:
        history: (n_windows, n_metrics), oldest first.
        weekdays: (n_windows,) day of week of each row, or all equal where weekdays mean nothing.
        weekday: that of the window under judgement.
    """
    recent, days = history[-RECENT:], weekdays[-RECENT:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        level = np.nanmedian(recent, axis=0)
        effect = np.zeros((7, recent.shape[1]))
        for day in np.unique(days):
            rest = (recent - level)[days == day]
            seen = np.isfinite(rest).sum(axis=0)
            middle = np.nanmedian(rest, axis=0)
            effect[day] = np.where(seen >= 3, np.nan_to_num(middle) * seen / (seen + 2.0), 0.0)
        residual = recent - level - effect[days]
        mad = MAD_TO_SD * np.nanmedian(np.abs(residual), axis=0)
        bound = np.where(mad > 0, 3 * mad, np.inf)
        sd = np.sqrt(np.nanmean(np.clip(residual, -bound, bound) ** 2, axis=0))
        largest = np.nanmax(np.abs(residual), axis=0)
    seen = np.isfinite(recent).sum(axis=0)
    scale = 0.5 * (mad + sd) * np.sqrt(1 + 1 / np.maximum(seen, 1))
    return Baseline(level + effect[weekday], scale, np.clip(seen - 1.0, 1.0, 8.0), largest)


def tail_score(deviation: Floats, scale: Floats, dof: Floats) -> Floats:
    """Normal score of a deviation, >= 0, under a Student distribution of that scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(deviation) / scale
    t = np.where(np.isnan(t), 0.0, t)
    with np.errstate(divide="ignore"):
        return np.maximum(normal_score(np.log(stdtr(dof, -t))), 0.0)


def reach(score: float, scale: Floats, dof: Floats) -> Floats:
    """The deviation whose `tail_score` is `score`."""
    return np.asarray(scale * -stdtrit(dof, np.exp(log_normal_tail(score))))
