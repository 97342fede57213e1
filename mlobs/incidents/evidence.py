"""Gathers from history what `causes` needs to explain a fall in accuracy. Reads only; judges nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

from mlobs.detectors.drift import FAR, is_far
from mlobs.detectors.verdict import Verdict
from mlobs.history import History
from mlobs.incidents.causes import Evidence, Fall, FieldDrift, Labels, SegmentChange, VersionChange
from mlobs.incidents.grouping import PERFORMANCE, upstream
from mlobs.metrics.accuracy import Estimate, error, estimate, estimate_regret, naive_error, watched_error
from mlobs.spec import Model
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window

BEFORE = 28
"""Windows before the fall that it is compared with, at most."""

AROUND = 7
"""Windows on each side of a change of version that are compared."""

COVERED = 0.98
"""Coverage above which labels count as complete: ordinary gaps are no news."""

ByWindow = dict[Window, AccuracyState]
Measure = Callable[[Sequence[AccuracyState]], Estimate]
"""The error of windows taken together."""


def gather(
    history: History,
    model: Model,
    window: Window,
    lineage: Mapping[str, Sequence[str]],
    *,
    versions_since: datetime | None = None,
    against_naive: bool = False,
) -> Evidence | None:
    """What is remembered around a fall of the model's error in `window` (one window, or from the first to the last).

    The error in `window` is compared with that of the windows before it, at most `BEFORE`.

    Args:
        lineage: table (or "model.performance") -> the tables it is made from.
        versions_since: changes of version that are older are no suspects; the windows compared if left out.
        against_naive: explain the error beyond the naive baseline's rather than the error itself.

    Returns:
        None when there are no labelled predictions in the window or before it.

    Raises:
        HistoryError, ProfileError: when history can't be read.
    """
    metric = watched_error(model.task, model.accuracy.metric if model.accuracy else None)
    measure = partial(estimate_regret if against_naive else estimate, metric=metric)
    whole = remembered_accuracy(history, model, window.end)
    after = {w: s for w, s in whole.items() if w.start >= window.start and s.labelled}
    before = dict([(w, s) for w, s in sorted(whole.items()) if w.end <= window.start and s.labelled][-BEFORE:])
    if not after or not before:
        return None
    was, now = measure(list(before.values())), measure(list(after.values()))
    spread = _both(was.standard_error, now.standard_error)
    fall = Fall(model.name, window, metric, was.value, now.value, spread, against_naive)
    first = min(before).start
    tables = _sources(model, lineage)
    return Evidence(
        fall,
        _failures(history, tables, window),
        _drift(history, tables, window),
        _importances(history, model),
        _segments(history, model, before, after, measure),
        _versions(history, model, versions_since or first, window, measure),
        _labels(whole, before, window),
        None if against_naive else _naive(before, after, metric),
        model.actuals.id,
    )


def gather_promised(
    history: History,
    model: Model,
    window: Window,
    lineage: Mapping[str, Sequence[str]],
    *,
    against_naive: bool = False,
) -> Evidence | None:
    """As `gather`, for a model that has hardly any windows before: its error beside what cross-validation gave.

    There are no segments, versions or labels before to compare with; faults and drift upstream can be told.

    Returns:
        None when there are no labelled predictions in the window, or the cross-validated error isn't known.
    """
    metric = watched_error(model.task, model.accuracy.metric if model.accuracy else None)
    states = [s for w, s in remembered_accuracy(history, model, window.end).items() if w.start >= window.start]
    states = [s for s in states if s.labelled]
    info = deployed(history, model.name)
    promised, baseline = info.get("cv_error"), (info.get("metrics") or {}).get(f"cv_naive_{metric}")
    if not states or not isinstance(promised, (int, float)):
        return None
    if against_naive:
        promised = promised - baseline if isinstance(baseline, (int, float)) else 0.0
    now = (estimate_regret if against_naive else estimate)(states, metric)
    spread = _both(now.standard_error)
    fall = Fall(model.name, window, metric, float(promised), now.value, spread, against_naive, promised=True)
    tables = _sources(model, lineage)
    return Evidence(
        fall,
        _failures(history, tables, window),
        _drift(history, tables, window),
        _importances(history, model),
        actuals=model.actuals.id,
    )


def _sources(model: Model, lineage: Mapping[str, Sequence[str]]) -> set[str]:
    return upstream(lineage, model.name + PERFORMANCE) or {t.id for t in model.tables.values()}


def _failures(history: History, tables: set[str], window: Window) -> list[Verdict]:
    found = history.verdicts(since=window.start, until=window.end, status="failed")
    return [kept.verdict for kept in found if kept.verdict.table in tables]


def remembered_accuracy(history: History, model: Model, until: datetime) -> ByWindow:
    """The accuracy of each window that began before `until`, all versions together."""
    merged: ByWindow = {}
    for window, _, payload in history.accuracy(model.name, until=until):
        state = AccuracyState.from_bytes(payload)
        merged[window] = merged[window] + state if window in merged else state
    return merged


def _drift(history: History, tables: set[str], window: Window) -> list[FieldDrift]:
    """The newest distance of every field that was far from the reference in the window, newly or for long."""
    newest: dict[tuple[str, str], Verdict] = {}
    for kept in history.verdicts(since=window.start, until=window.end, detector="drift"):
        v = kept.verdict
        if v.table in tables and v.field and is_far(v):
            newest[v.table, v.field] = v
    return [
        # what is known for long passes up to a wider limit than that of drift
        FieldDrift(v.table, v.field, v.value, v.expected.high if v.failed else FAR * v.value / v.score)
        for v in newest.values()
    ]


def deployed(history: History, model: str) -> Mapping[str, Any]:
    """What is known of the training of a model's deployed version; of the newest one when none is deployed."""
    champion = history.champion(model)
    versions = history.versions(model)
    chosen = [v for v in versions if champion is None or v.version == champion.version] or versions
    return chosen[-1].info if chosen else {}


def _importances(history: History, model: Model) -> Mapping[str, float]:
    found = deployed(history, model.name).get("importances")
    return {str(name): float(value) for name, value in found.items()} if isinstance(found, Mapping) else {}


def _segments(
    history: History, model: Model, before: ByWindow, after: ByWindow, measure: Measure
) -> dict[str, list[SegmentChange]]:
    """Segment field -> its segments, before and after."""
    states: dict[str, dict[bool, list[AccuracyState]]] = defaultdict(lambda: {False: [], True: []})
    by_window: dict[tuple[str, Window], AccuracyState] = {}
    first, last = min(before).start, max(after).end
    for window, _, payload, segment in history.accuracy_segments(model.name, since=first, until=last):
        state = AccuracyState.from_bytes(payload)
        known = by_window.get((segment, window))
        by_window[segment, window] = state if known is None else known + state
    for (segment, window), state in by_window.items():
        if (window in before or window in after) and state.labelled:
            states[segment][window in after].append(state)
    found: dict[str, list[SegmentChange]] = defaultdict(list)
    for segment, halves in sorted(states.items()):
        was = measure(halves[False]) if halves[False] else None
        now = measure(halves[True]) if halves[True] else None
        change = SegmentChange(
            segment,
            was.rows if was else 0,
            now.rows if now else 0,
            was.value if was else math.nan,
            now.value if now else math.nan,
            _both(was.standard_error, now.standard_error) if was and now else 0.0,
        )
        found[segment.partition("=")[0].removesuffix(" is null")].append(change)
    return dict(found)


def _versions(history: History, model: Model, since: datetime, window: Window, measure: Measure) -> list[VersionChange]:
    """Changes of version in the windows compared, with the error on both sides of each."""
    leading: dict[Window, tuple[str, AccuracyState]] = {}
    for found, version, payload in history.accuracy(model.name, until=window.end):
        state = AccuracyState.from_bytes(payload)
        if state.labelled and (found not in leading or state.labelled > leading[found][1].labelled):
            leading[found] = version, state
    ordered = [(w, *leading[w]) for w in sorted(leading)]
    changes = []
    for place, ((_, previous, _), (start, version, _)) in enumerate(pairwise(ordered), 1):
        if version == previous or start.start <= since:
            continue
        at = start.start
        old = [s for _, v, s in ordered[max(0, place - AROUND) : place] if v == previous]
        new = [s for _, v, s in ordered[place : place + AROUND] if v == version]
        was, now = measure(old), measure(new)
        spread = _both(was.standard_error, now.standard_error)
        changes.append(VersionChange(version, previous, at, was.value, now.value, spread))
    return changes


def _labels(whole: ByWindow, before: ByWindow, window: Window) -> Labels | None:
    usual = _coverage([s for w, s in whole.items() if w in before])
    now = _coverage([s for w, s in whole.items() if w.start >= window.start])
    if not usual > 0 or math.isnan(now) or now >= COVERED * usual:
        return None
    return Labels(usual, now)


def _coverage(states: Sequence[AccuracyState]) -> float:
    rows = sum(s.predictions for s in states)
    return sum(s.coverage * s.predictions for s in states if s.predictions) / rows if rows else math.nan


def _naive(before: ByWindow, after: ByWindow, metric: str) -> tuple[float, float] | None:
    was, now = _sum(before), _sum(after)
    errors = naive_error(was, metric), naive_error(now, metric)
    usable = all(math.isfinite(e) for e in errors) and math.isfinite(error(now, metric))
    return errors if usable else None


def _sum(states: ByWindow) -> AccuracyState:
    first, *others = states.values()
    for state in others:
        first = first + state
    return first


def _both(*errors: float) -> float:
    """The standard error of a difference; an unknown one counts as 0."""
    known = [e for e in errors if math.isfinite(e)]
    return math.sqrt(sum(e * e for e in known))
