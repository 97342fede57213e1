"""What becomes of incidents: opened, worse, reopened, resolved by what the checks say; acknowledged, expected by people.

Each function is one transaction of history, so that two processes can't open the same incident twice and a message is
put into the outbox exactly when its incident changes. The time comes in as `now`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, true

from mlobs.detectors.verdict import Verdict
from mlobs.errors import HistoryError
from mlobs.history import Feedback, History
from mlobs.incidents import ledger
from mlobs.incidents.grouping import GAP, RANK, Group, Key, group, hull, model_of
from mlobs.incidents.ledger import I
from mlobs.incidents.records import Incident, IncidentEvent, Member
from mlobs.incidents.scope import described

CLEAN = 2
"""Windows that must have been judged without a failure before an incident resolves by itself."""

REOPENS = 7
"""Within so many windows after its end the same failure reopens an incident, later it opens another."""

NEWS = 7
"""An incident that ended more windows than this before the newest judged one is history: nobody is told of it."""

OLD = timedelta(days=90)
"""An incident whose windows ended longer ago than this (labels may be late) is history too."""

EXCUSED = 0
"""The incident that excused failures are filed under: those that people have muted or called expected."""


def update(
    history: History,
    lineage: Mapping[str, Sequence[str]],
    now: datetime,
    *,
    notify_since: datetime | None = None,
    clean: int = CLEAN,
) -> list[Incident]:
    """Brings the incidents up to date with the live verdicts; returns those that changed.

    Running it again changes nothing. An incident resolves when each of its tables was judged in `clean` windows after
    its last failure, or at once when its failing windows were judged again and passed. Incidents that are history
    (see `NEWS` and `OLD`), that are over when first seen, or whose windows ended by `notify_since` are kept without a
    message; when one of them goes on into the present, it is announced.

    Args:
        lineage: table (or "model.performance") -> the tables it is made from.
        notify_since: windows that ended by then are history, whatever the other rules say.

    Raises:
        HistoryError: when history can't be read or written.
    """
    standing = history.feedback()
    with history.database.read() as connection:
        if not (ledger.unfiled(connection) or _active(connection) or _blamed_again(connection, standing)):
            return []
    with history.database.write("incidents") as connection:
        ledger.drop_members(connection, EXCUSED, _blamed_again(connection, standing))
        scene = _scene(connection, standing)
        if scene is None:
            return []
        return _Update(history, connection, lineage, now, notify_since, clean, scene).run()


def _active(connection: Connection) -> list[Incident]:
    return ledger.select_incidents(connection, I.state.in_(("open", "acknowledged")))


def _blamed_again(connection: Connection, standing: Sequence[Feedback]) -> list[Member]:
    """Failures that were excused, by feedback that has been revoked since."""
    excused = ledger.select_members(connection, [EXCUSED]).get(EXCUSED, [])
    return [m for m in excused if not _excused(m.verdict, standing)]


@dataclass(frozen=True)
class _Scene:
    """All that one update looks at: the failures since some instant, and every incident that reaches into that time."""

    failures: list[Verdict]
    excused: list[Verdict]
    known: dict[int, Incident]
    members: dict[int, list[Member]]


def _scene(connection: Connection, standing: Sequence[Feedback]) -> _Scene | None:
    new, active = ledger.unfiled(connection), _active(connection)
    if new is None and not active:
        return None
    start = min([i.window.start for i in active] + ([new.start] if new else []))
    failures = ledger.live_failures(connection, start)
    longest = max((v.window.length for v in failures), default=timedelta(0))
    while True:
        known = ledger.select_incidents(
            connection, or_(I.window_end >= start - REOPENS * longest, I.state.in_(("open", "acknowledged")))
        )
        earlier = min([i.window.start for i in known], default=start)
        if earlier >= start:
            break
        start = earlier
    failures = ledger.live_failures(connection, start)
    excused = [v for v in failures if _excused(v, standing)]
    gone = {id(v) for v in excused}
    return _Scene(
        [v for v in failures if id(v) not in gone],
        excused,
        {i.id: i for i in known},
        ledger.select_members(connection, [i.id for i in known]),
    )


def _excused(verdict: Verdict, standing: Sequence[Feedback]) -> bool:
    return any(f.speaks_of(verdict) for f in standing)


class _Update:
    """One run of `update`, inside its transaction."""

    def __init__(
        self,
        history: History,
        connection: Connection,
        lineage: Mapping[str, Sequence[str]],
        now: datetime,
        notify_since: datetime | None,
        clean: int,
        scene: _Scene,
    ) -> None:
        self.history, self.connection, self.lineage, self.now = history, connection, lineage, now
        self.notify_since, self.clean, self.scene = notify_since, clean, scene
        self.changed: dict[int, Incident] = {}
        everyone = [(m, incident_id) for incident_id, members in scene.members.items() for m in members]
        self.owner = {m.place: incident_id for m, incident_id in sorted(everyone, key=lambda e: e[0].failing)}
        self.filed = {(*m.place, m.severity) for m, _ in everyone if m.failing}

    def run(self) -> list[Incident]:
        self._excuse()
        groups = group(self.scene.failures, self.lineage)
        claims = self._claims(groups)
        kept: set[int] = set()
        for number, found in enumerate(groups):
            incident = self._home(found, [i for i, claimed in claims.items() if claimed == number])
            if incident is not None:
                kept.add(incident.id)
        for incident in list(self.scene.known.values()):
            if incident.active and incident.id not in kept and incident.id not in self.changed:
                self._settle(incident)
        return list(self.changed.values())

    def _excuse(self) -> None:
        """Files excused failures apart, and notes in their incidents that they fail no more."""
        rows = [Member.of(v) for v in self.scene.excused]
        ledger.save_members(self.history, self.connection, EXCUSED, rows)

    def _claims(self, groups: Sequence[Group]) -> dict[int, int]:
        """Incident -> the group that holds most of its failures."""
        shared: dict[int, Counter[int]] = {}
        for number, found in enumerate(groups):
            for verdict in found.verdicts:
                owner = self.owner.get((Key.of(verdict), verdict.window))
                if owner is not None:
                    shared.setdefault(owner, Counter())[number] += 1
        return {owner: max(counts, key=lambda n: (counts[n], -n)) for owner, counts in shared.items()}

    def _home(self, found: Group, claimed: Sequence[int]) -> Incident | None:
        """The incident that the group belongs to after this; None when it is settled and nothing new came."""
        known = self.scene.known
        active = sorted(i for i in claimed if known[i].active)
        settled = sorted(i for i in claimed if not known[i].active)
        if active:
            for other in active[1:]:
                self._merge(known[other], known[active[0]])
            return self._continue(known[active[0]], self._own(found, {active[0], *active[1:]}))
        if settled:
            home = known[settled[-1]]
            verdicts = self._own(found, {home.id})
        else:
            verdicts = self._own(found, set())
            earlier = self._earlier(found)
            if earlier is None:
                return self._open(verdicts) if verdicts else None
            home = earlier
        if not self._new(verdicts):
            return None
        return self._revive(home, verdicts)

    def _own(self, found: Group, homes: set[int]) -> list[Verdict]:
        """The group's failures, without those that a settled incident holds already and keeps."""
        return [v for v in found.verdicts if not self._settled_elsewhere(v, homes)]

    def _settled_elsewhere(self, verdict: Verdict, homes: set[int]) -> bool:
        owner = self.owner.get((Key.of(verdict), verdict.window))
        if owner is None or owner in homes or self.scene.known[owner].active:
            return False
        return (Key.of(verdict), verdict.window, verdict.severity) in self.filed

    def _new(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        return [v for v in verdicts if (Key.of(v), v.window, v.severity) not in self.filed]

    def _earlier(self, found: Group) -> Incident | None:
        """A settled incident of which this is the return: the same metric fails again soon after its end."""
        keys = {Key.of(v) for v in found.verdicts}
        length = max(v.window.length for v in found.verdicts)
        candidates = []
        for incident in self.scene.known.values():
            patience = {"resolved": REOPENS, "expected": GAP}.get(incident.state)
            if patience is None or not incident.window.start <= found.start <= incident.window.end + patience * length:
                continue
            if keys & {m.key for m in self.scene.members.get(incident.id, [])}:
                candidates.append(incident)
        return max(candidates, key=lambda i: (i.window.end, i.id), default=None)

    # What happens to one incident

    def _open(self, verdicts: list[Verdict]) -> Incident:
        draft = described(
            Incident(0, "open", "warn", "", "", "", hull(verdicts), self.now, self.now), verdicts, self.lineage
        )
        over = self._over(verdicts)
        draft = replace(draft, announced=not over and self._is_news(draft))
        incident = ledger.insert_incident(self.connection, draft)
        self._save(incident, verdicts)
        self._event(incident, "opened", "" if incident.announced else "in hindsight")
        return self._resolve(incident, "its checks passed again") if over else incident

    def _continue(self, incident: Incident, verdicts: list[Verdict]) -> Incident:
        if not verdicts:
            return incident
        fresh = described(incident, verdicts, self.lineage)
        worse = self._worse(incident, fresh)
        went_on = bool(self._new(verdicts))
        if fresh != incident or went_on:
            fresh = replace(fresh, changed_at=self.now)
        if not fresh.announced and went_on and self._is_news(fresh):
            fresh = replace(fresh, announced=True)
            self._save(fresh, verdicts)
            self._event(fresh, "opened", f"it has gone on since {fresh.window.start:%Y-%m-%d}")
        else:
            self._save(fresh, verdicts)
            if worse:
                self._event(fresh, "worse", worse)
        return self._resolve(fresh, "its checks passed again") if self._over(verdicts) else fresh

    def _revive(self, incident: Incident, verdicts: list[Verdict]) -> Incident:
        """A settled incident with new failures: an expected one takes them in silence unless it gets worse."""
        fresh = replace(described(incident, verdicts, self.lineage), changed_at=self.now)
        fresh = replace(fresh, window=incident.window.hull(fresh.window))
        worse = self._worse(incident, fresh)
        if incident.state == "expected" and not worse:
            self._save(fresh, verdicts)
            return fresh
        over = self._over(verdicts)
        fresh = replace(fresh, state="open", resolved_at=None, acknowledged_by="")
        fresh = replace(fresh, announced=not over and self._is_news(fresh))
        self._save(fresh, verdicts)
        self._event(fresh, "reopened", worse)
        return self._resolve(fresh, "its checks passed again") if over else fresh

    def _merge(self, incident: Incident, into: Incident) -> None:
        ledger.move_members(self.history, self.connection, incident.id, into.id)
        for member in self.scene.members.pop(incident.id, []):
            self.scene.members.setdefault(into.id, []).append(member)
        gone = replace(incident, state="resolved", resolved_at=self.now, changed_at=self.now)
        self._keep(gone)
        self._event(gone, "merged", f"it has the cause of incident {into.id}, which goes on for both")

    def _settle(self, incident: Incident) -> None:
        """An active incident without failures: judged again and passed, or excused."""
        excused = {(Key.of(v), v.window) for v in self.scene.excused}
        members = self.scene.members.get(incident.id, [])
        muted = any(m.place in excused for m in members)
        self._save(incident, [])
        self._resolve(incident, "people have excused it" if muted else "its windows were judged again and passed")

    def _resolve(self, incident: Incident, note: str) -> Incident:
        resolved = replace(incident, state="resolved", resolved_at=self.now, changed_at=self.now)
        self._keep(resolved)
        self._event(resolved, "resolved", note)
        return resolved

    # Facts

    def _worse(self, before: Incident, after: Incident) -> str:
        """In which way it got worse, "" if it didn't."""
        if RANK[after.severity] > RANK[before.severity]:
            return f"its severity rose from {before.severity} to {after.severity}"
        further = [t for t in after.touched.tables if t not in before.touched.tables]
        if further:
            return "it has reached " + ", ".join(
                f"the accuracy of {model}" if (model := model_of(table)) else table for table in further
            )
        return ""

    def _over(self, verdicts: Sequence[Verdict]) -> bool:
        """Whether each of its tables was judged in enough windows after its last failure."""
        last: dict[str, datetime] = {}
        for v in verdicts:
            last[v.table] = max(v.window.end, last.get(v.table, v.window.end))
        return all(
            len(ledger.judged_windows(self.connection, table, after)) >= self.clean for table, after in last.items()
        )

    def _is_news(self, incident: Incident) -> bool:
        end = incident.window.end
        if self.notify_since is not None and end <= self.notify_since:
            return False
        if end <= self.now - OLD:
            return False
        later = ledger.judged_windows(self.connection, incident.table, end)
        return len(later) <= NEWS

    # Writing

    def _save(self, incident: Incident, verdicts: Sequence[Verdict]) -> None:
        """Files the failures, marks members that fail no more, and keeps the incident if anything changed."""
        before = self.scene.members.get(incident.id, [])
        failing = {(Key.of(v), v.window) for v in verdicts}
        held = {(m.place, m.severity) for m in before if m.failing}
        passed = [replace(m, failing=False) for m in before if m.failing and m.place not in failing]
        new = [m for m in map(Member.of, verdicts) if (m.place, m.severity) not in held]
        ledger.save_members(self.history, self.connection, incident.id, passed + new)
        if new or passed or incident != self.scene.known.get(incident.id):
            self._keep(incident)

    def _keep(self, incident: Incident) -> None:
        ledger.save_incident(self.connection, incident)
        self.changed[incident.id] = incident

    def _event(self, incident: Incident, kind: str, note: str) -> None:
        ledger.add_event(self.connection, incident, self.now, kind, note=note)


# What people say and ask


def open_incidents(history: History) -> list[Incident]:
    """Incidents that still need somebody, the worst and oldest first."""
    with history.database.read() as connection:
        found = _active(connection)
    return sorted(found, key=lambda i: (-RANK[i.severity], i.window.start, i.id))


def incidents(history: History, *, since: datetime | None = None, until: datetime | None = None) -> list[Incident]:
    """All incidents whose windows overlap [since, until), in the order they were opened."""
    begins = true() if since is None else I.window_end > since
    ends = true() if until is None else I.window_start < until
    with history.database.read() as connection:
        return ledger.select_incidents(connection, and_(begins, ends))


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
    for key in sorted({m.key for m in members(history, incident_id)}):
        scope = {**key._asdict(), "incident": incident_id}
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
        known = ", ".join(str(i.id) for i in _active(connection)) or "none"
        raise HistoryError(f"there is no incident {incident_id}; open ones: {known}")
    return found[0]
