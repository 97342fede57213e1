"""Minima and maxima: how far out a value may lie. Pure numpy.

Beyond the furthest value ever seen by half the range, and by as much as that lies beyond the usual extreme (on the logarithmic
scale for one-sided fields), a value is out of range; beyond a hard bound it is at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors.baseline import medians
from mlobs.detectors.columns import EXTREME, Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TOUCHED = 0.5
"""Share of the newest windows in which a twentieth of the rows must lie at the furthest value ever seen for that to be a hard
bound, beyond which no value is (visibility is reported up to 10 miles)."""
ALIKE = 0.005
"""Part of a field's range by which its outer quantile may miss the extreme; quantiles are read from a histogram."""


def edges(columns: Columns, reach: Floats, ring: Floats, wanted: Mask) -> tuple[Floats, Floats]:
    """Outermost values that count as in range: lower for minima, upper for maxima; infinite while nothing is known.

    Args:
        columns: what is fixed of each metric.
        reach: of shape (2, n_metrics): the smallest and largest value ever learned of each metric.
        ring: of shape (n_metrics, n_windows): its newest values.
        wanted: the extremes that are asked for.
    """
    size = len(columns)
    low, high = np.full(size, -np.inf), np.full(size, np.inf)
    which = np.flatnonzero(wanted & (columns.kind == EXTREME) & np.isfinite(reach[0]) & np.isfinite(reach[1]))
    if not len(which):
        return low, high
    recent = ring[which]
    usual = medians(recent)
    # a maximum is measured against the smallest value of its field, a minimum against the largest
    pair = np.where(columns.pair[which] >= 0, columns.pair[which], which)
    other = np.where(columns.upper[which], reach[0][pair], reach[1][pair])
    far = np.where(columns.upper[which], reach[1][which], reach[0][which])
    sign = np.where(columns.upper[which], 1.0, -1.0)
    size_ = np.abs(far - other)
    step = np.maximum(0.5 * size_, np.abs(far - usual))
    skewed = np.abs(far - other) ** 2 / np.maximum(np.abs(usual - other), 1e-300) - np.abs(far - other)
    step = np.maximum(step, np.where(np.abs(usual - other) > 0.02 * size_, np.nan_to_num(skewed, posinf=0.0), 0.0))
    # a bound that many rows of most windows touch and none crossed is a hard one
    near = ring[columns.near[which]]
    touching = (recent == far[:, None]) & (np.abs(near - far[:, None]) <= ALIKE * size_[:, None])
    touched = (columns.near[which] >= 0) & (touching.sum(axis=1) >= TOUCHED * np.isfinite(recent).sum(axis=1))
    edge = far + sign * np.where(touched, 0.0, step)
    high[which] = np.where(columns.upper[which], edge, np.inf)
    low[which] = np.where(columns.upper[which], -np.inf, edge)
    return low, high
