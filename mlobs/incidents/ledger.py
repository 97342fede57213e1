"""Reads and writes incidents, their members, events and outbox entries in an open transaction of history.

No judging here: `lifecycle` decides what becomes of an incident.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, and_, exists, func, insert, select, type_coerce, update
from sqlalchemy.sql.elements import ColumnElement

from mlobs.detectors.verdict import Verdict
from mlobs.history import History, tables
from mlobs.history.measured import stored_verdict
from mlobs.history.tables import window_of
from mlobs.incidents.grouping import Key, Place
from mlobs.incidents.records import Incident, IncidentEvent, Member, Strand, Touched
from mlobs.windows import Window

MESSAGES = ("opened", "worse", "reopened", "resolved")
"""Events that people are told of."""

I, M, V = tables.incidents.c, tables.incident_members.c, tables.verdicts.c  # noqa: E741

LIVE_FAILURE = and_(V.status == "failed", V.superseded_at.is_(None))
LAPSED = and_(V.superseded_at.is_not(None), V.filed.is_(True))

CHUNK = 500


@dataclass(frozen=True)
class Failure:
    """A live failed verdict, and whether an update has dealt with it already."""

    id: int
    verdict: Verdict
    filed: bool

    @property
    def place(self) -> Place:
        return Key.of(self.verdict), self.verdict.window


def select_incidents(connection: Connection, which: ColumnElement[bool] | None = None) -> list[Incident]:
    """Incidents in the order they were opened."""
    query = select(tables.incidents).order_by(I.id)
    if which is not None:
        query = query.where(which)
    return [_incident(row) for row in connection.execute(query)]


def active(connection: Connection) -> list[Incident]:
    """Incidents that still need somebody."""
    return select_incidents(connection, I.state.in_(("open", "acknowledged")))


def select_members(
    connection: Connection, ids: Iterable[int], *, since: datetime | None = None, failing: bool | None = None
) -> dict[int, list[Member]]:
    """Incident id -> its members, by window; only those whose windows end after `since`, and fail or don't."""
    query = select(tables.incident_members).where(M.incident_id.in_(list(ids))).order_by(M.window_start, M.table_name)
    if since is not None:
        query = query.where(M.window_end > since)
    if failing is not None:
        query = query.where(M.failing.is_(failing))
    found: dict[int, list[Member]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.incident_id].append(_member(row))
    return found


def select_events(connection: Connection, incident_id: int) -> list[IncidentEvent]:
    """What happened to an incident, oldest first."""
    c = tables.incident_events.c
    query = select(tables.incident_events).where(c.incident_id == incident_id).order_by(c.id)
    return [IncidentEvent(r.incident_id, r.at, r.kind, r.by_whom, r.note) for r in connection.execute(query)]


def unfiled(connection: Connection) -> tuple[datetime, timedelta] | None:
    """Start of the earliest live failure that no update has dealt with, and the longest window of these."""
    length = type_coerce(V.window_end, BigInteger) - type_coerce(V.window_start, BigInteger)
    query = select(func.min(V.window_start), func.max(length)).where(LIVE_FAILURE, V.filed.is_(False))
    start, longest = connection.execute(query).one()
    return None if start is None else (start, timedelta(microseconds=int(longest)))


def lapsed(connection: Connection) -> list[tuple[int, Place]]:
    """(verdict id, place) of the failures that were dealt with and have been superseded since."""
    query = select(V.id, V.table_name, V.detector, V.field, V.metric, V.segment, V.window_start, V.window_end)
    return [
        (r.id, (Key(r.table_name, r.detector, r.field, r.metric, r.segment), window_of(r.window_start, r.window_end)))
        for r in connection.execute(query.where(LAPSED))
    ]


def live_failures(connection: Connection, since: datetime) -> list[Failure]:
    """Live failed verdicts of windows that end after `since`."""
    query = select(tables.verdicts).where(LIVE_FAILURE, V.window_end > since)
    return [Failure(row.id, stored_verdict(row).verdict, row.filed) for row in connection.execute(query)]


def mark(connection: Connection, ids: Sequence[int], filed: bool) -> None:
    """Notes that an update has dealt with these verdicts, or that one must deal with them again."""
    for place in range(0, len(ids), CHUNK):
        chunk = ids[place : place + CHUNK]
        connection.execute(update(tables.verdicts).where(V.id.in_(chunk)).values(filed=filed))


def forget_excused(connection: Connection) -> None:
    """Marks the failures that were dealt with and belong to no incident as not dealt with: they had been excused."""
    blamed = exists().where(
        M.table_name == V.table_name,
        M.window_start == V.window_start,
        M.field == V.field,
        M.metric == V.metric,
        M.detector == V.detector,
        M.segment == V.segment,
        M.window_end == V.window_end,
        M.failing.is_(True),
    )
    connection.execute(update(tables.verdicts).where(LIVE_FAILURE, V.filed.is_(True), ~blamed).values(filed=False))


def pass_members(connection: Connection, places: Iterable[Place]) -> set[int]:
    """Marks the members at these places as failing no more; returns the incidents that had them."""
    touched: set[int] = set()
    for key, window in places:
        there = and_(
            M.table_name == key.table,
            M.window_start == window.start,
            M.field == key.field,
            M.metric == key.metric,
            M.detector == key.detector,
            M.segment == key.segment,
            M.window_end == window.end,
            M.failing.is_(True),
        )
        found = list(connection.scalars(select(M.incident_id).where(there)))
        if found:
            connection.execute(update(tables.incident_members).where(there).values(failing=False))
            touched.update(found)
    return touched


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
                "beyond": m.beyond,
                "failing": m.failing,
            }
            for m in members
        ],
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
    kept = {name: value for name, value in _row(incident).items() if name != "strands"}
    return kept | {"id": incident.id, "note": note}


def incident_from(content: Mapping[str, Any]) -> Incident:
    """The incident that `incident_content` kept."""
    at = {name: None if content[name] is None else datetime.fromisoformat(content[name]) for name in TIMES}
    return _incident_of({**content, **at, "strands": []})


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
        "strands": [_plain(s) for s in incident.strands],
    }


def _plain(s: Strand) -> list[Any]:
    return [*s.key, _micro(s.start), _micro(s.end), s.severity, s.score, s.reason, s.beyond]


def _strand(plain: Sequence[Any]) -> Strand:
    """A strand as it was kept; one of an older mlobs doesn't say how far out of range it was."""
    start, end, *rest = plain[len(Key._fields) :]
    return Strand(Key(*plain[: len(Key._fields)]), _instant(start), _instant(end), *rest)


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
        strands=tuple(map(_strand, row["strands"])),
    )


def _micro(moment: datetime) -> int:
    return (moment - tables.EPOCH) // tables.MICROSECOND


def _instant(micro: int) -> datetime:
    return tables.EPOCH + timedelta(microseconds=micro)


def _member(row: Row[Any]) -> Member:
    return Member(
        Key(row.table_name, row.detector, row.field, row.metric, row.segment),
        window_of(row.window_start, row.window_end),
        row.severity,
        row.score,
        row.reason,
        1.0 if math.isnan(row.beyond) else row.beyond,  # an older mlobs didn't say
        row.failing,
    )
