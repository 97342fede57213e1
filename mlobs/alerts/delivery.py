"""Delivers what is in the outbox: routes it, claims what is due, sends it, tries again later.

At least once: a message is marked as sent after the receiver took it, so a crash in between sends it again. No
duplicates otherwise: a change is claimed before it is sent, by one process. All times are the given `now`.
"""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update

from mlobs.alerts.message import Around, Context, Note
from mlobs.alerts.routes import SEVERITIES, Route
from mlobs.alerts.sending import send
from mlobs.errors import AlertError
from mlobs.history import History, tables
from mlobs.incidents import Incident
from mlobs.incidents.ledger import incident_from

LEASE = timedelta(minutes=10)
"""How long a claim holds; after that another process takes it that the sender has crashed."""

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
KEEP_TRYING = timedelta(days=7)
ATTEMPTS = 5
"""Back-off: the pause doubles with every failure from the first to the longest. A message that is older than that and
was tried so often is given up."""

TOGETHER = 3
"""More changes than these that are due on one route at once go out as one message."""

O, D = tables.outbox.c, tables.deliveries.c  # noqa: E741


@dataclass(frozen=True)
class Delivery:
    """One attempt to send.

    Attributes:
        route: the route's name.
        incidents: the incidents it tells of.
        changes: what happened to each.
        sent: whether the receiver took it.
        error: why not, without any secret.
        attempts: how often it was tried, this time included.
        next_at: when it is tried again; None when sent or given up.
    """

    route: str
    incidents: tuple[int, ...]
    changes: tuple[str, ...]
    sent: bool
    error: str = ""
    attempts: int = 1
    next_at: datetime | None = None


def deliver(
    history: History,
    routes: Sequence[Route],
    now: datetime,
    *,
    around: Around | None = None,
    environ: Mapping[str, str] = os.environ,
) -> list[Delivery]:
    """Sends what is due; returns what was tried. A receiver that is down raises nothing: its messages wait.

    Args:
        around: links, owners and tags of an incident; none if left out. What is held is added to it.
        environ: where the routes' URLs are looked up.

    Raises:
        AlertError: when two routes have one name.
        HistoryError: when history can't be read or written.
    """
    by_name = {route.name: route for route in routes}
    if len(by_name) < len(routes):
        raise AlertError("two routes have one name: give each its own `name`, since messages wait under it")
    if not _work(history, now):
        return []
    told: dict[int, Context] = {}

    def context(incident: Incident) -> Context:
        if incident.id not in told:
            found = around(incident) if around else Context()
            told[incident.id] = replace(found, held=(*found.held, *held(history, incident)))
        return told[incident.id]

    _route(history, routes, now, context)
    tried: list[Delivery] = []
    for name, claimed in _claim(history, by_name, now).items():
        for batch in _batches(by_name[name], claimed):
            notes = [replace(note, context=context(note.incident)) for note in (_note(row) for row in batch)]
            error = _try(by_name[name], notes, environ)
            tried.append(_settle(history, batch, notes, error, now))
            if error:
                break
        _release(history, name, claimed, now)
    return tried


def held(history: History, incident: Incident) -> tuple[str, ...]:
    """Sentences on what waits because of an incident: predictions on broken data, trainings that policy holds back."""
    sentences = [f"prediction of {model} on the windows with broken data" for model in incident.touched.held]
    for model in incident.touched.models:
        decisions = history.decisions(model, since=incident.window.start)
        if decisions and decisions[-1].answer == "hold":
            sentences.append(f"retraining of {model}: {decisions[-1].reason}")
    return tuple(sentences)


def undelivered(history: History) -> list[tuple[str, str, int, str]]:
    """(route, state, attempts, error) of every message that waits (`waiting`) or was given up (`failed`)."""
    query = select(D.route, D.state, D.attempts, D.error).where(D.state != "sent").order_by(D.outbox_id, D.route)
    with history.database.read() as connection:
        return [(r.route, r.state, r.attempts, r.error) for r in connection.execute(query)]


# Steps, each one transaction


def _work(history: History, now: datetime) -> bool:
    """Whether anything is to be routed or is due, looked up without taking the write lock."""
    with history.database.read() as connection:
        new = connection.scalar(select(O.id).where(O.routed.is_(False)).limit(1))
        due = connection.scalar(select(D.outbox_id).where(_due(now)).limit(1))
    return new is not None or due is not None


def _due(now: datetime) -> Any:
    return and_(D.state == "waiting", D.due_at <= now, or_(D.claimed_until.is_(None), D.claimed_until <= now))


def _route(history: History, routes: Sequence[Route], now: datetime, context: Callable[[Incident], Context]) -> None:
    """Decides once for each new change which routes are told of it, and when."""
    query = select(tables.outbox).where(O.routed.is_(False)).order_by(O.id)
    with history.database.read() as connection:
        new = connection.execute(query).all()
    rows = []
    for change in new:
        incident = incident_from(change.content)
        for route in routes:
            if wanted(route, incident, change.change, context(incident)):
                rows.append(
                    {
                        "outbox_id": change.id,
                        "route": route.name,
                        "state": "waiting",
                        "attempts": 0,
                        "due_at": route.due(change.at, incident.severity),
                        "claimed_until": None,
                        "claim": "",
                        "sent_at": None,
                        "error": "",
                    }
                )
    with history.database.write("outbox") as connection:
        ids = [change.id for change in new]
        unrouted = set(connection.scalars(select(O.id).where(O.id.in_(ids), O.routed.is_(False))))
        connection.execute(update(tables.outbox).where(O.id.in_(unrouted)).values(routed=True))
        mine = [row for row in rows if row["outbox_id"] in unrouted]
        if mine:
            connection.execute(insert(tables.deliveries), mine)


def wanted(route: Route, incident: Incident, change: str, context: Context) -> bool:
    """Whether a route is told of that change."""
    if change not in route.changes or SEVERITIES.index(incident.severity) < SEVERITIES.index(route.severity):
        return False
    if route.owners and not context.owners & set(route.owners):
        return False
    keys = context.tags | {tag.partition("=")[0] for tag in context.tags}
    return not route.tags or bool(keys & set(route.tags))


def _claim(history: History, routes: Mapping[str, Route], now: datetime) -> dict[str, list[Any]]:
    """Claims all that is due, route by route; a route that another process is sending on is left to it."""
    claim = uuid.uuid4().hex
    with history.database.write("outbox") as connection:
        busy = set(connection.scalars(select(D.route).where(D.claimed_until > now, D.state == "waiting")))
        free = [name for name in routes if name not in busy]
        connection.execute(
            update(tables.deliveries).where(_due(now), D.route.in_(free)).values(claim=claim, claimed_until=now + LEASE)
        )
        query = (
            select(tables.outbox, D.route, D.attempts)
            .join(tables.deliveries, O.id == D.outbox_id)
            .where(D.claim == claim)
            .order_by(O.id)
        )
        claimed: dict[str, list[Any]] = defaultdict(list)
        for row in connection.execute(query):
            claimed[row.route].append(row)
    return claimed


def _batches(route: Route, claimed: Sequence[Any]) -> list[Sequence[Any]]:
    """The messages that the claimed changes make: one each, or one of all for a digest or a flood."""
    together = route.digest is not None or len(claimed) > TOGETHER
    return [claimed] if together else [[row] for row in claimed]


def _note(row: Any) -> Note:
    return Note(incident_from(row.content), row.change, row.at, row.content["note"])


def _try(route: Route, notes: Sequence[Note], environ: Mapping[str, str]) -> str:
    try:
        return send(route.url(environ), notes)
    except AlertError as error:
        return str(error)


def _settle(history: History, batch: Sequence[Any], notes: Sequence[Note], error: str, now: datetime) -> Delivery:
    """Writes down how it went: sent, or to be tried again after a pause, or given up."""
    attempts = max(row.attempts for row in batch) + 1
    old = attempts >= ATTEMPTS and now - min(row.at for row in batch) > KEEP_TRYING
    again = None if not error or old else now + min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    result = {
        "state": "failed" if error and again is None else "waiting" if error else "sent",
        "attempts": attempts,
        "error": error,
        "claimed_until": None,
        "claim": "",
        "sent_at": None if error else now,
        "due_at": again or now,
    }
    with history.database.write("outbox") as connection:
        for row in batch:
            _set(connection, row, result)
    incidents = tuple(n.incident.id for n in notes)
    return Delivery(batch[0].route, incidents, tuple(n.change for n in notes), not error, error, attempts, again)


def _release(history: History, route: str, claimed: Sequence[Any], now: datetime) -> None:
    """Gives back what was claimed and not tried, because the receiver is down; it is due when the first is."""
    ids = [row.id for row in claimed]
    left = and_(D.outbox_id.in_(ids), D.route == route, D.state == "waiting", D.claim != "")
    with history.database.write("outbox") as connection:
        later = connection.scalar(
            select(D.due_at).where(D.outbox_id.in_(ids), D.route == route, D.due_at > now).order_by(D.due_at).limit(1)
        )
        connection.execute(
            update(tables.deliveries).where(left).values(claim="", claimed_until=None, due_at=later or now)
        )


def _set(connection: Connection, row: Any, values: Mapping[str, Any]) -> None:
    connection.execute(update(tables.deliveries).where(D.outbox_id == row.id, D.route == row.route).values(**values))
