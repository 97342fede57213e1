"""What history hands back: frozen records of what was stored. Plain data; no database here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from mlobs.detectors.verdict import Verdict
from mlobs.windows import Window, instant

FeedbackKind = Literal["expected", "mute", "maintenance", "calendar"]
"""`expected`: this was fine, learn it. `mute`: say nothing of it. `maintenance`: a window in which nothing is judged by
people's standards. `calendar`: a recurring exception, such as a holiday."""


@dataclass(frozen=True)
class StoredVerdict:
    """A verdict as it is remembered.

    Attributes:
        verdict: what the monitor said.
        at: when it was first said so (data time).
        run_id: the newest run that said so, "" outside Dagster.
        superseded_at: when a later judgement of the same window replaced it; None while it is live.
        fingerprint: of the declaration that it was judged by.
    """

    verdict: Verdict
    at: datetime
    run_id: str
    superseded_at: datetime | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class Arrival:
    """One delivery of one window of a table.

    Attributes:
        at: when it arrived.
        rows: how many rows it brought.
        columns: column -> type, as delivered.
        newest: newest event time in it; None when it was empty.
        outside: rows whose time lay outside the window.
    """

    table: str
    window: Window
    at: datetime
    rows: int
    columns: Mapping[str, str]
    newest: datetime | None
    outside: int


class PinnedReference(NamedTuple):
    """The reference in force: the model version it belongs to, its bytes, and since when."""

    version: str
    payload: bytes
    pinned_at: datetime


@dataclass(frozen=True)
class Pin:
    """One pinning of a reference, for the record."""

    version: str
    at: datetime
    note: str
    payload: bytes


@dataclass(frozen=True)
class StoredDecision:
    """An answer of the retraining policy: `retrain`, `hold` or `wait`, with its reason and what asked for it."""

    model: str
    at: datetime
    answer: str
    reason: str
    trigger: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class StoredVersion:
    """A trained version of a model, when it was trained, and what is known of its training."""

    model: str
    version: str
    at: datetime
    info: Mapping[str, Any]

    @property
    def fate(self) -> Literal["promoted", "refused", "shadow", ""]:
        """What was decided on it when it was trained or watched; "" where that isn't known."""
        if self.info.get("shadow"):
            return "shadow"
        if "promoted" not in self.info:
            return ""
        return "promoted" if self.info["promoted"] else "refused"

    @property
    def decided(self) -> datetime:
        """When that was decided: at its training, or after its time in shadow."""
        said = self.info.get("decided")
        return instant(said) if said else self.at


@dataclass(frozen=True)
class Promotion:
    """A version that became champion: when, by whom and why."""

    model: str
    version: str
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True)
class Feedback:
    """What a person said about verdicts; revoked feedback stays on record.

    Attributes:
        scope: which verdicts it speaks of: any of `table`, `field`, `metric`, `segment`, `detector`, `model`; what is
            left out means all. Other keys are carried along and don't restrict.
        at: when it was said.
        start, until: the part of the time column it covers, [start, until); until None means without end.
    """

    id: int
    kind: str
    scope: Mapping[str, Any]
    by: str
    at: datetime
    start: datetime
    until: datetime | None
    note: str
    revoked_by: str | None = None
    revoked_at: datetime | None = None

    @property
    def active(self) -> bool:
        """Whether it still stands."""
        return self.revoked_at is None

    def covers(self, window: Window) -> bool:
        """Whether it speaks of (a part of) that window."""
        return self.start < window.end and (self.until is None or window.start < self.until)

    def speaks_of(self, verdict: Verdict) -> bool:
        """Whether it stands and speaks of that verdict: its window, and every part of the scope that is named."""
        if not self.active or not self.covers(verdict.window):
            return False
        named = ((name, self.scope.get(name)) for name in ("table", "field", "metric", "segment", "detector"))
        return all(wanted is None or wanted == getattr(verdict, name) for name, wanted in named)
