"""The scale on which counts are learned: of rows, of distinct values, of the rows in the fullest bin. Pure numpy.

Small counts stray by chance, as Poisson's do, and large ones by a share of themselves, as a shop's customers do. Between the
square root, which makes the one even, and the logarithm, which does so for the other, lies Anscombe's transformation of the
negative binomial distribution.

Source: F. J. Anscombe, The transformation of Poisson, binomial and negative-binomial data, Biometrika 35 (1948).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIZE = 100.0
"""Of the negative binomial: counts stray by a tenth of themselves beyond chance, and more by chance where they are fewer."""
_SIZE = SIZE - 0.75


def stabilised(count: Any) -> Floats:
    """2 arsinh(sqrt((k + 3/8) / (SIZE - 3/4))): grows like the square root of small counts and the logarithm of large ones.

    >>> (stabilised(2e6) - stabilised(1e6)).round(3), (stabilised(4) - stabilised(1)).round(2)
    (np.float64(0.693), np.float64(0.18))
    """
    k = np.maximum(np.asarray(count, float), 0.0)
    return np.asarray(2 * np.arcsinh(np.sqrt((k + 0.375) / _SIZE)), float)


def original(y: Any) -> Floats:
    """The count, >= 0, that `stabilised` maps to `y`."""
    half = np.clip(np.asarray(y, float) / 2, 0.0, 350.0)
    return np.asarray(np.maximum(np.sinh(half) ** 2 * _SIZE - 0.375, 0.0), float)


def step(count: Any) -> Floats:
    """How far one row more leads on that scale."""
    k = np.maximum(np.asarray(count, float), 0.0) + 0.375
    return np.asarray(1 / np.sqrt(k * (k + _SIZE)), float)
