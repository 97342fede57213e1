"""Drift: is the distribution of a window, or of several merged ones, another than the reference's? Pure.

A field drifts when its distance, less what two samples of one population would have anyway, exceeds an effect-size floor,
and chance is ruled out over all fields of the table together. Null, out-of-range and unseen are bins like others.
A level that was reported is known: a season that stays away for weeks is one report, not one a day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri

from mlobs.detectors.verdict import Range, Verdict
from mlobs.errors import SpecError
from mlobs.metrics.distances import distance as state_distance
from mlobs.windows import Window

Floats = NDArray[np.float64]

FLOOR = 0.1
FALSE_ALARM_RATE = 1e-3
"""Chance that any field of a table without drift is said to drift in one comparison."""
TABLE_SHARE = 0.3
"""Share of a table's fields (two at least) that must drift before the table itself does."""
TOLD = 3
"""Windows in a row in which drift fails; after them its level is known and passes, as a lasting level of any metric does."""
GROWN = 2.0
"""Growth of a known level's PSI from which it fails again; other distances, which grow as its root, by the root."""
REMEMBERED = 90
"""Windows for which a level stays known; one that lasts longer is brought to mind once more."""
FAR = 4.0
"""Score of a verdict from which its distance is beyond the threshold of drift, be it known or not."""
DISTANCES = ("psi", "jensen_shannon", "hellinger", "total_variation", "ks", "wasserstein")
"""Distances that are judged; see `mlobs.metrics.distances`. `ks` and `wasserstein` are of numeric fields' finite values."""


class Distance(NamedTuple):
    """Distance of one field, what chance gives on average, the threshold of drift, and a normal score."""

    value: float
    noise: float
    threshold: float
    score: float


def judged_distance(
    value: float, reference: Floats, current: Floats, *, distance: str, fields: int = 1, floor: float = FLOOR,
    past: Floats | None = None,
) -> Distance:  # fmt: skip
    """A distance with its noise floor and threshold, from the two count vectors of shape (n_bins,) behind it.

    Without drift, PSI / (1/n + 1/m) follows a chi-squared distribution of k - 1 degrees of freedom for k bins;
    Jensen-Shannon divergence (natural) and squared Hellinger distance are PSI / 8 to second order; total variation has mean
    sqrt(2 / pi) / 2 times the sum of the bins' standard errors; KS has Kolmogorov's tail; the scaled Wasserstein distance
    of a normal field has mean near 0.9 and, at this tail, at most the normal quantile, times sqrt(1/n + 1/m).

    Args:
        fields: how many fields are compared at once; the false-alarm rate is divided among them.
        floor: smallest distance beyond chance that matters.
        past: distances of earlier windows, if known: the threshold isn't below their largest.

    Source: B. Yurdakul, Statistical properties of population stability index (2018), section 3.
    """
    n, m = float(current.sum()), float(reference.sum())
    if not n or not m or math.isnan(value):
        return Distance(math.nan, math.nan, math.nan, 0.0)
    used = (reference + current) > 0
    p, q = reference[used] / m, current[used] / n
    factor, dof = 1 / n + 1 / m, max(int(used.sum()) - 1, 1)
    alpha = FALSE_ALARM_RATE / max(fields, 1)
    # with few rows a bin the tail is heavier than chi-squared; this factor covers 50 rows and more, by simulation
    chance_psi = factor * float(chdtri(dof, alpha)) * (1 + 3 * dof / (n + m) + 1.5 * dof / n)
    if distance == "psi":
        noise, chance = factor * dof, chance_psi
    elif distance == "jensen_shannon":
        noise, chance = (math.sqrt(x / 8 / math.log(2)) for x in (factor * dof, chance_psi))
    elif distance == "hellinger":
        noise, chance = (math.sqrt(x / 8) for x in (factor * dof, chance_psi))
    elif distance in ("ks", "wasserstein"):
        # both become total variation on fields that have no order, which the larger of the bounds covers
        se = np.sqrt((p + q) / 2 * (1 - (p + q) / 2) * factor)
        noise = 0.87 * math.sqrt(factor)
        chance = max(
            math.sqrt(-0.5 * math.log(alpha / 2) * factor),
            0.4 * float(se.sum()) - float(ndtri(alpha)) * float(se.max()),
        )
        if distance == "wasserstein":
            chance = max(chance, -float(ndtri(alpha / 2)) * math.sqrt(factor) * 1.1)
    elif distance == "total_variation":
        se = np.sqrt((p + q) / 2 * (1 - (p + q) / 2) * factor)
        noise = 0.5 * math.sqrt(2 / math.pi) * float(se.sum())
        chance = noise - float(ndtri(alpha)) * 0.5 * float(np.sqrt((se**2).sum()))
    else:
        raise SpecError(f"distance {distance!r} is unknown: use one of {', '.join(DISTANCES)}")
    threshold = max(floor + noise if distance == "psi" else math.hypot(floor, noise), chance)
    if past is not None and len(past):
        most = float(np.max(past))
        # the difference of two distances strays, too: by the delta method PSI has standard error 2 sqrt(PSI (1/n + 1/m))
        threshold = max(threshold, most + 6 * math.sqrt(2 * most * factor) if distance == "psi" else 1.3 * most)
    return Distance(value, noise, threshold, 4.0 * value / threshold if threshold > 0 else 0.0)


def _measured(base: Any, profile: Any, name: str, distance: str, **options: Any) -> Distance:
    if distance not in DISTANCES:
        raise SpecError(f"distance {distance!r} is unknown: use one of {', '.join(DISTANCES)}")
    value = state_distance(base.fields[name], profile.fields[name], distance)
    return judged_distance(value, *_counts(base, profile, name), distance=distance, **options)


def drift(reference: Any, profile: Any, *, distance: str = "psi", floor: float = FLOOR) -> pd.DataFrame:
    """Distance of every field of a profile from the reference.

    Args:
        reference: anything with `.profile`, or a profile itself.
        profile: the profile to compare; merge several windows' first (`Profile.merged`).
        distance: one of `DISTANCES`.
        floor: effect size below which nothing is called drift, whatever the number of rows.

    Returns:
        Frame with one row per field both have: field, distance, value, noise_floor, threshold, verdict.

    Raises:
        SpecError: unknown distance.
    """
    base = getattr(reference, "profile", reference)
    shared = [
        name for name in profile.fields if name in base.fields and profile.fields[name].kind == base.fields[name].kind
    ]
    rows = []
    for name in shared:
        found = _measured(base, profile, name, distance, fields=len(shared), floor=floor)
        failed = found.value > found.threshold
        rows.append((name, distance, found.value, found.noise, found.threshold, "failed" if failed else "passed"))
    return pd.DataFrame(rows, columns=["field", "distance", "value", "noise_floor", "threshold", "verdict"])


def drift_verdicts(
    reference: Any,
    profiles: Any,
    window: Any,
    *,
    table: str = "",
    floor: float = FLOOR,
    distance: str = "psi",
    strayed: Mapping[str, Floats] | None = None,
    earlier: Sequence[Verdict] = (),
) -> list[Verdict]:
    """A verdict of check `drift` per field, and one for the table; severity `warn`, since the world may have changed.

    Args:
        reference: anything with `.profile`, or a profile.
        profiles: the profile of the window, or those of the newest windows, which are merged: slow drift shows in them.
        window: the newest of these windows.
        distance: one of `DISTANCES`; it is the metric's name.
        strayed: field -> distances of earlier windows that were accepted (`distances_of`): a field that has been that far
            from the reference before is not drifting now.
        earlier: what failed in earlier windows against the same reference (other verdicts may be among them): a field whose
            drift was reported `TOLD` windows in a row, or has ended since, fails again only when it has grown `GROWN`-fold.

    Returns:
        Per field metric `distance`; with two fields or more, `drifted_fields` of the table itself, which fails when at
        least `TABLE_SHARE` of the fields (two at least) drift. `learning` where there are no rows.
    """
    at = Window.of(window)
    base = getattr(reference, "profile", reference)
    parts = list(profiles) if isinstance(profiles, (list, tuple)) else [profiles]
    merged = _merged(parts)
    span = "" if len(parts) == 1 else f" over the newest {len(parts)} windows"
    shared = [
        name for name in merged.fields if name in base.fields and merged.fields[name].kind == base.fields[name].kind
    ]
    out: list[Verdict] = []
    drifted = []
    for name in shared:
        past = strayed.get(name) if strayed else None
        found = _measured(base, merged, name, distance, fields=len(shared), floor=floor, past=past)
        if math.isnan(found.value):
            unknown = Range(-math.inf, math.inf, math.nan, 1)
            reason = f"{name} has no rows{span} to compare with the reference"
            out.append(Verdict("learning", table, name, distance, "", at, math.nan, unknown, "none", reason, "drift"))
            continue
        far, known = found.value > found.threshold, _known(earlier, name, distance, at)
        limit = max(found.threshold, (GROWN if distance == "psi" else math.sqrt(GROWN)) * known.value)
        failed = found.value > limit
        if failed:
            drifted.append((found.value / found.threshold, name))
        label = "PSI" if distance == "psi" else distance.replace("_", " ")
        reason = (
            f"the distribution of {name}{span} is {'far from' if far else 'like'} the reference: {label}"
            f" {found.value:.3f}, drift above {found.threshold:.3f}; chance alone gives about {found.noise:.3f}"
        )
        if far and not failed:
            reason += f"; known since {known.since:%Y-%m-%d}, reported again above {limit:.3f}"
        if far:
            reason += _moved(*_counts(base, merged, name), labels=base.distribution(name)[0])
        bounds = Range(0.0, limit, min(found.noise, limit))
        out.append(
            Verdict(
                "failed" if failed else "passed", table, name, distance, "", at, found.value, bounds,
                "warn" if failed else "none", reason, "drift", found.score,
            )
        )  # fmt: skip
    return [*out, *_table_verdict(table, at, span, drifted, len(shared))]


def distances_of(reference: Any, profiles: Sequence[Any], distance: str = "psi") -> dict[str, Floats]:
    """Field -> its finite distances from the reference in each of the profiles (of windows, or of merged spans of them)."""
    base = getattr(reference, "profile", reference)
    found: dict[str, Floats] = {}
    for name, state in base.fields.items():
        values = [
            state_distance(state, p.fields[name], distance)
            for p in profiles
            if name in p.fields and p.fields[name].kind == state.kind
        ]
        found[name] = np.array([v for v in values if math.isfinite(v)])
    return found


def is_far(verdict: Verdict) -> bool:
    """Whether a verdict of the check `drift` speaks of drift, newly reported or known."""
    return verdict.failed or verdict.score > FAR


class _Known(NamedTuple):
    """The largest distance reported before, and since when; 0 when none was."""

    value: float
    since: datetime


def _known(earlier: Sequence[Verdict], name: str, distance: str, at: Window) -> _Known:
    """The level of drift that is known of a field when `at` begins."""
    first = at.start - REMEMBERED * at.length
    failed = sorted(
        (
            v
            for v in earlier
            if v.failed and (v.field, v.metric) == (name, distance) and first <= v.window.start < at.start
        ),
        key=lambda v: v.window.start,
    )
    # the run of windows that ends where `at` begins is still being told
    running: list[Verdict] = []
    for v in reversed(failed):
        follows = running[-1].window.start if running else at.start
        if follows - v.window.end >= at.length:
            break
        running.append(v)
    told = failed if len(running) >= TOLD else failed[: len(failed) - len(running)]
    return _Known(max((v.value for v in told), default=0.0), told[0].window.start if told else at.start)


def _table_verdict(table: str, at: Window, span: str, drifted: list[tuple[float, str]], fields: int) -> list[Verdict]:
    if fields < 2:
        return []
    most = max(2, math.ceil(TABLE_SHARE * fields))
    failed = len(drifted) >= most
    worst = ", ".join(name for _, name in sorted(drifted, reverse=True)[:5])
    reason = f"{len(drifted)} of {fields} fields drift{span}" + (f", most of all {worst}" if drifted else "")
    return [
        Verdict(
            "failed" if failed else "passed", table, "", "drifted_fields", "", at, float(len(drifted)),
            Range(0.0, float(most) - 0.5, 0.0), "warn" if failed else "none", reason, "drift", 4.0 * len(drifted) / most,
        )
    ]  # fmt: skip


def _moved(reference: Floats, current: Floats, labels: Sequence[str]) -> str:
    """Which bin moved most, in words."""
    if len(labels) != len(reference) or not current.sum() or not reference.sum():
        return ""
    p, q = reference / reference.sum(), current / current.sum()
    at = int(np.argmax(np.abs(q - p)))
    return f"; {labels[at]} went from {p[at]:.1%} to {q[at]:.1%}"


def _merged(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    many = getattr(type(parts[0]), "merged", None)
    if many is not None:
        return many(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged = merged + part
    return merged


def _counts(base: Any, profile: Any, name: str) -> tuple[Floats, Floats]:
    labels, counts = base.distribution(name)
    other_labels, other = profile.distribution(name)
    if list(labels) == list(other_labels):
        return np.asarray(counts, float), np.asarray(other, float)
    both = list(dict.fromkeys([*labels, *other_labels]))
    first, second = dict(zip(labels, counts, strict=True)), dict(zip(other_labels, other, strict=True))
    return np.array([first.get(b, 0) for b in both], float), np.array([second.get(b, 0) for b in both], float)
