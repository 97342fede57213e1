"""Reads and writes incidents, their members, events and outbox entries in an open transaction of history.

No judging here: `lifecycle` decides what becomes of an incident.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from mlobs.detectors.verdict import Verdict
from mlobs.history import History, tables
from mlobs.history.measured import stored_verdict
from mlobs.history.tables import window_of
from mlobs.incidents.grouping import Key
from mlobs.incidents.records import Incident, IncidentEvent, Member, Touched
from mlobs.windows import Window

MESSAGES = ("opened", "worse", "reopened", "resolved")
"""Events that people are told of."""

I, M, V = tables.incidents.c, tables.incident_members.c, tables.verdicts.c  # noqa: E741

LIVE_FAILURE = and_(V.status == "failed", V.superseded_at.is_(None))


def select_incidents(connection: Connection, which: ColumnElement[bool] | None = None) -> list[Incident]:
    """Incidents in the order they were opened."""
    query = select(tables.incidents).order_by(I.id)
    if which is not None:
        query = query.where(which)
    return [_incident(row) for row in connection.execute(query)]


def select_members(connection: Connection, ids: Iterable[int]) -> dict[int, list[Member]]:
    """Incident id -> its members, by window."""
    query = select(tables.incident_members).where(M.incident_id.in_(list(ids))).order_by(M.window_start, M.table_name)
    found: dict[int, list[Member]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.incident_id].append(_member(row))
    return found


def select_events(connection: Connection, incident_id: int) -> list[IncidentEvent]:
    """What happened to an incident, oldest first."""
    c = tables.incident_events.c
    query = select(tables.incident_events).where(c.incident_id == incident_id).order_by(c.id)
    return [IncidentEvent(r.incident_id, r.at, r.kind, r.by_whom, r.note) for r in connection.execute(query)]


def unfiled(connection: Connection) -> Window | None:
    """The smallest window around the live failures that nothing holds as failing with their present severity."""
    filed = exists().where(
        M.table_name == V.table_name,
        M.detector == V.detector,
        M.field == V.field,
        M.metric == V.metric,
        M.segment == V.segment,
        M.window_start == V.window_start,
        M.window_end == V.window_end,
        M.severity == V.severity,
        M.failing.is_(True),
    )
    query = select(func.min(V.window_start), func.max(V.window_end)).where(LIVE_FAILURE, ~filed)
    start, end = connection.execute(query).one()
    return None if start is None else Window(start, end)


def live_failures(connection: Connection, since: datetime) -> list[Verdict]:
    """Live failed verdicts of windows that end after `since`."""
    query = select(tables.verdicts).where(LIVE_FAILURE, V.window_end > since)
    return [stored_verdict(row).verdict for row in connection.execute(query)]


def judged_windows(connection: Connection, table: str, after: datetime) -> list[Window]:
    """Windows of a table that were judged (passed or failed) and start at or after that instant, oldest first."""
    judged = V.status.in_(("passed", "failed"))
    query = (
        select(V.window_start, V.window_end)
        .where(V.table_name == table, V.window_start >= after, judged, V.superseded_at.is_(None))
        .distinct()
        .order_by(V.window_start)
    )
    return [window_of(start, end) for start, end in connection.execute(query)]


def newest_judged(connection: Connection, table: str) -> datetime | None:
    """End of the newest judged window of a table."""
    judged = V.status.in_(("passed", "failed"))
    query = (
        select(V.window_end)
        .where(V.table_name == table, judged, V.superseded_at.is_(None))
        .order_by(V.window_start.desc())
        .limit(1)
    )
    found: datetime | None = connection.scalar(query)
    return found


def insert_incident(connection: Connection, incident: Incident) -> Incident:
    """Files a new incident; the one returned has its id."""
    statement = insert(tables.incidents).values(_row(incident)).returning(I.id)
    return replace(incident, id=int(connection.execute(statement).scalar_one()))


def save_incident(connection: Connection, incident: Incident) -> None:
    connection.execute(update(tables.incidents).where(I.id == incident.id).values(_row(incident)))


def save_members(history: History, connection: Connection, incident_id: int, members: Sequence[Member]) -> None:
    history.database.upsert(
        connection,
        tables.incident_members,
        [
            {
                "incident_id": incident_id,
                "table_name": m.key.table,
                "detector": m.key.detector,
                "field": m.key.field,
                "metric": m.key.metric,
                "segment": m.key.segment,
                "window_start": m.window.start,
                "window_end": m.window.end,
                "severity": m.severity,
                "score": m.score,
                "reason": m.reason,
                "failing": m.failing,
            }
            for m in members
        ],
    )


def drop_members(connection: Connection, incident_id: int, members: Iterable[Member]) -> None:
    """Takes members out of an incident."""
    for m in members:
        connection.execute(
            tables.incident_members.delete().where(
                M.incident_id == incident_id,
                M.table_name == m.key.table,
                M.detector == m.key.detector,
                M.field == m.key.field,
                M.metric == m.key.metric,
                M.segment == m.key.segment,
                M.window_start == m.window.start,
                M.window_end == m.window.end,
            )
        )


def move_members(history: History, connection: Connection, source: int, target: int) -> None:
    """Gives all members of one incident to another."""
    moved = select_members(connection, [source]).get(source, [])
    connection.execute(tables.incident_members.delete().where(M.incident_id == source))
    save_members(history, connection, target, moved)


def add_event(
    connection: Connection, incident: Incident, at: datetime, kind: str, by: str = "mlobs", note: str = ""
) -> None:
    """Records what happened; for what people are told of, a message is put into the outbox in the same transaction."""
    row = {"incident_id": incident.id, "at": at, "kind": kind, "by_whom": by, "note": note}
    statement = insert(tables.incident_events).values(row).returning(tables.incident_events.c.id)
    event_id = connection.execute(statement).scalar_one()
    if kind in MESSAGES and incident.announced:
        message = {
            "event_id": event_id,
            "incident_id": incident.id,
            "change": kind,
            "at": at,
            "content": incident_content(incident, note),
            "routed": False,
        }
        connection.execute(insert(tables.outbox).values(message))


def incident_content(incident: Incident, note: str) -> dict[str, Any]:
    """The incident as it is now, for a message that is sent later."""
    return _row(incident) | {"id": incident.id, "note": note}


def incident_from(content: Mapping[str, Any]) -> Incident:
    """The incident that `incident_content` kept."""
    at = {name: None if content[name] is None else datetime.fromisoformat(content[name]) for name in TIMES}
    return _incident_of({**content, **at})


TIMES = ("opened_at", "changed_at", "resolved_at", "window_start", "window_end")


def _row(incident: Incident) -> dict[str, Any]:
    return {
        "cause_table": incident.table,
        "state": incident.state,
        "severity": incident.severity,
        "title": incident.title,
        "reason": incident.reason,
        "opened_at": incident.opened_at,
        "changed_at": incident.changed_at,
        "resolved_at": incident.resolved_at,
        "window_start": incident.window.start,
        "window_end": incident.window.end,
        "announced": incident.announced,
        "acknowledged_by": incident.acknowledged_by,
        "touched": incident.touched.plain(),
    }


def _incident(row: Row[Any]) -> Incident:
    return _incident_of(row._asdict())


def _incident_of(row: Mapping[str, Any]) -> Incident:
    return Incident(
        id=row["id"],
        state=row["state"],
        severity=row["severity"],
        table=row["cause_table"],
        title=row["title"],
        reason=row["reason"],
        window=Window(row["window_start"], row["window_end"]),
        opened_at=row["opened_at"],
        changed_at=row["changed_at"],
        resolved_at=row["resolved_at"],
        acknowledged_by=row["acknowledged_by"],
        announced=row["announced"],
        touched=Touched.of(row["touched"]),
    )


def _member(row: Row[Any]) -> Member:
    return Member(
        Key(row.table_name, row.detector, row.field, row.metric, row.segment),
        window_of(row.window_start, row.window_end),
        row.severity,
        row.score,
        row.reason,
        row.failing,
    )
