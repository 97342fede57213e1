"""The part of history that remembers what was measured and judged: profiles, references, verdicts, arrivals, accuracy.

Each method is one short transaction; saving the same thing twice leaves one. Knows the tables, not the statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection, Row, Table, and_, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from mlobs.detectors.verdict import Range, Verdict
from mlobs.history import tables
from mlobs.history.database import Database
from mlobs.history.records import Arrival, Pin, PinnedReference, StoredVerdict
from mlobs.history.tables import window_of
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.metrics.profiles import Profile

CHUNK = 500
"""Rows deleted, updated or compared by one statement."""


class Packed(Protocol):
    """Anything that can be kept as bytes."""

    def to_bytes(self) -> bytes: ...


class Measured:
    """Profiles, references, verdicts, arrivals and accuracy; a part of `History`."""

    database: Database

    # Profiles

    def save_profile(self, table: str, window: Window, fingerprint: str, profile: Packed, at: datetime) -> int:
        """Remembers the profile of one window, in place of an earlier one of the same fingerprint.

        Returns:
            The table's revision after it. One more than before means that nobody else has changed it in between.
        """
        return self.save_profiles(table, fingerprint, {window: profile}, at)

    def save_profiles(self, table: str, fingerprint: str, profiles: Mapping[Window, Packed], at: datetime) -> int:
        """Remembers the profiles of many windows in one transaction; returns the table's revision after it.

        Profiles that are stored already, byte for byte, don't change the revision.
        """
        rows = [
            {
                "table_name": table,
                "fingerprint": fingerprint,
                "window_start": window.start,
                "window_end": window.end,
                "at": at,
                "payload": profile.to_bytes(),
            }
            for window, profile in profiles.items()
        ]
        c = tables.profiles.c
        with self.database.write(f"profiles:{table}") as connection:
            changed = []
            for row in rows:
                same = and_(*(c[name] == row[name] for name in row if name != "at"))
                if connection.scalar(select(c.table_name).where(same)) is None:
                    changed.append(row)
            if changed:
                self.database.upsert(connection, tables.profiles, changed)
                return self._bump(connection, table)
            return _revision(connection, table)

    def profiles(
        self,
        table: str,
        fingerprint: str,
        *,
        before: datetime | None = None,
        since: datetime | None = None,
        last: int | None = None,
    ) -> list[tuple[Window, Profile]]:
        """The remembered profiles of a table, oldest window first.

        Args:
            before: only windows that had ended by then.
            since: only windows that start then or later.
            last: at most this many, the newest ones.

        Raises:
            ProfileError: when one can't be read back.
        """
        from mlobs.metrics.profiles import Profile

        c = tables.profiles.c
        query = select(c.window_start, c.window_end, c.payload).where(
            c.table_name == table, c.fingerprint == fingerprint
        )
        if before is not None:
            query = query.where(c.window_end <= before)
        if since is not None:
            query = query.where(c.window_start >= since)
        query = query.order_by(c.window_start.desc(), c.window_end.desc())
        if last is not None:
            query = query.limit(last)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(window_of(start, end), Profile.from_bytes(payload)) for start, end, payload in reversed(rows)]

    def revision(self, table: str) -> int:
        """A number that grows whenever the remembered profiles of that table change; 0 while there are none."""
        with self.database.read() as connection:
            return _revision(connection, table)

    def _bump(self, connection: Connection, table: str) -> int:
        revision = _revision(connection, table) + 1
        self.database.upsert(connection, tables.revisions, [{"table_name": table, "revision": revision}])
        return revision

    # References

    def save_reference(self, name: str, version: str, payload: bytes, at: datetime, note: str = "") -> None:
        """Pins a reference for a model or table; earlier ones stay on record.

        Pinning again what is in force already changes nothing.
        """
        with self.database.write(f"reference:{name}") as connection:
            newest = connection.execute(_pins(name).limit(1)).first()
            if newest is not None and newest.version == version and newest.payload == payload:
                return
            row = {"name": name, "version": version, "at": at, "note": note, "payload": payload}
            connection.execute(insert(tables.reference_pins).values(row))

    def reference(self, name: str, version: str | None = None) -> PinnedReference | None:
        """The reference in force: the one pinned last (of that version, if one is named); None if there is none."""
        query = _pins(name)
        if version is not None:
            query = query.where(tables.reference_pins.c.version == version)
        with self.database.read() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else PinnedReference(row.version, row.payload, row.at)

    def references(self, name: str) -> list[Pin]:
        """Every pinning of a reference of that name, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(_pins(name)).all()
        return [Pin(row.version, row.at, row.note, row.payload) for row in reversed(rows)]

    # Verdicts

    def save_verdicts(
        self,
        table: str,
        window: Window,
        detectors: Iterable[str],
        verdicts: Sequence[Verdict],
        at: datetime,
        fingerprint: str = "",
        run_id: str = "",
    ) -> None:
        """Remembers what `detectors` say of one window, in place of what they said before.

        What they said before is kept, with the time it was superseded. Verdicts that say exactly what is remembered
        stay as they are, with the newest `run_id`.
        """
        self.save_all_verdicts(table, {window: verdicts}, detectors, at, fingerprint, run_id)

    def save_all_verdicts(
        self,
        table: str,
        verdicts: Mapping[Window, Sequence[Verdict]],
        detectors: Iterable[str],
        at: datetime,
        fingerprint: str = "",
        run_id: str = "",
    ) -> None:
        """`save_verdicts` for many windows of a table, in one transaction."""
        judged = sorted(set(detectors))
        c = tables.verdicts.c
        with self.database.write(f"verdicts:{table}") as connection:
            live = self._live(connection, table, verdicts, judged)
            new: list[dict[str, Any]] = []
            kept: list[int] = []
            for window, found in verdicts.items():
                for verdict in found:
                    row = _verdict_row(table, window, verdict)
                    same = live.get(_content(row), [])
                    if same:
                        kept.append(same.pop())
                    else:
                        new.append(row | {"at": at, "run_id": run_id, "fingerprint": fingerprint, "filed": False})
            gone = [row_id for ids in live.values() for row_id in ids]
            for chunk in _chunks(gone):
                connection.execute(update(tables.verdicts).where(c.id.in_(chunk)).values(superseded_at=at))
            for chunk in _chunks(kept):
                other_run = c.id.in_(chunk) & (c.run_id != run_id)
                connection.execute(update(tables.verdicts).where(other_run).values(run_id=run_id))
            if new:
                connection.execute(insert(tables.verdicts), new)

    def _live(
        self, connection: Connection, table: str, windows: Iterable[Window], detectors: Sequence[str]
    ) -> dict[tuple[Any, ...], list[int]]:
        """Content -> ids of the live verdicts of those windows and detectors."""
        wanted = set(windows)
        if not wanted:
            return {}
        c = tables.verdicts.c
        query = select(tables.verdicts).where(
            c.table_name == table,
            c.window_start >= min(w.start for w in wanted),
            c.window_start <= max(w.start for w in wanted),
            c.detector.in_(detectors),
            c.superseded_at.is_(None),
        )
        live: dict[tuple[Any, ...], list[int]] = {}
        for row in connection.execute(query):
            if window_of(row.window_start, row.window_end) in wanted:
                live.setdefault(_content(row._asdict()), []).append(row.id)
        return live

    def verdicts(
        self,
        table: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        status: str | None = None,
        detector: str | None = None,
        field: str | None = None,
        metric: str | None = None,
        live: bool = True,
        as_of: datetime | None = None,
    ) -> list[StoredVerdict]:
        """Remembered verdicts, by window and then in the order they were given.

        Args:
            since, until: only windows that overlap [since, until).
            live: only what stands now; False gives the superseded ones too.
            as_of: only what stood at that instant (data time), in place of `live`.
        """
        c = tables.verdicts.c
        query = select(tables.verdicts).order_by(c.window_start, c.window_end, c.id)
        for column, wanted in (
            (c.table_name, table),
            (c.status, status),
            (c.detector, detector),
            (c.field, field),
            (c.metric, metric),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if since is not None:
            query = query.where(c.window_end > since)
        if until is not None:
            query = query.where(c.window_start < until)
        if as_of is not None:
            query = query.where(c.at <= as_of, c.superseded_at.is_(None) | (c.superseded_at > as_of))
        elif live:
            query = query.where(c.superseded_at.is_(None))
        with self.database.read() as connection:
            return [stored_verdict(row) for row in connection.execute(query)]

    # Arrivals

    def record_arrival(
        self,
        table: str,
        window: Window,
        at: datetime,
        rows: int,
        columns: Mapping[str, str],
        newest: datetime | None,
        outside: int = 0,
    ) -> None:
        """Remembers that a window of a table was delivered; each delivery counts, also of a window seen before."""
        row = {
            "table_name": table,
            "window_start": window.start,
            "window_end": window.end,
            "at": at,
            "rows": rows,
            "columns": dict(columns),
            "newest": newest,
            "outside": outside,
        }
        with self.database.write(f"arrivals:{table}") as connection:
            self.database.upsert(connection, tables.arrivals, [row])

    def arrivals(self, table: str, *, since: datetime | None = None) -> list[Arrival]:
        """Deliveries of a table since then, in order of arrival."""
        c = tables.arrivals.c
        query = select(tables.arrivals).where(c.table_name == table).order_by(c.at, c.window_start)
        if since is not None:
            query = query.where(c.at >= since)
        with self.database.read() as connection:
            return [
                Arrival(
                    row.table_name,
                    window_of(row.window_start, row.window_end),
                    row.at,
                    row.rows,
                    row.columns,
                    row.newest,
                    row.outside,
                )
                for row in connection.execute(query)
            ]

    # Accuracy

    def save_accuracy(
        self, model: str, window: Window, version: str, segment: str, payload: bytes | Packed, at: datetime
    ) -> None:
        """Remembers the accuracy state of one version and segment ("" for all rows) in one window of predictions."""
        with self.database.write(f"accuracy:{model}") as connection:
            self.database.upsert(
                connection, tables.accuracy, [_accuracy_row(model, window, version, segment, payload, at)]
            )

    def save_accuracies(
        self,
        model: str,
        measured: Mapping[Window, Mapping[str, Mapping[str, bytes | Packed]]],
        at: datetime,
    ) -> None:
        """Remembers all that was measured of some windows (window -> version -> segment -> state) in one transaction.

        A measured window is replaced as a whole, so versions and segments that are gone from it count no more. What was
        known before and differs is kept with the time it was superseded (`accuracy(as_of=...)`); what is as it was keeps
        the time at which it was first known.
        """
        c = tables.accuracy.c
        rows = [
            _accuracy_row(model, window, version, segment, payload, at)
            for window, by_version in measured.items()
            for version, by_segment in by_version.items()
            for segment, payload in by_segment.items()
        ]
        with self.database.write(f"accuracy:{model}") as connection:
            for window in measured:
                whole = (c.model == model) & (c.window_start == window.start) & (c.window_end == window.end)
                before = connection.execute(select(tables.accuracy).where(whole)).all()
                new = {(r["version"], r["segment"]): r for r in rows if r["window_start"] == window.start}
                gone = []
                for old in before:
                    row = new.get((old.version, old.segment))
                    if row is not None and row["payload"] == old.payload:
                        row["at"] = old.at
                    else:
                        gone.append({**old._asdict(), "superseded_at": at})
                if gone:
                    connection.execute(insert(tables.accuracy_past), gone)
                connection.execute(tables.accuracy.delete().where(whole))
            self.database.upsert(connection, tables.accuracy, rows)

    def accuracy(
        self,
        model: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        version: str | None = None,
        segment: str = "",
        as_of: datetime | None = None,
    ) -> list[tuple[Window, str, bytes]]:
        """(window, version, state bytes) of one segment ("" for all rows), oldest window first.

        Args:
            since, until: only windows that overlap [since, until).
            as_of: what was known at that instant (data time); None is what is known now.
        """
        if as_of is None:
            c = tables.accuracy.c
            return [row[:3] for row in self._accuracy(model, c.segment == segment, since, until, version)]
        found: dict[tuple[Window, str], tuple[Window, str, bytes]] = {}
        for window, name, payload, at, gone in self._trail(model, segment, since, until, version):
            if at <= as_of and (gone is None or gone > as_of):
                found[window, name] = (window, name, payload)
        return [found[key] for key in sorted(found)]

    def accuracy_trail(
        self, model: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[tuple[Window, str, bytes, datetime]]:
        """(window, version, state bytes, when it became known) of all rows of each window, in the order it became known.

        How the labels of a window came in can be read from it.
        """
        trail = self._trail(model, "", since, until, None)
        return [row[:4] for row in sorted(trail, key=lambda row: (row[0], row[1], row[3]))]

    def _trail(
        self, model: str, segment: str, since: datetime | None, until: datetime | None, version: str | None
    ) -> list[tuple[Window, str, bytes, datetime, datetime | None]]:
        """(window, version, state bytes, known at, superseded at) of one segment, current and past."""
        found = []
        with self.database.read() as connection:
            for table in (tables.accuracy_past, tables.accuracy):
                c = table.c
                query = select(table).where(c.model == model, c.segment == segment, *_within(c, since, until, version))
                for r in connection.execute(query):
                    gone = r.superseded_at if table is tables.accuracy_past else None
                    found.append((window_of(r.window_start, r.window_end), r.version, r.payload, r.at, gone))
        return found

    def accuracy_segments(
        self,
        model: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        version: str | None = None,
    ) -> list[tuple[Window, str, bytes, str]]:
        """(window, version, state bytes, segment) of every named segment, oldest window first."""
        return self._accuracy(model, tables.accuracy.c.segment != "", since, until, version)

    def _accuracy(
        self,
        model: str,
        which: ColumnElement[bool],
        since: datetime | None,
        until: datetime | None,
        version: str | None,
    ) -> list[tuple[Window, str, bytes, str]]:
        c = tables.accuracy.c
        query = select(c.window_start, c.window_end, c.version, c.payload, c.segment)
        query = query.where(c.model == model, which, *_within(c, since, until, version))
        query = query.order_by(c.window_start, c.window_end, c.version, c.segment)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return [(window_of(r.window_start, r.window_end), r.version, r.payload, r.segment) for r in rows]


def _revision(connection: Connection, table: str) -> int:
    c = tables.revisions.c
    return int(connection.scalar(select(func.coalesce(func.max(c.revision), 0)).where(c.table_name == table)) or 0)


def _within(c: Any, since: datetime | None, until: datetime | None, version: str | None) -> list[ColumnElement[bool]]:
    """What keeps the rows of windows that overlap [since, until), and of one version; None keeps all."""
    found = []
    if since is not None:
        found.append(c.window_end > since)
    if until is not None:
        found.append(c.window_start < until)
    if version is not None:
        found.append(c.version == version)
    return found


def _pins(name: str) -> Any:
    pins: Table = tables.reference_pins
    return select(pins).where(pins.c.name == name).order_by(pins.c.id.desc())


def _chunks(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK))


def _verdict_row(table: str, window: Window, verdict: Verdict) -> dict[str, Any]:
    return {
        "table_name": table,
        "window_start": window.start,
        "window_end": window.end,
        "detector": verdict.detector,
        "field": verdict.field,
        "metric": verdict.metric,
        "segment": verdict.segment,
        "status": verdict.status,
        "severity": verdict.severity,
        "value": float(verdict.value),
        "low": float(verdict.expected.low),
        "high": float(verdict.expected.high),
        "expected": float(verdict.expected.expected),
        "learning": int(verdict.expected.learning),
        "score": float(verdict.score),
        "reason": verdict.reason,
    }


CONTENT = (
    "window_start",
    "window_end",
    "detector",
    "field",
    "metric",
    "segment",
    "status",
    "severity",
    "value",
    "low",
    "high",
    "expected",
    "learning",
    "score",
    "reason",
)


def _content(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a verdict says, comparable: NaN becomes None, which equals itself."""
    return tuple(None if row[name] != row[name] else row[name] for name in CONTENT)


def stored_verdict(row: Row[Any]) -> StoredVerdict:
    """What a row of the verdicts table says."""
    verdict = Verdict(
        row.status,
        row.table_name,
        row.field,
        row.metric,
        row.segment,
        window_of(row.window_start, row.window_end),
        row.value,
        Range(row.low, row.high, row.expected, row.learning),
        row.severity,
        row.reason,
        row.detector,
        row.score,
    )
    return StoredVerdict(verdict, row.at, row.run_id, row.superseded_at, row.fingerprint)


def _accuracy_row(
    model: str, window: Window, version: str, segment: str, payload: bytes | Packed, at: datetime
) -> dict[str, Any]:
    return {
        "model": model,
        "segment": segment,
        "window_start": window.start,
        "window_end": window.end,
        "version": version,
        "at": at,
        "payload": payload if isinstance(payload, bytes) else payload.to_bytes(),
    }
