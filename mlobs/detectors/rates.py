"""Rates that have been seen before: counts out of n. Pure numpy.

Frequent ones are judged on the arcsine scale, where their noise depends on n alone; rare ones by a negative-binomial tail.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from mlobs.detectors.novelty import normal_score

Floats = NDArray[np.float64]

RARE = 5.0
"""Expected events in a window below which the negative-binomial tail is used."""
MEMORY = 120.0
"""Windows over which the rate and its over-dispersion are averaged."""


def stabilised(count: Any, rows: Any) -> Floats:
    """Anscombe's arcsin(sqrt((k + 3/8) / (n + 3/4))), of variance about 1 / (4n + 2); NaN where n is 0.

    Source: F. J. Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948).
    """
    k, n = np.asarray(count, float), np.asarray(rows, float)
    with np.errstate(invalid="ignore"):
        share = np.clip((k + 0.375) / (n + 0.75), 0.0, 1.0)
        return np.asarray(np.where(n > 0, np.arcsin(np.sqrt(share)), np.nan), float)


def noise(rows: Any) -> Floats:
    """Standard deviation that sampling alone gives a stabilised rate of n rows."""
    return np.asarray(1 / np.sqrt(4 * np.maximum(np.asarray(rows, float), 0.0) + 2))


def original(angle: Any, rows: Any) -> Floats:
    """The rate k / n in [0, 1] that `stabilised` maps to `angle`."""
    n = np.maximum(np.asarray(rows, float), 1.0)
    share = np.sin(np.clip(np.asarray(angle, float), 0.0, np.pi / 2)) ** 2
    return np.asarray(np.clip((share * (n + 0.75) - 0.375) / n, 0.0, 1.0), float)


def rare_score(count: Any, mean: Any, spread: Any, events: Any) -> Floats:
    """Normal score of `count` or more events where `mean` are expected.

    Negative binomial of that mean whose size r has 1/r = (spread - 1) / mean + 1 / events: over-dispersion (variance over
    mean, by moments), and that the mean itself was learned from `events` events. P(K >= k) = I(mean / (r + mean); k, r),
    the regularised incomplete beta function.

    >>> float(rare_score(6, 1.0, 1.0, 30.0).round(1))
    3.1
    """
    k, mu = np.asarray(count, float), np.maximum(np.asarray(mean, float), 1e-12)
    size = 1 / (np.maximum(np.asarray(spread, float) - 1, 0.0) / mu + 1 / np.maximum(np.asarray(events, float), 0.5))
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = np.where(k > 0, betainc(np.maximum(k, 1e-9), size, mu / (size + mu)), 1.0)
        return np.maximum(normal_score(np.log(tail)), 0.0)


class Events:
    """Events and rows seen of every rate, forgotten slowly, and the variance of the counts over their mean."""

    def __init__(self) -> None:
        self.count = np.zeros(0)
        self.rows = np.zeros(0)
        self.spread = np.ones(0)
        self.seen = np.zeros(0)
        self.ever = np.zeros(0)
        self.ever_not = np.zeros(0)
        self.ever_rows = np.zeros(0)

    def widen(self, size: int) -> None:
        """Room for metrics met for the first time."""
        more = size - len(self.count)
        if more > 0:
            for name in ("count", "rows", "seen", "ever", "ever_not", "ever_rows"):
                setattr(self, name, np.concatenate([getattr(self, name), np.zeros(more)]))
            self.spread = np.concatenate([self.spread, np.ones(more)])

    def share(self) -> Floats:
        """The learned rate, by Jeffreys' rule (k + 1/2) / (n + 1)."""
        return np.asarray((self.count + 0.5) / (self.rows + 1))

    def learn(self, count: Floats, rows: Floats, use: NDArray[np.bool_]) -> None:
        """Add a window's counts where `use`."""
        use = use & np.isfinite(count) & (rows > 0)
        k, n = np.where(use, count, 0.0), np.where(use, rows, 0.0)
        mean = np.maximum(n * self.share(), 1e-9)
        pace = 1 / np.minimum(self.seen + 2, MEMORY)
        odd = np.where(use & (self.seen > 0), np.minimum((k - mean) ** 2 / np.maximum(mean, 0.25), 400.0), self.spread)
        self.spread = np.maximum(self.spread + pace * (odd - self.spread), 0.5)
        keep = np.where(use, 1 - 1 / MEMORY, 1.0)
        self.count, self.rows = self.count * keep + k, self.rows * keep + n
        self.seen = self.seen + use
        self.ever += k
        self.ever_not += n - k
        self.ever_rows += n
