"""What a learner says of one window's metrics, as arrays. Pure numpy, no names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors.baseline import Expected

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PASSED, FAILED, LEARNING, UNMEASURED = range(4)
"""Codes of `Judged.status`."""


@dataclass
class Drifting:
    """What is said of slow drift: arrays of shape (n_metrics,), on the learned scale; `failed` only where it is watched."""

    week: Floats
    past: Floats
    excess: Floats
    reach: Floats
    failed: Mask
    judged: Mask


@dataclass
class Judged:
    """What is said of one window's metrics: arrays of shape (n_metrics,), bounds on the metrics' own scale.

    `opening` are first new values in a field of open-ended values, which is where the rows end that the reference knows: they
    pass, and are learned.
    """

    status: NDArray[np.int8]
    score: Floats
    excess: Floats
    low: Floats
    high: Floats
    center: Floats
    never: Mask
    opening: Mask
    missing: Floats
    seen: Floats
    rows_seen: Floats
    expected: Expected
    value: Floats
    drifting: Drifting
    saturated: Mask
