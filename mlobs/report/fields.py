"""The failed fields of a model's tables: histories with expected ranges, and distributions against the reference.

Values come from the remembered profiles. Ranges of passed windows are not remembered; they are learned again here by
the same monitor that judged, window by window, from what came before, with failed windows left out as they were then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlobs.detectors.verdict import Verdict
from mlobs.metrics.field_health import field_measurements
from mlobs.metrics.measurement import Measurement
from mlobs.report import wording
from mlobs.report.content import CellState, Distribution, FailedField, MetricHistory, Series, cell_state
from mlobs.spec import Model, Table
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.history import History
    from mlobs.metrics.profiles import Profile

MAX_FIELDS = 100
"""Failed fields that get histories; the rest is named."""
MAX_HISTORIES = 120
"""Histories on a page, at least one a field while there are enough; keeps the file small."""
PER_FIELD = 3
MAX_FAILURES = 12
CURRENT = 7
"""Newest windows whose distribution is shown beside the reference."""
MAX_BINS = 16

Key = tuple[str, str, str]


def failed_fields(
    model: Model, history: History, verdicts: Mapping[str, Sequence[Verdict]], since: datetime, now: datetime
) -> tuple[tuple[FailedField, ...], tuple[str, ...]]:
    """The failed fields of all tables, errors and newest first, and sentences on what is left out."""
    failures: dict[tuple[str, str], list[Verdict]] = {}
    for table in model.tables.values():
        for verdict in verdicts.get(table.id, ()):
            if verdict.failed and verdict.field:
                failures.setdefault((table.id, verdict.field), []).append(verdict)
    ranked = sorted(failures, key=lambda key: _rank(failures[key]), reverse=True)
    shown, rest = ranked[:MAX_FIELDS], ranked[MAX_FIELDS:]
    each = max(1, min(PER_FIELD, MAX_HISTORIES // max(1, len(shown))))
    found: dict[tuple[str, str], FailedField] = {}
    for table in model.tables.values():
        mine = [field for name, field in shown if name == table.id]
        if mine:
            told = _of_table(model, table, history, {f: failures[table.id, f] for f in mine}, each, since, now)
            found.update({(table.id, field.field): field for field in told})
    left_out = (f"Left out for brevity: {', '.join(field for _, field in rest)}.",) if rest else ()
    return tuple(found[key] for key in shown), left_out


def _rank(verdicts: Sequence[Verdict]) -> tuple[Any, ...]:
    """Fields whose newest failure is newest come first, then those with data faults, then those that fail most."""
    newest = max(v.window for v in verdicts)
    here = [v for v in verdicts if v.window == newest]
    return newest, any(v.severity == "error" for v in here), len({v.window for v in verdicts})


@dataclass(frozen=True)
class _Chosen:
    """The chosen measurements of one window, as much of a profile as a monitor reads."""

    rows: int
    chosen: tuple[Measurement, ...]

    def measurements(self) -> Sequence[Measurement]:
        return self.chosen


def _of_table(
    model: Model,
    table: Table,
    history: History,
    failures: Mapping[str, Sequence[Verdict]],
    each: int,
    since: datetime,
    now: datetime,
) -> list[FailedField]:
    profiles = history.newest_profiles(table.id, since=since, before=now)
    metrics = {field: _worst_metrics(found, each) for field, found in failures.items()}
    health = {key for keys in metrics.values() for key, detector in keys.items() if detector == "field_health"}
    learned = _learned(table, profiles, health, failures)
    distributions = _distributions(model, table, history, profiles, failures)
    declared = {f.name: f for f in table.fields}
    told = []
    for field, found in failures.items():
        histories = []
        for key, detector in metrics[field].items():
            own = [v for v in found if (v.field, v.metric, v.segment) == key]
            series = _with_failures(learned.get(key, {}), own)
            metric = f"{key[1]} of {key[2]}" if key[2] else key[1]
            histories.append(MetricHistory(metric, detector, series))
        spec = declared.get(field)
        newest = sorted(found, key=lambda v: (v.window, v.severity == "error", abs(v.score)), reverse=True)
        told.append(
            FailedField(
                table=table.id,
                field=field,
                unit=spec.unit if spec else "",
                description=spec.description if spec else "",
                histories=tuple(histories),
                distribution=distributions.get(field),
                failures=tuple(newest[:MAX_FAILURES]),
                failed_windows=len({v.window for v in found}),
            )
        )
    return told


def _worst_metrics(failures: Sequence[Verdict], most: int) -> dict[Key, str]:
    """The metrics that failed hardest in the newest failed window, then those that fail most often."""
    newest = max(v.window for v in failures)
    often: dict[Key, int] = {}
    detectors: dict[Key, str] = {}
    strength: dict[Key, tuple[bool, float]] = {}
    for v in failures:
        key = (v.field, v.metric, v.segment)
        often[key] = often.get(key, 0) + 1
        detectors[key] = v.detector
        if v.window == newest:
            strength[key] = (v.severity == "error", abs(v.score))
    ranked = sorted(often, key=lambda k: (k in strength, strength.get(k, (False, 0.0)), often[k]), reverse=True)
    return {key: detectors[key] for key in ranked[:most]}


def _learned(
    table: Table, profiles: Sequence[tuple[Window, Profile]], keys: set[Key], failures: Mapping[str, Sequence[Verdict]]
) -> dict[Key, dict[Window, Verdict]]:
    """For each metric its verdict in each window, judged again from the windows before it."""
    from mlobs.detectors.table_monitor import TableMonitor

    monitor = TableMonitor(table.id, false_alarms_per_month=table.false_alarms_per_month, cadence=table.cadence)
    failed: dict[Window, list[Verdict]] = {}
    for found in failures.values():
        for verdict in found:
            failed.setdefault(verdict.window, []).append(verdict)
    fields = {key[0] for key in keys}
    told: dict[Key, dict[Window, Verdict]] = {key: {} for key in keys}
    for window, profile in profiles:
        measured = [
            m
            for name in fields
            if name in profile.fields
            for m in field_measurements(name, profile.fields[name], window.end)
            if (m.field, m.metric, m.segment) in keys
        ]
        chosen = _Chosen(profile.rows, tuple(measured))
        for verdict in monitor.judge(chosen, window):
            told[verdict.field, verdict.metric, verdict.segment][window] = verdict
        monitor.observe(chosen, window, failed.get(window, ()))
    return told


def _with_failures(learned: Mapping[Window, Verdict], failures: Sequence[Verdict]) -> Series:
    """What was said then stands: a window fails exactly where history says so, against the range it said."""
    said = dict(learned)
    for verdict in failures:
        said[verdict.window] = verdict
    series = Series.of(said.values())
    truly = {v.window: cell_state(v) for v in failures}
    states: list[CellState] = []
    for window, state in zip(series.windows, series.states, strict=True):
        states.append(truly.get(window, "passed" if state in ("error", "warn") else state))
    reasons = tuple(r if w in truly else "" for w, r in zip(series.windows, series.reasons, strict=True))
    return Series(series.windows, series.values, series.low, series.high, series.expected, tuple(states), reasons)


def _distributions(
    model: Model,
    table: Table,
    history: History,
    profiles: Sequence[tuple[Window, Profile]],
    fields: Mapping[str, Any],
) -> dict[str, Distribution]:
    """The newest windows beside the reference in force, both on the reference's bins."""
    from mlobs.metrics.profiles import Profile
    from mlobs.profiling import Reference

    pinned = history.reference(table.id)
    if pinned is None or not profiles:
        return {}
    reference = Reference.from_bytes(pinned.payload).profile
    same = [(w, p) for w, p in profiles if p.fingerprint == reference.fingerprint][-CURRENT:]
    if not same:
        return {}
    current = Profile.merged([p for _, p in same])
    told = {}
    names = f"{wording.count(len(same), 'window')} to {same[-1][0].key}" if len(same) > 1 else same[0][0].key
    for field in fields:
        if field in reference.fields and field in current.fields:
            labels, before = reference.distribution(field)
            after = current.distribution(field)[1]
            reference_name = f"version {pinned.version}" if pinned.version else "first windows"
            told[field] = _shares(labels, list(map(float, before)), list(map(float, after)), reference_name, names)
    return told


def _shares(
    labels: Sequence[str], before: Sequence[float], after: Sequence[float], reference: str, current: str
) -> Distribution:
    """Counts as shares; empty bins are dropped and the smallest are put together when there are many."""
    total, now = sum(before) or math.inf, sum(after) or math.inf
    bins = [(label, b / total, a / now) for label, b, a in zip(labels, before, after, strict=True) if b or a]
    if len(bins) > MAX_BINS:
        large = sorted(range(len(bins)), key=lambda i: max(bins[i][1:]), reverse=True)[: MAX_BINS - 1]
        small = [i for i in range(len(bins)) if i not in set(large)]
        rest = (f"{len(small)} smaller", sum(bins[i][1] for i in small), sum(bins[i][2] for i in small))
        bins = [bins[i] for i in sorted(large)] + [rest]
    names, shares, newest = zip(*bins, strict=True) if bins else ((), (), ())
    return Distribution(tuple(names), tuple(shares), tuple(newest), reference, current)
