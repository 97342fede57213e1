"""The part of history that remembers what was decided: retraining answers, versions, promotions, people's feedback.

Each method is one short transaction. Nothing is ever deleted: feedback is revoked, a champion is followed by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import Row, insert, select, update

from mlobs.errors import HistoryError, nearest
from mlobs.history import tables
from mlobs.history.database import Database
from mlobs.history.records import Feedback, FeedbackKind, Promotion, StoredDecision, StoredVersion


class Decided:
    """Decisions, versions, promotions and feedback; a part of `History`."""

    database: Database

    # Decisions of the retraining policy

    def save_decision(
        self, model: str, at: datetime, answer: str, reason: str, trigger: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Remembers one answer of the policy; the same answer to the same trigger at the same time is kept once."""
        row = {
            "model": model,
            "at": at,
            "answer": answer,
            "reason": reason,
            "trigger_name": trigger,
            "detail": dict(detail or {}),
        }
        with self.database.write(f"decisions:{model}") as connection:
            key = ("model", "at", "answer", "trigger_name")
            self.database.upsert(connection, tables.decisions, [row], key)

    def decisions(self, model: str, since: datetime | None = None) -> list[StoredDecision]:
        """The policy's answers since then, oldest first."""
        c = tables.decisions.c
        query = select(tables.decisions).where(c.model == model).order_by(c.at, c.id)
        if since is not None:
            query = query.where(c.at >= since)
        with self.database.read() as connection:
            return [
                StoredDecision(row.model, row.at, row.answer, row.reason, row.trigger_name, row.detail)
                for row in connection.execute(query)
            ]

    # Versions and the champion

    def save_version(self, model: str, version: str, at: datetime, info: Mapping[str, Any]) -> None:
        """Remembers a trained version (training window, errors, run time ... as plain values); the same version is
        replaced."""
        row = {"model": model, "version": version, "at": at, "info": dict(info)}
        with self.database.write(f"versions:{model}") as connection:
            self.database.upsert(connection, tables.versions, [row])

    def versions(self, model: str) -> list[StoredVersion]:
        """The trained versions of a model, oldest first."""
        c = tables.versions.c
        query = select(tables.versions).where(c.model == model).order_by(c.at, c.version)
        with self.database.read() as connection:
            return [StoredVersion(row.model, row.version, row.at, row.info) for row in connection.execute(query)]

    def record_promotion(self, model: str, version: str, at: datetime, by: str, reason: str) -> None:
        """Remembers that a version became champion; promoting the champion again changes nothing."""
        c = tables.promotions.c
        with self.database.write(f"versions:{model}") as connection:
            newest = connection.scalar(select(c.version).where(c.model == model).order_by(c.id.desc()).limit(1))
            if newest != version:
                row = {"model": model, "version": version, "at": at, "by_whom": by, "reason": reason}
                connection.execute(insert(tables.promotions).values(row))

    def promotions(self, model: str) -> list[Promotion]:
        """Every change of champion, oldest first; the last is the champion."""
        c = tables.promotions.c
        query = select(tables.promotions).where(c.model == model).order_by(c.id)
        with self.database.read() as connection:
            return [
                Promotion(row.model, row.version, row.at, row.by_whom, row.reason) for row in connection.execute(query)
            ]

    def champion(self, model: str) -> Promotion | None:
        """The promotion of the version that is champion now; None before the first."""
        promotions = self.promotions(model)
        return promotions[-1] if promotions else None

    # Claims

    def claim(self, name: str, by: str, at: datetime, until: datetime) -> bool:
        """Whether `by` may do what `name` names: the first to ask may, until then nobody else.

        Asking again for one's own claim is granted. Of several that ask at the same time exactly one may.
        """
        c = tables.claims.c
        with self.database.write(f"claim:{name}") as connection:
            held = connection.execute(select(tables.claims).where(c.name == name)).first()
            if held is not None and held.by_whom != by and held.until > at:
                return False
            self.database.upsert(connection, tables.claims, [{"name": name, "by_whom": by, "until": until}])
            return True

    # Feedback

    def add_feedback(
        self,
        kind: FeedbackKind,
        scope: Mapping[str, Any],
        by: str,
        at: datetime,
        until: datetime | None = None,
        note: str = "",
        start: datetime | None = None,
    ) -> int:
        """Remembers what a person says of verdicts, from `start` (`at` if left out) to `until`; returns its id.

        Saying the same again while it stands changes nothing and returns the id it has.

        Raises:
            HistoryError: when the kind is unknown, `by` is empty, or `until` isn't after the start.
        """
        known = get_args(FeedbackKind)
        if kind not in known:
            raise HistoryError(f"feedback {kind!r} is unknown; {nearest(kind, known)}")
        if not by.strip():
            raise HistoryError(f"feedback {kind!r}: say who gives it")
        first = at if start is None else start
        if until is not None and until <= first:
            raise HistoryError(f"feedback {kind!r}: until {until} must be after its start {first}")
        c = tables.feedback.c
        row = {
            "kind": kind,
            "scope": dict(scope),
            "by_whom": by,
            "at": at,
            "start": first,
            "until": until,
            "note": note,
        }
        with self.database.write("feedback") as connection:
            standing = connection.execute(
                select(tables.feedback).where(
                    c.kind == kind, c.start == first, c.by_whom == by, c.note == note, c.revoked_at.is_(None)
                )
            )
            for old in standing:
                if old.scope == row["scope"] and old.until == until:
                    return int(old.id)
            return int(connection.execute(insert(tables.feedback).values(row).returning(c.id)).scalar_one())

    def feedback(
        self, *, kind: FeedbackKind | None = None, table: str | None = None, revoked: bool = False
    ) -> list[Feedback]:
        """Feedback in the order it was given.

        Args:
            table: only what speaks of that table (or of all tables).
            revoked: also what was revoked.
        """
        c = tables.feedback.c
        query = select(tables.feedback).order_by(c.id)
        if kind is not None:
            query = query.where(c.kind == kind)
        if not revoked:
            query = query.where(c.revoked_at.is_(None))
        with self.database.read() as connection:
            found = [_feedback(row) for row in connection.execute(query)]
        return [f for f in found if table is None or f.scope.get("table") in (None, table)]

    def revoke_feedback(self, feedback_id: int, by: str, at: datetime) -> Feedback:
        """Takes feedback back; it stays on record with who revoked it first, and when.

        Raises:
            HistoryError: when there is no feedback of that id.
        """
        c = tables.feedback.c
        with self.database.write("feedback") as connection:
            standing = (c.id == feedback_id) & c.revoked_at.is_(None)
            connection.execute(update(tables.feedback).where(standing).values(revoked_by=by, revoked_at=at))
            row = connection.execute(select(tables.feedback).where(c.id == feedback_id)).first()
        if row is None:
            raise HistoryError(f"there is no feedback {feedback_id}; `History.feedback()` lists what there is")
        return _feedback(row)


def _feedback(row: Row[Any]) -> Feedback:
    return Feedback(
        row.id,
        row.kind,
        row.scope,
        row.by_whom,
        row.at,
        row.start,
        row.until,
        row.note,
        row.revoked_by,
        row.revoked_at,
    )
