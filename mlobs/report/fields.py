"""The failed fields of a model's tables: histories with expected ranges, and distributions against the reference.

Values come from the remembered profiles. Ranges of passed windows are not remembered; they are learned again here by
the same monitor that judged, window by window, from what came before, with failed windows left out as they were then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlobs.detectors.verdict import Verdict
from mlobs.metrics.field_health import field_measurements
from mlobs.metrics.measurement import Measurement
from mlobs.report.content import CellState, Distribution, FailedField, MetricHistory, Series, cell_state
from mlobs.spec import Field, Table
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
MAX_LINES = 600
"""Failures listed on a page in all, at least `LEAST_LINES` a field."""
LEAST_LINES = 4
CURRENT = 7
"""Newest windows whose distribution is shown beside the reference."""
MAX_BINS = 16
DISTANCES = 12_000
"""Distances that are measured for the drift histories of a table, at most: a year of 32 fields. Beyond that windows that
passed are left out evenly: a distance over seven windows taken together moves little from one to the next."""

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Remembered:
    """The reference in force of a table, its version, and the profiles taken on its grid, oldest first."""

    version: str
    reference: Profile | None
    profiles: tuple[tuple[Window, Profile], ...]


def remembered(table: Table, history: History, since: datetime, now: datetime) -> Remembered:
    """What history holds of a table's profiles between `since` and `now`."""
    from mlobs.profiling import Reference

    pinned = history.reference(table.id)
    if pinned is None:
        return Remembered("", None, ())
    reference = Reference.from_bytes(pinned.payload).profile
    found = history.profiles(table.id, reference.fingerprint, since=since, before=now)
    return Remembered(pinned.version, reference, tuple(found))


def failed_fields(table: Table, known: Remembered, verdicts: Sequence[Verdict]) -> tuple[FailedField, ...]:
    """The failed fields of a table, those that matter most first; beyond `MAX_FIELDS` without histories."""
    failures: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.failed and verdict.field:
            failures.setdefault(verdict.field, []).append(verdict)
    declared = {f.name: f for f in table.fields}
    bare = [_bare(table.id, declared.get(field), field, found) for field, found in failures.items()]
    ranked = sorted(bare, key=lambda field: field.rank, reverse=True)
    drawn, rest = ranked[:MAX_FIELDS], ranked[MAX_FIELDS:]
    return (*_with_histories(table, known, drawn, failures), *rest)


def most_failed(fields: Sequence[FailedField]) -> tuple[tuple[FailedField, ...], tuple[str, ...]]:
    """What a page shows of the failed fields of all its tables, and sentences on what is left out."""
    ranked = sorted(fields, key=lambda field: field.rank, reverse=True)
    shown, rest = ranked[:MAX_FIELDS], ranked[MAX_FIELDS:]
    each = _histories_each(len(shown))
    left_out = (f"Left out for brevity: {', '.join(field.field for field in rest)}.",) if rest else ()
    lines = max(LEAST_LINES, min(MAX_FAILURES, MAX_LINES // max(1, len(shown))))
    kept = (replace(f, histories=f.histories[:each], failures=f.failures[:lines]) for f in shown)
    return tuple(kept), left_out


def _histories_each(fields: int) -> int:
    return max(1, min(PER_FIELD, MAX_HISTORIES // max(1, fields)))


@dataclass(frozen=True)
class _Chosen:
    """The chosen measurements of one window, as much of a profile as a monitor reads."""

    rows: int
    chosen: tuple[Measurement, ...]

    def measurements(self) -> Sequence[Measurement]:
        return self.chosen


def _bare(table: str, declared: Field | None, field: str, failures: Sequence[Verdict]) -> FailedField:
    newest = sorted(failures, key=lambda v: (v.window, v.severity == "error", abs(v.score)), reverse=True)
    return FailedField(
        table=table,
        field=field,
        unit=declared.unit if declared else "",
        description=declared.description if declared else "",
        histories=(),
        distribution=None,
        failures=tuple(newest[:MAX_FAILURES]),
        failed_windows=len({v.window for v in failures}),
        fault=any(v.severity == "error" for v in failures),
    )


def _with_histories(
    table: Table, known: Remembered, fields: Sequence[FailedField], failures: Mapping[str, Sequence[Verdict]]
) -> list[FailedField]:
    each = _histories_each(len(fields))
    metrics = {f.field: _worst_metrics(failures[f.field], each) for f in fields}
    wanted = {key: detector for keys in metrics.values() for key, detector in keys.items()}
    learned = _learned(table, known.profiles, {k for k, d in wanted.items() if d != "drift"}, failures)
    learned |= _drifted(table, known, {k for k, d in wanted.items() if d == "drift"})
    distributions = _distributions(known, list(metrics))
    told = []
    for one in fields:
        histories = []
        for key, detector in metrics[one.field].items():
            own = [v for v in failures[one.field] if (v.field, v.metric, v.segment) == key]
            series = _with_failures(learned.get(key, {}), own)
            metric = f"{key[1]} of {key[2]}" if key[2] else key[1]
            histories.append(MetricHistory(metric, detector, series, len(known.profiles)))
        told.append(replace(one, histories=tuple(histories), distribution=distributions.get(one.field)))
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
            key = (verdict.field, verdict.metric, verdict.segment)
            if key in told:
                told[key][window] = verdict
        monitor.observe(chosen, window, failed.get(window, ()))
    return told


def _drifted(table: Table, known: Remembered, keys: set[Key]) -> dict[Key, dict[Window, Verdict]]:
    """For each field its distance from the reference in each window, over the newest windows merged as then."""
    from mlobs.detectors.drift import drift_verdicts
    from mlobs.spec import Drift

    told: dict[Key, dict[Window, Verdict]] = {key: {} for key in keys}
    if not keys or known.reference is None:
        return told
    names = {key[0] for key in keys}

    def part(profile: Profile) -> Profile:
        fields = {name: state for name, state in profile.fields.items() if name in names}
        return replace(profile, fields=fields, segments={})

    reference, span = part(known.reference), Drift().windows
    every = max(1, math.ceil(len(names) * len(known.profiles) / DISTANCES))
    newest = len(known.profiles) - 1
    recent: list[Profile] = []
    for place, (window, profile) in enumerate(known.profiles):
        recent = [*recent, part(profile)][-span:]
        if (newest - place) % every:
            continue
        parts = [p for p in recent[:-1] if p.rows] + recent[-1:]
        for verdict in drift_verdicts(reference, parts, window, table=table.id):
            key = (verdict.field, verdict.metric, verdict.segment)
            if key in told:
                told[key][window] = verdict
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


def _distributions(known: Remembered, fields: Sequence[str]) -> dict[str, Distribution]:
    """The newest windows beside the reference in force, both on the reference's bins."""
    from mlobs.metrics.profiles import Profile

    newest, reference = known.profiles[-CURRENT:], known.reference
    if reference is None or not newest:
        return {}
    current = Profile.merged([p for _, p in newest])
    last = newest[-1][0].key
    current_name = f"{len(newest)} windows to {last}" if len(newest) > 1 else last
    reference_name = f"training data of version {known.version}" if known.version else "its first windows"
    told = {}
    for field in fields:
        if field in reference.fields and field in current.fields:
            before = dict(zip(*reference.distribution(field), strict=True))
            after = dict(zip(*current.distribution(field), strict=True))
            labels = list(dict.fromkeys([*before, *after]))
            then, now = ([float(side.get(label, 0)) for label in labels] for side in (before, after))
            told[field] = _shares(labels, then, now, reference_name, current_name)
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
