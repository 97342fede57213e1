"""Rules of other monitors, written from their documentation, on the same profiles as mlobs' detectors get. Pure numpy.

- Elementary's anomaly tests: z-score of a metric over its training period, sensitivity 3, 14 days, the day under test inside
  the period; optionally only days of the same weekday. Its default column monitors.
- Deequ: `OnlineNormalStrategy` (mean and standard deviation updated with every point that is no anomaly, 3 deviations, the
  first tenth never an anomaly) and `RelativeRateOfChangeStrategy` (0.5 to 2 times the value before), on the same metrics.
- z-score: 14 days, the day under test left out, 3 deviations, all metrics.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from mlobs.metrics.profiles import Profile

Floats = NDArray[np.float64]
Key = tuple[str, str, str]
Rule = Callable[[Floats, Floats, list[Key]], NDArray[np.bool_]]
"""(metrics of the days before, of shape (n_days, n_metrics), oldest first; those of the day; their keys) -> what fails."""

ELEMENTARY = frozenset(
    {
        "null_rate",
        "zero_rate",
        "mean",
        "std",
        "min",
        "max",
        "length_min",
        "length_mean",
        "length_max",
        "rows",
        "empty_rate",
    }
)


class Table:
    """Metrics of profiles as rows over one list of keys; NaN where a profile has none."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self.index: dict[Key, int] = {}
        for profile in profiles:
            for m in profile.measurements():
                self.index.setdefault((m.field, m.metric, m.segment), len(self.index))
        self.keys = list(self.index)

    def row(self, profile: Profile) -> Floats:
        out = np.full(len(self.keys), np.nan)
        for m in profile.measurements():
            at = self.index.get((m.field, m.metric, m.segment))
            if at is not None:
                out[at] = m.value
        return out


def elementary(past: Floats, now: Floats, keys: list[Key]) -> NDArray[np.bool_]:
    return _elementary(past[-13:], now, keys)


def elementary_weekday(past: Floats, now: Floats, keys: list[Key]) -> NDArray[np.bool_]:
    return _elementary(past[::-1][6::7], now, keys)


def _elementary(past: Floats, now: Floats, keys: list[Key]) -> NDArray[np.bool_]:
    watched = np.array([k[1] in ELEMENTARY and not k[2] for k in keys])
    return watched & _apart(np.vstack([past, now]), now)


def z_score(past: Floats, now: Floats, keys: list[Key]) -> NDArray[np.bool_]:
    return _apart(past[-14:], now)


def _apart(x: Floats, now: Floats) -> NDArray[np.bool_]:
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, sd = np.nanmean(x, axis=0), np.nanstd(x, axis=0, ddof=1)
        return np.asarray((np.isfinite(x).sum(axis=0) >= 4) & (sd > 0) & (np.abs(now - mean) > 3 * sd))


def online_normal(past: Floats, now: Floats, keys: list[Key]) -> NDArray[np.bool_]:
    mean, square, count = (np.zeros(len(now)) for _ in range(3))
    x = np.vstack([past, now])
    bad = np.zeros(len(now), bool)
    with np.errstate(invalid="ignore"):
        for at, one in enumerate(x):
            known = np.isfinite(one)
            n = count + known
            step = np.where(known, one - mean, 0.0)
            moved = mean + step / np.maximum(n, 1)
            grown = square + step * np.where(known, one - moved, 0.0)
            sd = np.sqrt(grown / np.maximum(n, 1))
            bad = known & (at >= 0.1 * len(x)) & (np.abs(one - moved) > 3 * sd + 1e-12)
            mean, square, count = (np.where(bad, old, new) for old, new in ((mean, moved), (square, grown), (count, n)))
    return bad


def rate_of_change(past: Floats, now: Floats, keys: list[Key]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where((past[-1] == 0) & (now == 0), 1.0, now / past[-1])
        return np.asarray(np.isfinite(now) & ~np.isnan(ratio) & ~((ratio >= 0.5) & (ratio <= 2.0)))


RULES: dict[str, Rule] = {
    "Elementary, 14 days": elementary,
    "Elementary, day of week": elementary_weekday,
    "z-score, 14 days, point left out": z_score,
    "Deequ OnlineNormal": online_normal,
    "Deequ rate of change": rate_of_change,
}
