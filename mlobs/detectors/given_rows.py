"""Numbers of distinct values, judged given the number of rows: more rows show more values. Pure numpy, all metrics at once.

On the logarithmic scale the number D of distinct values among n rows grows by a slope between 0 (all values were seen) and 1
(every value is new). For K equally frequent values D = K (1 - exp(-n / K)), which gives the slope from D / n alone; real
fields are less even, so this is only where learning starts from: the slope is the ridge regression of log D on log n towards
it. What is left over hardly moves from window to window, so that values frozen or rounded show in it.

Source: the expected number of occupied cells, W. Feller, An introduction to probability theory 1 (1968), IV.2 (exponential
approximation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PRIOR_WEIGHT = 0.1
"""Sum of squares of log rows that the even-values slope counts as: ten windows that differ from the usual by a tenth."""
MEMORY = 120.0
"""Windows over which moments are averaged."""


class GivenRows:
    """The slope of log(1 + D) on log(1 + n) of every metric, in [0, 1], and the log rows it is anchored at."""

    def __init__(self) -> None:
        self.seen = np.zeros(0)
        self.anchor = np.zeros(0)
        self.slope = np.zeros(0)
        self.x, self.y = np.zeros(0), np.zeros(0)
        self.xx, self.xy = np.zeros(0), np.zeros(0)

    def widen(self, size: int) -> None:
        """Room for metrics met for the first time."""
        more = size - len(self.seen)
        if more > 0:
            for name in ("seen", "anchor", "slope", "x", "y", "xx", "xy"):
                setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more)]))

    def due(self, rows: Floats, which: Mask) -> Floats:
        """What of log(1 + D) is due to `rows` differing from the anchor, of the metrics `which`; 0 where nothing is known of
        them."""
        apart = self.slope[which] * (np.log1p(rows[which]) - self.anchor[which])
        return np.asarray(np.where(self.seen[which] > 0, apart, 0.0))

    def learn(self, distinct: Floats, rows: Floats, use: Mask) -> None:
        """Bring the moments forward by one window, where `use`."""
        at = np.flatnonzero(use & np.isfinite(distinct) & (rows > 0))
        x, y = np.log1p(rows[at]), np.log1p(distinct[at])
        self.anchor[at] = np.where(self.seen[at] == 0, x, self.anchor[at])
        self.seen[at] += 1
        weight = np.minimum(self.seen[at], MEMORY)
        pace = 1 / weight
        dx, dy = x - self.x[at], y - self.y[at]
        self.x[at] += pace * dx
        self.y[at] += pace * dy
        self.xx[at] += pace * ((1 - pace) * dx * dx - self.xx[at])
        self.xy[at] += pace * ((1 - pace) * dx * dy - self.xy[at])
        prior = even_slope(np.expm1(self.y[at]), np.expm1(self.x[at]))
        slope = (weight * self.xy[at] + PRIOR_WEIGHT * prior) / (weight * self.xx[at] + PRIOR_WEIGHT)
        self.slope[at] = np.clip(slope, 0.0, 1.0)


def even_slope(distinct: Floats, rows: Floats) -> Floats:
    """d log D / d log n where `rows` rows show `distinct` values and all values are equally frequent.

    With t = n / K, D / n = (1 - exp(-t)) / t, which is read off a table, and the slope is t / (exp(t) - 1).

    >>> even_slope(np.array([2.0, 79.0, 100.0]), np.array([100.0, 100.0, 100.0])).round(2)
    array([0.  , 0.77, 1.  ])
    """
    share = np.clip(distinct / np.maximum(rows, 1.0), 0.0, 1.0)
    return np.asarray(np.interp(share, _SHARE, _SLOPE))


_T = np.geomspace(700.0, 1e-9, 2_000)
_SHARE, _SLOPE = -np.expm1(-_T) / _T, _T / np.expm1(_T)
