"""Real profiles of a case's clean days and of its faulty copies, taken by mlobs' own engine in one pass over one table.

Faulty copies are laid on days of their own after the last clean one, so that one `profile_windows` call profiles everything.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from mlobs.engines import connect
from mlobs.metrics.profiles import Profile
from mlobs.profiling import learn_reference, profile_windows
from mlobs.spec import Table
from mlobs.windows import Window
from mlobs_tests.benchmarks.alert_quality.case import Case
from mlobs_tests.benchmarks.alert_quality.faults import faults, slow_drift

HISTORY = 28
"""Days before the first one is judged; the reference is learned from them alone."""
DRIFT_DAYS = 14


@dataclass(frozen=True)
class Planted:
    """A faulty copy of day `at` (for a slow drift, of `DRIFT_DAYS` days from `at`) and the fields an alert should name."""

    at: int
    family: str
    magnitude: str
    fields: tuple[str, ...]
    profiles: tuple[Profile, ...]
    frames: tuple[pd.DataFrame | None, ...]


@dataclass(frozen=True)
class Run:
    """Everything a detector needs of one table: (window, profile) of its clean days, and the planted faults by day."""

    case: Case
    windows: list[Window]
    clean: list[Profile]
    planted: dict[int, list[Planted]]


def plant(case: Case, *, days: int = 12, drifts: int = 6) -> Run:
    """Profiles of all clean days, and of every fault on `days` sampled ones; seeds follow from the case's name."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    last = len(case.days) - DRIFT_DAYS - 1
    at = sorted(int(i) for i in rng.choice(np.arange(HISTORY + 1, last), min(days, last - HISTORY - 1), replace=False))
    wanted: list[tuple[int, str, str, tuple[str, ...], list[pd.DataFrame | None]]] = []
    for i in at:
        wanted += [(i, f.family, f.magnitude, f.fields, [f.frame]) for f in faults(case, i, rng)]
    for i in at[:drifts]:
        name, frames = slow_drift(case, i, DRIFT_DAYS, rng)
        wanted.append((i, "slow drift", f"1 sd in {DRIFT_DAYS} windows", (name,), list(frames)))

    parts = [frame for _, frame in case.days]
    places: list[list[Window]] = []
    free = case.days[-1][0] + timedelta(days=1)
    for i, family, _, _, frames in wanted:
        own = []
        for step, frame in enumerate(frames):
            own.append(Window(free, free + timedelta(days=1)))
            if frame is not None and len(frame):
                moved = frame.copy()
                moved[case.time] = moved[case.time] + (free - case.days[i + step][0])
                parts.append(moved)
            free += timedelta(days=1)
        # rows that were shifted out of their day must not fall into the next copy
        free += timedelta(days=family == "hour shifted")
        places.append(own)
    windows = [Window(day, day + timedelta(days=1)) for day, _ in case.days]
    table = Table("batches", time=case.time, key=case.key, segments=case.segments)
    profiles = _profiled(parts, table, windows, [w for own in places for w in own])
    planted: dict[int, list[Planted]] = {}
    for (i, family, magnitude, fields, frames), own in zip(wanted, places, strict=True):
        found = tuple(profiles[w].with_window(windows[i + s]) for s, w in enumerate(own))
        planted.setdefault(i, []).append(Planted(i, family, magnitude, fields, found, tuple(frames)))
    return Run(case, windows, [profiles[w] for w in windows], planted)


def _profiled(
    parts: Sequence[pd.DataFrame], table: Table, clean: Sequence[Window], faulty: Sequence[Window]
) -> dict[Window, Profile]:
    frame = pd.concat(parts, ignore_index=True)
    frame[table.time] = frame[table.time].astype("datetime64[us]")
    for name in frame.columns:
        if frame[name].dtype == object or str(frame[name].dtype).startswith("str"):
            frame[name] = frame[name].astype("string")
    engine = connect("duckdb:///:memory:")
    # registered, not landed: landing would drop repeated keys, which here are faults to be found
    engine.register(table.name, frame)  # type: ignore[attr-defined]
    reference = learn_reference(engine, table, clean[:HISTORY])
    span = Window(clean[0].start, max([*clean, *faulty]).end)
    return profile_windows((engine, table), list(span.split(timedelta(days=1))), reference=reference)
