"""Drift: is a window's distribution (or that of several merged windows) another than the reference's? Pure.

A field drifts when its distance exceeds an effect-size floor *after* the distance that two samples of the same
population would have anyway was taken off, and when chance is ruled out over all fields together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri

from mlobs.detectors.verdict import Range, Verdict
from mlobs.windows import Window

Floats = NDArray[np.float64]

FLOOR = 0.1
FALSE_ALARM_RATE = 1e-3
"""Chance of any drift verdict failing on one comparison of a table without drift, over all its fields."""


class Distance(NamedTuple):
    """Distance of one field with what chance explains of it."""

    value: float
    noise: float
    threshold: float
    score: float


def psi_noise(reference: Floats, current: Floats) -> tuple[float, int]:
    """Factor and degrees of freedom of the PSI of two samples of one population: PSI ~ (1/n + 1/m) chi-squared(k - 1).

    Source: B. Yurdakul, Statistical properties of population stability index, thesis (2018), section 3.
    """
    n, m = float(current.sum()), float(reference.sum())
    bins = int(((reference + current) > 0).sum())
    return (1 / n + 1 / m if n and m else math.inf), max(bins - 1, 1)


def _psi(reference: Floats, current: Floats) -> float:
    k = max(len(reference), 1)
    p = (reference + 0.5) / (reference.sum() + 0.5 * k)
    q = (current + 0.5) / (current.sum() + 0.5 * k)
    return float(np.sum((q - p) * np.log(q / p)))


def measure(reference: Floats, current: Floats, *, fields: int = 1, floor: float = FLOOR) -> Distance:
    """PSI of two count vectors of shape (n_bins,), its noise floor, and the threshold above which it is drift."""
    factor, dof = psi_noise(reference, current)
    value = _psi(reference, current)
    noise = factor * dof
    chance = factor * float(chdtri(dof, FALSE_ALARM_RATE / max(fields, 1)))
    return Distance(value, noise, max(floor + noise, chance), (value - noise) / (factor * math.sqrt(2 * dof)))


def drift(reference: Any, profile: Any, *, floor: float = FLOOR) -> pd.DataFrame:
    """Distance of every field of a profile from the reference.

    Args:
        reference: anything with `.profile`, or a profile itself.
        profile: the profile to compare, or several windows' profiles, whose rows are taken together.
        floor: effect size in PSI below which nothing is called drift.

    Returns:
        Frame with one row per field: field, distance ("psi"), value, noise_floor, threshold, verdict.
    """
    base = getattr(reference, "profile", reference)
    parts = list(profile) if isinstance(profile, (list, tuple)) else [profile]
    rows = []
    shared = [name for name in parts[-1].fields if name in base.fields]
    for name in shared:
        found = measure(*_counts(base, parts, name), fields=len(shared), floor=floor)
        failed = found.value > found.threshold
        rows.append((name, "psi", found.value, found.noise, found.threshold, "failed" if failed else "passed"))
    return pd.DataFrame(rows, columns=["field", "distance", "value", "noise_floor", "threshold", "verdict"])


def drift_verdicts(
    reference: Any, profiles: Any, window: Any, *, table: str = "", floor: float = FLOOR, history: Sequence[Any] = ()
) -> list[Verdict]:
    """A verdict of check `drift`, metric `psi`, per field; severity `warn`, since the world may have changed.

    Args:
        reference: anything with `.profile`, or a profile.
        profiles: the profile of the window, or those of the newest windows, which are merged.
        window: the newest of these windows.
        history: profiles of earlier windows; their distances show how far a field strays by itself.
    """
    at = Window.of(window)
    parts = list(profiles) if isinstance(profiles, (list, tuple)) else [profiles]
    out = []
    span = "" if len(parts) == 1 else f" over the newest {len(parts)} windows"
    for row in drift(reference, parts, floor=floor).itertuples():
        failed = row.verdict == "failed"
        said = (
            f"distribution of {row.field}{span} is {'far from' if failed else 'like'} the reference:"
            f" PSI {row.value:.3f}, threshold {row.threshold:.3f} (chance alone gives about {row.noise_floor:.3f})"
        )
        bounds = Range(0.0, float(row.threshold), min(float(row.noise_floor), float(row.threshold)))
        out.append(
            Verdict(
                "failed" if failed else "passed", table, str(row.field), "psi", "", at, float(row.value), bounds,
                "warn" if failed else "none", said, "drift", float(row.value / row.threshold),
            )
        )  # fmt: skip
    return out


def _counts(base: Any, parts: Sequence[Any], name: str) -> tuple[Floats, Floats]:
    """Counts of the reference and of all parts together, on the same bins; a bin that one side lacks has none."""
    first = dict(zip(*base.distribution(name), strict=True))
    second: dict[Any, float] = {}
    for part in parts:
        if name in part.fields:
            for label, count in zip(*part.distribution(name), strict=True):
                second[label] = second.get(label, 0.0) + count
    both = list(dict.fromkeys([*first, *second]))
    return np.array([first.get(b, 0) for b in both], float), np.array([second.get(b, 0) for b in both], float)
