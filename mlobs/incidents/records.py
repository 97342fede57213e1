"""What an incident is: frozen records, read from and written to history by `ledger`. Plain data; no database here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from mlobs.detectors.verdict import Range, Severity, Verdict
from mlobs.incidents.grouping import RANK, Key, Place
from mlobs.windows import Window

State = Literal["open", "acknowledged", "expected", "resolved"]
Level = Literal["warn", "error", "critical"]
Happening = Literal["opened", "worse", "reopened", "resolved", "acknowledged", "expected", "merged"]
"""What can happen to an incident. `worse`: more severe, or further tables or models fail. `merged`: it had the same
cause as an older one, which goes on for both."""


@dataclass(frozen=True)
class Touched:
    """What an incident touches, the cause first.

    Attributes:
        tables: tables (and performances, "model.performance") with failures, upstream first.
        fields: "table.field" of the fields that fail, upstream first, then the strongest first.
        checks: names of the checks that fail.
        models: every model downstream of the cause, failing or not.
        held: models whose predictions are made from a table with a data fault.
    """

    tables: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    def plain(self) -> dict[str, list[str]]:
        return {name: list(names) for name, names in vars(self).items()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Touched:
        return cls(**{name: tuple(names) for name, names in plain.items()})


def beyond(verdict: Verdict) -> float:
    """How far out of range a value is: its distance from what is expected, in units of the limit's.

    1 at the limit and where it isn't known; infinite where the range is a single value, so for what can't happen.

    >>> day = Window.day("2013-04-01")
    >>> v = Verdict("failed", "t", "wind", "mean", "", day, 26.0, Range(10.0, 20.0, 16.0), "warn", "", "field_health")
    >>> beyond(v)
    2.5
    """
    expected, value = verdict.expected, verdict.value
    limit = expected.high if value > expected.high else expected.low
    distance, allowed = abs(value - expected.expected), abs(limit - expected.expected)
    if math.isnan(value) or value in expected or not math.isfinite(allowed):
        return 1.0
    return distance / allowed if allowed else math.inf


@dataclass(frozen=True)
class Member:
    """One failure that belongs to an incident; `failing` is False once it was judged again and passed, or was excused.

    `beyond` is how far out of range it is, in units of the limit's distance from what is expected.
    """

    key: Key
    window: Window
    severity: Severity
    score: float
    reason: str
    beyond: float = 1.0
    failing: bool = True

    @classmethod
    def of(cls, verdict: Verdict) -> Member:
        return cls(Key.of(verdict), verdict.window, verdict.severity, verdict.score, verdict.reason, beyond(verdict))

    @property
    def place(self) -> Place:
        """What tells it from other failures."""
        return self.key, self.window

    @property
    def verdict(self) -> Verdict:
        """As a failed verdict, without value and range."""
        key, unknown = self.key, Range(float("-inf"), float("inf"), 0.0)
        return Verdict(
            status="failed",
            table=key.table,
            field=key.field,
            metric=key.metric,
            segment=key.segment,
            window=self.window,
            value=float("nan"),
            expected=unknown,
            severity=self.severity,
            reason=self.reason,
            detector=key.detector,
            score=self.score,
        )


@dataclass(frozen=True)
class Strand:
    """All failures of one metric in an incident, in short: from when to when, the strongest of them, how far out at most."""

    key: Key
    start: datetime
    end: datetime
    severity: Severity
    score: float
    reason: str
    beyond: float = 1.0

    @classmethod
    def of(cls, failure: Member) -> Strand:
        window = failure.window
        return cls(
            failure.key, window.start, window.end, failure.severity, failure.score, failure.reason, failure.beyond
        )

    def __add__(self, other: Strand) -> Strand:
        strongest = max(self, other, key=lambda s: (RANK[s.severity], abs(s.score), s.end))
        furthest = max(s.beyond for s in (self, other) if s.severity == strongest.severity)
        return replace(strongest, start=min(self.start, other.start), end=max(self.end, other.end), beyond=furthest)

    @property
    def data_fault(self) -> bool:
        return self.severity == "error" and self.key.detector != "accuracy"


def strands(failures: Iterable[Member], known: Iterable[Strand] = ()) -> tuple[Strand, ...]:
    """Failures as strands, one for each metric, added to those that are known; by key."""
    found = {strand.key: strand for strand in known}
    for failure in failures:
        strand = Strand.of(failure)
        found[failure.key] = found[failure.key] + strand if failure.key in found else strand
    return tuple(found[key] for key in sorted(found))


@dataclass(frozen=True)
class Incident:
    """Failures with one cause.

    Attributes:
        state: `open`, `acknowledged` (somebody works on it), `expected` (it was fine) or `resolved`.
        severity: from what it touches and how far out of range it is (`mlobs.incidents.severity`).
        table: where it began.
        title: a line for a list.
        reason: the sentence of its strongest failure.
        window: from the first to the last failing window.
        opened_at, changed_at, resolved_at: in the time that `update` was given.
        acknowledged_by: who took it first, "" if nobody did.
        announced: whether messages are sent of it; not so for old windows that were looked at in hindsight.
        touched: what it touches.
        strands: its failures, one strand for each metric.
    """

    id: int
    state: State
    severity: Level
    table: str
    title: str
    reason: str
    window: Window
    opened_at: datetime
    changed_at: datetime
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    announced: bool = True
    touched: Touched = Touched()
    strands: tuple[Strand, ...] = field(default=(), repr=False)

    @property
    def active(self) -> bool:
        """Whether it still needs somebody: open or acknowledged."""
        return self.state in ("open", "acknowledged")


@dataclass(frozen=True)
class IncidentEvent:
    """Something that happened to an incident: what, when, by whom ("mlobs" for what happens by itself)."""

    incident_id: int
    at: datetime
    kind: Happening
    by: str
    note: str
