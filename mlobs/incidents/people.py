"""What people ask of incidents and say to them: list, acknowledge, expected, reopen. Each is one transaction of history.

Who said what, and when, is kept; two people at once are both recorded. The time comes in as `now`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, and_, true

from mlobs.errors import HistoryError
from mlobs.history import History
from mlobs.incidents import ledger
from mlobs.incidents.grouping import RANK
from mlobs.incidents.ledger import I
from mlobs.incidents.records import Incident, IncidentEvent, Member


def open_incidents(history: History, *, model: str | None = None) -> list[Incident]:
    """Incidents that still need somebody, the worst and oldest first; only those that touch `model`, if given."""
    with history.database.read() as connection:
        found = ledger.active(connection)
    found = [i for i in found if model is None or model in i.touched.models]
    return sorted(found, key=lambda i: (-RANK[i.severity], i.window.start, i.id))


def incidents(
    history: History, *, model: str | None = None, since: datetime | None = None, until: datetime | None = None
) -> list[Incident]:
    """All incidents whose windows overlap [since, until), in the order they were opened.

    Args:
        model: only incidents that touch it: its accuracy fails, or it is made from what fails.
    """
    begins = true() if since is None else I.window_end > since
    ends = true() if until is None else I.window_start < until
    with history.database.read() as connection:
        found = ledger.select_incidents(connection, and_(begins, ends))
    return [i for i in found if model is None or model in i.touched.models]


def incident(history: History, incident_id: int) -> Incident:
    """The incident of that id.

    Raises:
        HistoryError: when there is none; names the open ones.
    """
    with history.database.read() as connection:
        return _found(connection, incident_id)


def members(history: History, incident_id: int) -> list[Member]:
    """The failures that belong to an incident, by window."""
    with history.database.read() as connection:
        return ledger.select_members(connection, [incident_id]).get(incident_id, [])


def events(history: History, incident_id: int) -> list[IncidentEvent]:
    """What happened to an incident, oldest first: who, when, what."""
    with history.database.read() as connection:
        return ledger.select_events(connection, incident_id)


def run_of(history: History, incident: Incident) -> str:
    """The Dagster run that newest said the incident's newest failure where it began; "" outside Dagster."""
    window = incident.window
    found = history.verdicts(incident.table, since=window.start, until=window.end, status="failed", live=False)
    runs = [(kept.verdict.window.end, kept.at, kept.run_id) for kept in found if kept.run_id]
    return max(runs)[2] if runs else ""


def acknowledge(history: History, incident_id: int, by: str, now: datetime, note: str = "") -> Incident:
    """Says that somebody works on it. Who says it later is recorded too; the first stays the one who took it.

    Raises:
        HistoryError: when there is no such incident, it is settled already, or `by` is empty.
    """
    _said_by(by)
    with history.database.write("incidents") as connection:
        found = _found(connection, incident_id)
        if not found.active:
            raise HistoryError(f"incident {incident_id} is {found.state} since {found.changed_at:%Y-%m-%d %H:%M} UTC")
        if found.state == "open":
            found = replace(found, state="acknowledged", acknowledged_by=by, changed_at=now)
            ledger.save_incident(connection, found)
        ledger.add_event(connection, found, now, "acknowledged", by, note)
        return found


def expected(
    history: History, incident_id: int, by: str, now: datetime, note: str = "", until: datetime | None = None
) -> Incident:
    """Says that it was fine: closes the incident, and tells the monitors to learn from its failures.

    Args:
        until: expect the same of later windows too, up to then; the end of the incident if left out.

    Raises:
        HistoryError: when there is no such incident, or `by` is empty.
    """
    _said_by(by)
    found = incident(history, incident_id)
    end = found.window.end if until is None else max(until, found.window.end)
    for strand in found.strands:
        scope = {**strand.key._asdict(), "incident": incident_id}
        history.add_feedback("expected", scope, by, now, until=end, note=note, start=found.window.start)
    with history.database.write("incidents") as connection:
        found = _found(connection, incident_id)
        if found.state != "expected":
            found = replace(found, state="expected", changed_at=now)
            ledger.save_incident(connection, found)
        ledger.add_event(connection, found, now, "expected", by, note)
        return found


def reopen(history: History, incident_id: int, by: str, now: datetime, note: str = "") -> Incident:
    """Takes `expected` back: the incident is open again, and what the monitors were told of it is revoked.

    Raises:
        HistoryError: when there is no such incident, it isn't `expected`, or `by` is empty.
    """
    _said_by(by)
    state = incident(history, incident_id).state
    if state != "expected":
        raise HistoryError(
            f"incident {incident_id} is {state}, not expected; a resolved one reopens when its checks fail again"
        )
    for given in history.feedback(kind="expected"):
        if given.scope.get("incident") == incident_id:
            history.revoke_feedback(given.id, by, now)
    with history.database.write("incidents") as connection:
        found = _found(connection, incident_id)
        if found.state == "expected":
            found = replace(found, state="open", resolved_at=None, acknowledged_by="", changed_at=now)
            ledger.save_incident(connection, found)
            ledger.add_event(connection, found, now, "reopened", by, note)
        return found


def _said_by(by: str) -> None:
    if not by.strip():
        raise HistoryError("say who you are: an incident's history names who did what")


def _found(connection: Connection, incident_id: int) -> Incident:
    found = ledger.select_incidents(connection, I.id == incident_id)
    if not found:
        known = ", ".join(str(i.id) for i in ledger.active(connection)) or "none"
        raise HistoryError(f"there is no incident {incident_id}; open ones: {known}")
    return found[0]
