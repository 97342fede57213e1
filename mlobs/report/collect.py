"""Gathers one model's page from what history remembers: aggregates only, never a row of data; judges nothing itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlobs.detectors.accuracy import ESTIMATED, performance_name
from mlobs.detectors.verdict import CHECKS, Verdict
from mlobs.report import wording
from mlobs.report.content import (
    AccuracyPoint,
    AccuracyStory,
    CellState,
    DecisionLine,
    FallStory,
    Glance,
    HeatMap,
    HeatRow,
    IncidentLine,
    ModelPage,
    Promotion,
    Said,
    SegmentError,
    TableStory,
    cell_state,
    worst,
)
from mlobs.report.falls import fall_stories
from mlobs.report.fields import most_failed
from mlobs.report.tables import Tables, live
from mlobs.report.versions import version_cards
from mlobs.spec import Model, Table
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.history import History
    from mlobs.incidents import Incident

REACH = timedelta(days=370)
"""How far back a page looks; older windows stay in history."""
MAX_ROWS = 60
"""Rows of a heat map; the worst are kept."""
MAX_SENTENCES = 1500
"""Failed cells of a heat map that carry their reason; older ones say only that they failed."""
MAX_INCIDENTS = 200
MAX_DECISIONS = 300
MAX_SAID = 100
SEGMENTS = 25


def model_page(
    model: Model,
    history: History,
    now: datetime,
    lineage: Mapping[str, Sequence[str]] | None = None,
    tables: Tables | None = None,
) -> ModelPage:
    """All that the page of `model` says as of `now`.

    Args:
        lineage: table (or "model.performance") -> the tables it is made from; what the model declares if left out.
        tables: what was told of tables on other pages of the same moment, so that a shared table is read once.

    Raises:
        HistoryError: when history can't be read.
    """
    since = now - REACH
    read = Tables(history, since, now) if tables is None else tables
    told = {role: read.told(table) for role, table in model.tables.items()}
    verdicts = {table.id: told[role].verdicts for role, table in model.tables.items()}
    performance = performance_name(model)
    verdicts[performance] = live(history, performance, since, now)
    promotions = tuple(
        Promotion(p.version, p.at, p.by, p.reason) for p in history.promotions(model.name) if p.at <= now
    )
    accuracy = accuracy_story(model, history, verdicts[performance], since, now)
    accuracy = replace(accuracy, falls=fall_stories(model, history, verdicts[performance], lineage))
    decisions = _decisions(model, history, since, now)
    incidents = _incidents(model, history, accuracy.falls, since, now)
    stories = tuple(replace(found.story, role=role) for role, found in told.items())
    heat_maps = [
        _heat_map(table.id, role, verdicts[table.id], _known_rows(table, model, role))
        for role, table in model.tables.items()
    ]
    if verdicts[performance]:
        heat_maps.append(_heat_map(performance, "performance", verdicts[performance], 1))
    fields, left_out = most_failed(
        [field for found in {t.story.table: t for t in told.values()}.values() for field in found.fields]
    )
    return ModelPage(
        name=model.name,
        task=model.task,
        description=model.description,
        owners=model.owners,
        now=now,
        champion=promotions[-1].version if promotions else "",
        glances=_glances(model, accuracy, verdicts, stories, incidents, decisions),
        accuracy=accuracy,
        heat_maps=tuple(heat_maps),
        fields=fields,
        tables=stories,
        incidents=incidents,
        versions=version_cards(model, history, accuracy, promotions, now),
        promotions=promotions,
        decisions=decisions,
        left_out=left_out,
        said=_said(model, history, since, now),
    )


# Accuracy


def accuracy_story(
    model: Model, history: History, verdicts: Sequence[Verdict], since: datetime, now: datetime
) -> AccuracyStory:
    """Error per window and over the trailing span, from the remembered states; limits and states from the verdicts."""
    from mlobs.metrics.accuracy import error, estimate_unseen, naive_error, watched_error
    from mlobs.states.accuracy import AccuracyState

    monitor = model.accuracy
    metric = watched_error(model.task, monitor.metric if monitor else None)
    span = monitor.span if monitor else 1
    by_window: dict[Window, dict[str, AccuracyState]] = {}
    for window, version, payload in history.accuracy(model.name, since=since, until=now):
        by_window.setdefault(window, {})[version] = AccuracyState.from_bytes(payload)
    said: dict[Window, list[Verdict]] = {}
    for verdict in verdicts:
        if not verdict.segment and not verdict.metric.startswith(ESTIMATED):
            said.setdefault(verdict.window, []).append(verdict)
    empty = AccuracyState(model.task)
    points: list[AccuracyPoint] = []
    recent: list[AccuracyState] = []
    predicted: list[AccuracyState] = []
    for window in sorted(by_window):
        total = _sum(by_window[window].values(), empty)
        predicted = [*predicted, total][-span:]
        here = said.get(window, [])
        state = worst([cell_state(v) for v in here] or ["pending"])
        pending = state == "pending" or not total.labelled
        if not pending:
            recent = [*recent, total][-span:]
        trailing = _sum(recent, empty)
        limits = [v.expected.high for v in here if v.metric == metric and math.isfinite(v.expected.high)]
        points.append(
            AccuracyPoint(
                window=window,
                versions=tuple(sorted(by_window[window])),
                error=error(total, metric),
                trailing=math.nan if pending else error(trailing, metric),
                naive=math.nan if pending else naive_error(trailing, metric),
                limit=min(limits, default=math.nan),
                coverage=total.labelled / total.predictions if total.predictions else math.nan,
                rows=total.predictions,
                state=state,
                reason=next((v.reason for v in here if v.failed), ""),
                estimate=estimate_unseen(predicted, metric).value if total["expected_rows"] else math.nan,
            )
        )
    segments = _segments(model, history, metric, [p.window for p in points if p.trailing == p.trailing][-span:])
    unit = next((f.unit for f in model.actuals.fields if f.name == model.actual), "")
    return AccuracyStory(metric, unit if model.task == "regression" else "", span, tuple(points), segments)


def _sum(states: Iterable[Any], empty: Any) -> Any:
    total = empty
    for state in states:
        total = total + state
    return total


def _segments(model: Model, history: History, metric: str, windows: Sequence[Window]) -> tuple[SegmentError, ...]:
    from mlobs.metrics.accuracy import error, naive_error
    from mlobs.states.accuracy import AccuracyState

    if not windows:
        return ()
    wanted = set(windows)
    totals: dict[str, AccuracyState] = {}
    found = history.accuracy_segments(model.name, since=windows[0].start, until=windows[-1].end)
    for window, _, payload, segment in found:
        if window in wanted:
            state = AccuracyState.from_bytes(payload)
            totals[segment] = totals[segment] + state if segment in totals else state
    rows = [
        SegmentError(s, error(t, metric), naive_error(t, metric), t.labelled) for s, t in totals.items() if t.labelled
    ]
    return tuple(sorted(rows, key=lambda s: -s.error)[:SEGMENTS])


# Checks over windows


def _known_rows(table: Table, model: Model, role: str) -> int:
    """Checks and declared fields that a heat map of the table could show."""
    checks = [m.check for m in model.monitors_on(role) if m.check not in ("field_health", "drift")]
    return len(checks) + len(table.fields)


def _heat_map(table: str, role: str, verdicts: Sequence[Verdict], known: int) -> HeatMap:
    """Rows are the checks of the table and its fields; a row is shown when it failed at least once."""
    windows = sorted({v.window for v in verdicts})
    rows: dict[str, dict[Window, list[Verdict]]] = {}
    for verdict in verdicts:
        label = verdict.field or verdict.detector
        rows.setdefault(label, {}).setdefault(verdict.window, []).append(verdict)
    failed = {label: cells for label, cells in rows.items() if any(v.failed for found in cells.values() for v in found)}
    order = {name: place for place, name in enumerate(CHECKS)}
    ranked = sorted(
        failed, key=lambda label: (label not in order, order.get(label, 0), -_failures(failed[label]), label)
    )
    shown = ranked[:MAX_ROWS]
    budget = MAX_SENTENCES // max(1, len(shown))
    heat_rows = tuple(_heat_row(label, failed[label], windows, budget) for label in shown)
    return HeatMap(table, role, heat_rows, max(len(rows), known) - len(shown), len(windows))


def _failures(cells: Mapping[Window, Sequence[Verdict]]) -> int:
    return sum(any(v.failed for v in found) for found in cells.values())


def _heat_row(label: str, cells: Mapping[Window, Sequence[Verdict]], windows: Sequence[Window], budget: int) -> HeatRow:
    """Passed metrics of a field are not remembered: a window that was judged and says nothing of the field passed."""
    check = label in CHECKS
    row: list[tuple[Window, CellState, str]] = []
    for window in windows:
        found = cells.get(window, ())
        if not found and check:
            continue
        state = worst([cell_state(v) for v in found] or ["passed"])
        said = [v.reason for v in found if v.failed]
        text = (
            said[0] + (f" (and {wording.count(len(said) - 1, 'more metric')})" if len(said) > 1 else "") if said else ""
        )
        row.append((window, state, text))
    spoken = {w for w, _, text in reversed(row) if text}
    kept = set(sorted(spoken)[-budget:])
    return HeatRow(label, tuple((w, state, text if w in kept else "") for w, state, text in row))


# Decisions, incidents, what people said


def _decisions(model: Model, history: History, since: datetime, now: datetime) -> tuple[DecisionLine, ...]:
    """Newest first, with challengers refused or watched; an answer that is only repeated is one line with its first day."""
    lines: list[DecisionLine] = []
    for stored in history.decisions(model.name, since=since):
        line = DecisionLine(stored.at, stored.answer, stored.reason, stored.trigger)
        repeated = bool(lines) and (lines[-1].answer, lines[-1].reason) == (line.answer, line.reason)
        if stored.at <= now and not repeated:
            lines.append(line)
    for version in history.versions(model.name):
        info, trigger = version.info, str(version.info.get("trigger", ""))
        if info.get("won") and since <= version.at <= now:
            lines.append(DecisionLine(version.at, "shadow", f"version {version.version}: {info['won']}", trigger))
        if version.fate in ("refused", "shadow") and since <= version.decided <= now:
            reason = f"version {version.version}: {info.get('verdict', 'not better')}"
            lines.append(DecisionLine(version.decided, version.fate, reason, trigger))
    lines.sort(key=lambda line: line.at, reverse=True)
    return tuple(lines[:MAX_DECISIONS])


def _incidents(
    model: Model, history: History, falls: Sequence[FallStory], since: datetime, now: datetime
) -> tuple[IncidentLine, ...]:
    """The incidents that touch the model or its tables, newest first; with why its accuracy fell, where it did."""
    from mlobs.incidents import incidents

    names = {model.name, performance_name(model), *(table.id for table in model.tables.values())}
    lines = [
        IncidentLine(
            id=str(incident.id),
            status=incident.state,
            severity=incident.severity,
            opened=incident.opened_at,
            resolved=incident.resolved_at,
            title=incident.title,
            detail=incident.reason,
            touched=tuple(dict.fromkeys((*incident.touched.tables, *incident.touched.models))),
            why=_why(model, incident, falls),
            window=incident.window,
            who=incident.acknowledged_by,
        )
        for incident in incidents(history, since=since, until=now)
        if incident.opened_at <= now and names & {incident.table, *incident.touched.tables, *incident.touched.models}
    ]
    lines.sort(key=lambda line: (line.opened, int(line.id)), reverse=True)
    return tuple(lines[:MAX_INCIDENTS])


def _why(model: Model, incident: Incident, falls: Sequence[FallStory]) -> tuple[str, ...]:
    """Why accuracy fell during an incident: falls with a cause, newest first; the newest one where none has any."""
    if performance_name(model) not in incident.touched.tables:
        return ()
    during = [fall for fall in falls if fall.failed.overlaps(incident.window)]
    explained = [fall for fall in during if fall.causes] or during[:1]
    return tuple(fall.sentence for fall in explained)


def _said(model: Model, history: History, since: datetime, now: datetime) -> tuple[Said, ...]:
    """What people said of the model's tables and still stands, newest first."""
    names = {None, performance_name(model), *(table.id for table in model.tables.values())}
    found = [
        Said(
            f.kind,
            ", ".join(str(v) for n, v in f.scope.items() if n != "incident" and v not in ("", None)) or "everything",
            f.start,
            f.until,
            f.by,
            f.note,
        )
        for f in history.feedback()
        if f.scope.get("table") in names
        and f.scope.get("model") in (None, model.name)
        and f.at <= now
        and (f.until is None or f.until > since)
    ]
    return tuple(sorted(found, key=lambda s: s.start, reverse=True)[:MAX_SAID])


# The head


def _glances(
    model: Model,
    accuracy: AccuracyStory,
    verdicts: Mapping[str, Sequence[Verdict]],
    stories: Sequence[TableStory],
    incidents: Sequence[IncidentLine],
    decisions: Sequence[DecisionLine],
) -> tuple[Glance, ...]:
    return (
        _accuracy_glance(accuracy),
        _data_glance(model, verdicts),
        _freshness_glance(model, verdicts, stories),
        _incident_glance(incidents),
        _retraining_glance(decisions),
    )


def _accuracy_glance(story: AccuracyStory) -> Glance:
    if not story.mature:
        note = "labels have not come yet" if story.points else "nothing has been scored yet"
        return Glance("Accuracy", "pending" if story.points else "learning", "–", note)
    newest = story.mature[-1]
    unit = f" {story.unit}" if story.unit else ""
    note = f"{wording.metric_name(story.metric).lower()}, {story.span} windows to {newest.window.key}"
    if math.isfinite(newest.limit):
        note += f"; limit {wording.number(newest.limit, 3)}"
    if math.isfinite(newest.naive):
        note += f"; naive {wording.number(newest.naive, 3)}"
    return Glance("Accuracy", newest.state, f"{wording.number(newest.trailing, 3)}{unit}", note)


def _data_glance(model: Model, verdicts: Mapping[str, Sequence[Verdict]]) -> Glance:
    checks: list[tuple[str, CellState]] = []
    newest: Window | None = None
    for table in model.tables.values():
        found = verdicts.get(table.id, ())
        if not found:
            continue
        last = max(v.window for v in found)
        newest = last if newest is None or last > newest else newest
        by_check: dict[str, list[CellState]] = {}
        for verdict in found:
            if verdict.window == last and verdict.detector != "freshness":
                by_check.setdefault(verdict.detector, []).append(cell_state(verdict))
        checks += [(f"{check.replace('_', ' ')} of {table.id}", worst(states)) for check, states in by_check.items()]
    if newest is None:
        return Glance("Data", "learning", "–", "nothing has been checked yet")
    bad = [(name, state) for name, state in checks if state in ("error", "warn")]
    if bad:
        names = ", ".join(name for name, _ in bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        return Glance(
            "Data", worst([s for _, s in bad]), f"{len(bad)} of {len(checks)} checks fail", f"{names}; {newest.key}"
        )
    learning = sum(state == "learning" for _, state in checks)
    note = f"newest window {newest.key}" + (f"; {wording.count(learning, 'check')} still learning" if learning else "")
    return Glance("Data", "passed", f"{wording.count(len(checks), 'check')} pass", note)


def _freshness_glance(model: Model, verdicts: Mapping[str, Sequence[Verdict]], stories: Sequence[TableStory]) -> Glance:
    newest = [
        max((v for v in verdicts.get(table.id, ()) if v.detector == "freshness"), key=lambda v: v.window, default=None)
        for table in model.tables.values()
    ]
    known = [v for v in newest if v is not None]
    rows = [story.newest for story in stories if story.newest is not None]
    note = f"newest row {wording.moment(max(rows))}" if rows else "no arrival remembered"
    if not known:
        return Glance("Freshness", "learning", "–", note)
    state = worst([cell_state(v) for v in known])
    late = [v for v in known if v.failed]
    if late:
        return Glance("Freshness", state, "late: " + ", ".join(v.table for v in late), late[0].reason, "late")
    return Glance("Freshness", state, "on time" if state == "passed" else "learning", note)


def _incident_glance(incidents: Sequence[IncidentLine]) -> Glance:
    open_ones = [i for i in incidents if i.status in ("open", "acknowledged")]
    if not open_ones:
        past = f"{len(incidents)} in the past" if incidents else "none so far"
        return Glance("Incidents", "passed", "none open", past)
    state: CellState = "error" if any(i.severity != "warn" for i in open_ones) else "warn"
    return Glance("Incidents", state, f"{len(open_ones)} open", open_ones[0].title, "open")


def _retraining_glance(decisions: Sequence[DecisionLine]) -> Glance:
    if not decisions:
        return Glance("Retraining", "passed", "not asked for", "no decision so far")
    newest = decisions[0]
    states: dict[str, tuple[CellState, str]] = {
        "hold": ("warn", "held"),
        "wait": ("pending", "waiting"),
        "refused": ("warn", "refused"),
        "shadow": ("pending", "in shadow"),
    }
    state, word = states.get(newest.answer, ("passed", ""))
    return Glance("Retraining", state, newest.answer, f"{wording.moment(newest.at)}: {newest.reason}", word)
