"""What becomes of incidents when windows are judged: opened, worse, reopened, merged, resolved.

One update is one transaction of history, so that two processes can't open the same incident twice and a message is put
into the outbox exactly when its incident changes. It reads the failures that are new and what lies around them, not the
whole past: an incident that has lasted for months costs no more than one of yesterday. The time comes in as `now`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_

from mlobs.detectors.verdict import Verdict
from mlobs.history import Feedback, History, tables
from mlobs.incidents import ledger
from mlobs.incidents.evidence import deployed
from mlobs.incidents.grouping import GAP, RANK, Group, Key, Place, group, model_of
from mlobs.incidents.ledger import Failure, I
from mlobs.incidents.records import Happening, Incident, Member, Strand, strands
from mlobs.incidents.scope import Surroundings, blocking_of, described, drift_windows_of
from mlobs.incidents.severity import Weights, shares
from mlobs.spec import Model

CLEAN = 2
"""Windows that must have been judged without a failure before an incident resolves by itself."""

REOPENS = 7
"""Within so many windows after its end the same failure reopens an incident, later it opens another."""

NEWS = 7
"""An incident that ended more windows than this before the newest judged one is history: nobody is told of it."""

OLD = timedelta(days=90)
"""An incident whose windows ended longer ago than this (labels may be late) is history too."""

PASSED = "its checks passed again"
REJUDGED = "its windows were judged again and passed"
EXCUSED = "people have excused it"

FEEDBACK_SEEN = "feedback seen by incidents"
"""Name under which `revisions` holds how many changes of feedback the incidents have taken in."""


def update(
    history: History,
    lineage: Mapping[str, Sequence[str]],
    now: datetime,
    *,
    models: Sequence[Model] = (),
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
        models: as declared, for what stops their predictions (of a model that isn't there, any data fault upstream does)
            and for the windows that drift is judged over.
        notify_since: windows that ended by then are history, whatever the other rules say.

    Raises:
        HistoryError: when history can't be read or written.
    """
    given = history.feedback(revoked=True)
    feedback_changes = len(given) + sum(not f.active for f in given)
    with history.database.read() as connection:
        new = ledger.unfiled(connection) or ledger.lapsed(connection)
        if not new and not ledger.active(connection) and _seen(connection) == feedback_changes:
            return []
    around = Surroundings(lineage, blocking_of(models), _weights(history, lineage), drift_windows_of(models))
    with history.database.write("incidents") as connection:
        standing = [f for f in given if f.active]
        run = _Update(history, connection, around, now, notify_since, clean, standing)
        if _seen(connection) != feedback_changes:
            run.take_feedback()
            row = {"table_name": FEEDBACK_SEEN, "revision": feedback_changes}
            history.database.upsert(connection, tables.revisions, [row])
        run.take_lapsed()
        run.take_new()
        run.settle()
        return list(run.changed.values())


def _seen(connection: Connection) -> int:
    c = tables.revisions.c
    return (
        connection.scalar(tables.revisions.select().with_only_columns(c.revision).where(c.table_name == FEEDBACK_SEEN))
        or 0
    )


def _weights(history: History, lineage: Mapping[str, Sequence[str]]) -> Weights:
    """Model -> field -> its share of the importance that was measured when the deployed version was trained."""
    models = sorted(model for table in lineage if (model := model_of(table)))
    return {model: shares(deployed(history, model).get("importances")) for model in models}


class _Update:
    """One run of `update`, inside its transaction.

    Attributes:
        known: the incidents looked at, as they are by now; `before`: the active ones as they were.
        members: their members in the windows looked at.
        owner: place of a failure -> the incident that has it.
        excused: incidents of which people have excused some failure.
        changed: what is handed back.
    """

    def __init__(
        self,
        history: History,
        connection: Connection,
        around: Surroundings,
        now: datetime,
        notify_since: datetime | None,
        clean: int,
        standing: Sequence[Feedback],
    ) -> None:
        self.history, self.connection, self.around, self.now = history, connection, around, now
        self.notify_since, self.clean, self.standing = notify_since, clean, standing
        self.known = {i.id: i for i in ledger.active(connection)}
        self.before = dict(self.known)
        self.members: dict[int, list[Member]] = {}
        self.owner: dict[Place, int] = {}
        self.excused: set[int] = set()
        self.changed: dict[int, Incident] = {}

    # What has happened since the last update

    def take_feedback(self) -> None:
        """Feedback was given or revoked: what was excused is looked at again, and what is excused now fails no more."""
        ledger.forget_excused(self.connection)
        members = ledger.select_members(self.connection, self.known, failing=True)
        gone = {m.place for found in members.values() for m in found if self._is_excused(m.verdict)}
        self.excused = ledger.pass_members(self.connection, gone)
        self._rebuild(self.excused)

    def take_lapsed(self) -> None:
        """Failures whose windows were judged again: they fail no more, unless they are among the new ones."""
        lapsed = ledger.lapsed(self.connection)
        self._rebuild(ledger.pass_members(self.connection, {place for _, place in lapsed}))
        ledger.mark(self.connection, [row_id for row_id, _ in lapsed], filed=False)

    def take_new(self) -> None:
        """New failures find their incidents, among the failures around them."""
        new = ledger.unfiled(self.connection)
        if new is None:
            return
        start, longest = new
        horizon = start - (max(REOPENS, *self.around.drift_windows.values(), 0) + 1) * longest
        failures = ledger.live_failures(self.connection, horizon)
        excused = [f for f in failures if self._is_excused(f.verdict)]
        ledger.mark(self.connection, [f.id for f in excused if not f.filed], filed=True)
        left_out = {f.id for f in excused}
        failures = [f for f in failures if f.id not in left_out]
        self._look_around(horizon)
        by_place: dict[Place, list[Failure]] = {}
        for failure in failures:
            by_place.setdefault(failure.place, []).append(failure)
        groups = group([f.verdict for f in failures], self.around.lineage, self._onsets(), self.around.drift_windows)
        claims = self._claims(groups)
        for number, found in enumerate(groups):
            places = {(Key.of(v), v.window) for v in found.verdicts}
            inside = [f for place in sorted(places) for f in by_place[place]]
            self._find_home(found, inside, [i for i, claimed in claims.items() if claimed == number])
        ledger.mark(self.connection, [f.id for f in failures if not f.filed], filed=True)

    def settle(self) -> None:
        """Active incidents without failures, or whose tables have passed since, are resolved."""
        for incident in list(self.known.values()):
            if not incident.active:
                continue
            if not incident.strands:
                self._resolve(incident, EXCUSED if incident.id in self.excused else REJUDGED)
            elif self._over(incident.strands):
                self._resolve(incident, PASSED)

    # Finding the incident of a group

    def _look_around(self, horizon: datetime) -> None:
        """Every incident that reaches into the windows looked at, and its members there."""
        there = or_(I.window_end >= horizon, I.state.in_(("open", "acknowledged")))
        for incident in ledger.select_incidents(self.connection, there):
            self.known.setdefault(incident.id, incident)
        self.members = ledger.select_members(self.connection, self.known, since=horizon)
        everyone = [(m, incident_id) for incident_id, members in self.members.items() for m in members]
        self.owner = {m.place: incident_id for m, incident_id in sorted(everyone, key=lambda e: e[0].failing)}

    def _onsets(self) -> dict[Place, datetime]:
        """When the failures of an incident really began, for those that began before the windows looked at."""
        begun = {(i.id, s.key): s.start for i in self.known.values() for s in i.strands}
        return {
            m.place: begun[incident_id, m.key]
            for incident_id, members in self.members.items()
            for m in members
            if m.failing and (incident_id, m.key) in begun
        }

    def _claims(self, groups: Sequence[Group]) -> dict[int, int]:
        """Incident -> the group that holds most of its failures."""
        shared: dict[int, Counter[int]] = {}
        for number, found in enumerate(groups):
            for verdict in found.verdicts:
                owner = self.owner.get((Key.of(verdict), verdict.window))
                if owner is not None:
                    shared.setdefault(owner, Counter())[number] += 1
        return {owner: max(counts, key=lambda n: (counts[n], -n)) for owner, counts in shared.items()}

    def _find_home(self, found: Group, inside: Sequence[Failure], claimed: Sequence[int]) -> None:
        """Puts the failures of a group into the incident that they belong to; opens one if there is none."""
        active = sorted(i for i in claimed if self.known[i].active)
        settled = sorted(i for i in claimed if not self.known[i].active)
        if active:
            for other in active[1:]:
                self._merge(self.known[other], self.known[active[0]])
            self._continue(self.known[active[0]], self._own(inside, {*active}))
            return
        home = self.known[settled[-1]] if settled else self._earlier(found)
        own = self._own(inside, {home.id} if home else set())
        if all(f.filed for f in own) and home is not None and not home.active:
            return
        if home is None:
            if own:
                self._open(own)
        else:
            self._revive(home, own)

    def _own(self, inside: Sequence[Failure], homes: set[int]) -> list[Failure]:
        """The failures, without those that a settled incident holds and keeps."""

        def kept_elsewhere(failure: Failure) -> bool:
            owner = self.owner.get(failure.place)
            return owner is not None and owner not in homes and not self.known[owner].active and failure.filed

        return [f for f in inside if not kept_elsewhere(f)]

    def _earlier(self, found: Group) -> Incident | None:
        """A settled incident of which this is the return: the same metric fails again soon after its end."""
        keys = {e.key for e in found.episodes}
        first = min(found.verdicts, key=lambda v: v.window).window
        candidates = []
        for incident in self.known.values():
            patience = {"resolved": REOPENS, "expected": GAP}.get(incident.state)
            if patience is None:
                continue
            if not incident.window.start <= first.start <= incident.window.end + patience * first.length:
                continue
            if keys & {m.key for m in self.members.get(incident.id, [])}:
                candidates.append(incident)
        return max(candidates, key=lambda i: (i.window.end, i.id), default=None)

    # What happens to one incident

    def _open(self, own: Sequence[Failure]) -> None:
        found = strands(Member.of(f.verdict) for f in own)
        window = own[0].verdict.window
        draft = described(Incident(0, "open", "warn", "", "", "", window, self.now, self.now), found, self.around)
        over = self._over(found)
        draft = replace(draft, announced=not over and self._is_news(draft))
        incident = ledger.insert_incident(self.connection, draft)
        self._file(incident, own)
        self._keep(incident)
        self._event(incident, "opened", "" if incident.announced else "in hindsight")

    def _continue(self, incident: Incident, own: Sequence[Failure]) -> None:
        """New failures of an active incident, or old ones that turn out to belong to it."""
        joined = self._file(incident, own)
        incident = self.known[incident.id]
        fresh = described(incident, strands(joined, incident.strands), self.around) if own else incident
        worse = self._worse(self.before.get(incident.id, incident), fresh)
        went_on = any(not f.filed for f in own)
        if fresh == incident and not went_on:
            return
        fresh = replace(fresh, changed_at=self.now)
        news = not fresh.announced and went_on and not self._over(fresh.strands) and self._is_news(fresh)
        fresh = replace(fresh, announced=fresh.announced or news)
        self._keep(fresh)
        if news:
            self._event(fresh, "opened", f"it has gone on since {fresh.window.start:%Y-%m-%d}")
        elif worse:
            self._event(fresh, "worse", worse)

    def _revive(self, incident: Incident, own: Sequence[Failure]) -> None:
        """A settled incident with new failures: an expected one takes them in silence unless it gets worse."""
        failing = strands(Member.of(f.verdict) for f in own)
        fresh = described(incident, failing, self.around)
        fresh = replace(fresh, window=incident.window.hull(fresh.window), changed_at=self.now)
        worse = self._worse(incident, fresh)
        self._file(incident, own)
        if incident.state == "expected" and not worse:
            self._keep(replace(fresh, strands=strands(map(Member.of, (f.verdict for f in own)), incident.strands)))
            return
        announced = not self._over(fresh.strands) and self._is_news(fresh)
        fresh = replace(fresh, state="open", resolved_at=None, acknowledged_by="", announced=announced)
        self._keep(fresh)
        self._event(fresh, "reopened", worse)

    def _merge(self, incident: Incident, into: Incident) -> None:
        ledger.move_members(self.history, self.connection, incident.id, into.id)
        for member in self.members.pop(incident.id, []):
            self.members.setdefault(into.id, []).append(member)
            self.owner[member.place] = into.id
        gone = replace(incident, state="resolved", resolved_at=self.now, changed_at=self.now)
        self._keep(gone)
        self._event(gone, "merged", f"it has the cause of incident {into.id}, which goes on for both")
        self._rebuild({into.id})

    def _resolve(self, incident: Incident, note: str) -> None:
        resolved = replace(incident, state="resolved", resolved_at=self.now, changed_at=self.now)
        self._keep(resolved)
        self._event(resolved, "resolved", note)

    # Facts

    def _is_excused(self, verdict: Verdict) -> bool:
        return any(f.speaks_of(verdict) for f in self.standing)

    def _worse(self, before: Incident, after: Incident) -> str:
        """In which way it got worse, "" if it didn't: it touches more, holds back more, or is more severe."""
        told = []
        further = [t for t in after.touched.tables if t not in before.touched.tables]
        if further:
            reached = [f"the accuracy of {model}" if (model := model_of(table)) else table for table in further]
            told.append(f"it has reached {', '.join(reached)}")
        stopped = [model for model in after.touched.held if model not in before.touched.held]
        if stopped:
            told.append(f"it holds back predictions of {', '.join(stopped)}")
        if RANK[after.severity] > RANK[before.severity]:
            told.append(f"its severity rose from {before.severity} to {after.severity}")
        return "; ".join(told)

    def _over(self, found: Sequence[Strand]) -> bool:
        """Whether each table was judged in enough windows after its last failure."""
        last: dict[str, datetime] = {}
        for strand in found:
            table = strand.key.table
            last[table] = max(strand.end, last.get(table, strand.end))
        return all(
            len(ledger.judged_windows(self.connection, table, after)) >= self.clean for table, after in last.items()
        )

    def _is_news(self, incident: Incident) -> bool:
        end = incident.window.end
        if self.notify_since is not None and end <= self.notify_since:
            return False
        if end <= self.now - OLD:
            return False
        return len(ledger.judged_windows(self.connection, incident.table, end)) <= NEWS

    # Writing

    def _file(self, incident: Incident, own: Iterable[Failure]) -> list[Member]:
        """Makes the failures members of the incident, and takes them from others; returns those that are new to it."""
        held = {(m.place, m.severity) for m in self.members.get(incident.id, []) if m.failing}
        worst: dict[Place, Member] = {}
        for failure in own:
            member, known = Member.of(failure.verdict), worst.get(failure.place)
            if known is None or RANK[member.severity] > RANK[known.severity]:
                worst[failure.place] = member
        joined = [m for m in worst.values() if (m.place, m.severity) not in held]
        taken = {owner for m in joined if (owner := self.owner.get(m.place)) is not None and owner != incident.id}
        losing = {i for i in taken if self.known[i].active}
        if losing:
            ledger.pass_members(self.connection, {m.place for m in joined if self.owner.get(m.place) in losing})
        ledger.save_members(self.history, self.connection, incident.id, joined)
        for member in joined:
            self.owner[member.place] = incident.id
        self._rebuild(losing)
        return joined

    def _rebuild(self, ids: Iterable[int]) -> None:
        """Strands anew from the members that fail, for incidents that have lost or won some."""
        active = [i for i in ids if i in self.known and self.known[i].active]
        if not active:
            return
        members = ledger.select_members(self.connection, active, failing=True)
        for incident_id in active:
            incident, found = self.known[incident_id], strands(members.get(incident_id, []))
            if not found:
                self.known[incident_id] = replace(incident, strands=())
            elif found != incident.strands:
                self._keep(replace(described(incident, found, self.around), changed_at=self.now))

    def _keep(self, incident: Incident) -> None:
        ledger.save_incident(self.connection, incident)
        self.known[incident.id] = self.changed[incident.id] = incident

    def _event(self, incident: Incident, kind: Happening, note: str) -> None:
        ledger.add_event(self.connection, incident, self.now, kind, note=note)
