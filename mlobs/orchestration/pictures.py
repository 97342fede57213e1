"""A failed metric's history as a small picture, from what history remembers; reads, never writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from mlobs.detectors.verdict import Verdict

if TYPE_CHECKING:
    from mlobs.history import History

WINDOWS = 60
"""Newest windows drawn."""
LEAST = 3

Point = tuple[datetime, float, float, float, bool]
"""Start of the window, value, low, high, failed."""


def draw(history: History, verdict: Verdict) -> str | None:
    """The metric's newest windows up to the verdict's as an SVG text; None with fewer than three.

    A metric of the whole table has its own expected range in each window; of a field's metric history keeps the values,
    so the band is the range of the window judged.
    """
    from mlobs.detectors.picture import history_svg

    whole = not verdict.field and not verdict.segment
    past = _judged(history, verdict) if whole or verdict.detector == "drift" else _profiled(history, verdict)
    points = sorted({point[0]: point for point in (*past, _point(verdict))}.values())[-WINDOWS:]
    if sum(math.isfinite(point[1]) for point in points) < LEAST:
        return None
    times, values, low, high, failed = zip(*points, strict=True)
    name = f"{verdict.metric} of {verdict.field or verdict.table}"
    return history_svg(times, values, low, high, failed, metric=verdict.metric, title=name)


def _point(verdict: Verdict) -> Point:
    return verdict.window.start, verdict.value, verdict.expected.low, verdict.expected.high, verdict.failed


def _judged(history: History, verdict: Verdict) -> Iterator[Point]:
    """From remembered verdicts; ones before this window."""
    since = verdict.window.start - WINDOWS * verdict.window.length
    stored = history.verdicts(
        verdict.table,
        since=since,
        until=verdict.window.start,
        detector=verdict.detector,
        field=verdict.field,
        metric=verdict.metric,
    )
    return (_point(s.verdict) for s in stored if s.verdict.segment == verdict.segment)


def _profiled(history: History, verdict: Verdict) -> Iterator[Point]:
    """From remembered profiles, on the grid in force."""
    from mlobs.profiling import Reference

    pinned = history.reference(verdict.table)
    if pinned is None:
        return
    fingerprint = Reference.from_bytes(pinned.payload).profile.fingerprint
    failed = {
        s.verdict.window
        for s in history.verdicts(verdict.table, status="failed", field=verdict.field, metric=verdict.metric)
        if s.verdict.segment == verdict.segment
    }
    low, high = verdict.expected.low, verdict.expected.high
    for window, profile in history.profiles(verdict.table, fingerprint, before=verdict.window.start, last=WINDOWS):
        for measured in profile.measurements():
            if (measured.field, measured.metric, measured.segment) == (verdict.field, verdict.metric, verdict.segment):
                yield window.start, measured.value, low, high, window in failed
                break
