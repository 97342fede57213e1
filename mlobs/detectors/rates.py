"""Rates that have been seen before: counts out of n on the arcsine scale, where their noise depends on n alone. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def stabilised(count: Any, rows: Any) -> Floats:
    """Anscombe's arcsin(sqrt((k + 3/8) / (n + 3/4))), of variance about 1 / (4n + 2); NaN where n is 0.

    Source: F. J. Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948).
    """
    k, n = np.asarray(count, float), np.asarray(rows, float)
    share = np.clip((k + 0.375) / (n + 0.75), 0.0, 1.0)
    return np.where(n > 0, np.arcsin(np.sqrt(share)), np.nan)


def noise(rows: Any) -> Floats:
    """Standard deviation that sampling alone gives a stabilised rate of n rows."""
    return np.asarray(1 / np.sqrt(4 * np.maximum(np.asarray(rows, float), 0.0) + 2))


def original(angle: Any, rows: Any) -> Floats:
    """The rate k / n in [0, 1] that `stabilised` maps to `angle`."""
    n = np.maximum(np.asarray(rows, float), 1.0)
    share = np.sin(np.clip(np.asarray(angle, float), 0.0, np.pi / 2)) ** 2
    return np.clip((share * (n + 0.75) - 0.375) / n, 0.0, 1.0)
