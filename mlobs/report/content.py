"""What a report page says, as plain frozen data; no history is read here and no HTML is made.

`collect` fills these from what is remembered, `plots` and `page` show them. NaN means "nothing was measured"; an
infinite bound means "no bound".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from mlobs.detectors.verdict import Verdict
from mlobs.windows import Window

CellState = Literal["passed", "error", "warn", "learning", "pending"]
"""How a check stands in one window; a failed verdict is told apart by its severity."""

WORST_FIRST: tuple[CellState, ...] = ("error", "warn", "pending", "learning", "passed")


HINDSIGHT = 14
"""Windows after its end from which a delivery counts as loaded in hindsight, not as late."""


def cell_state(verdict: Verdict) -> CellState:
    """The state that `verdict` gives its cell."""
    if verdict.status == "failed":
        return "warn" if verdict.severity == "warn" else "error"
    return verdict.status


def worst(states: Iterable[CellState]) -> CellState:
    """The worst of `states`: a failure before `pending`, `learning` and `passed`.

    >>> worst(["passed", "warn", "learning"])
    'warn'
    """
    return min(states, key=WORST_FIRST.index)


@dataclass(frozen=True)
class Series:
    """One metric over windows, oldest first; all tuples have one length."""

    windows: tuple[Window, ...] = ()
    values: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()
    states: tuple[CellState, ...] = ()
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, verdicts: Iterable[Verdict]) -> Series:
        """From the verdicts of one metric; bounds are NaN where the range was still being learned."""
        rows = sorted(verdicts, key=lambda v: v.window)
        unusable = float("nan")
        return cls(
            windows=tuple(v.window for v in rows),
            values=tuple(v.value for v in rows),
            low=tuple(unusable if v.expected.learning else v.expected.low for v in rows),
            high=tuple(unusable if v.expected.learning else v.expected.high for v in rows),
            expected=tuple(unusable if v.expected.learning else v.expected.expected for v in rows),
            states=tuple(cell_state(v) for v in rows),
            reasons=tuple(v.reason if v.failed else "" for v in rows),
        )

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def failures(self) -> int:
        return sum(state in ("error", "warn") for state in self.states)

    @property
    def last(self) -> float:
        """The newest value; NaN when there is none."""
        return self.values[-1] if self.values else float("nan")


@dataclass(frozen=True)
class AccuracyPoint:
    """The model's error in one window of predictions.

    `error` is of this window alone; `trailing` and `naive` are of the trailing span that ends with it, `estimate` is what
    was foretold of that span's predictions before any label came. `coverage` is the share of predictions that have their
    label, in [0, 1].
    """

    window: Window
    versions: tuple[str, ...]
    error: float
    trailing: float
    naive: float
    limit: float
    coverage: float
    rows: int
    state: CellState
    reason: str = ""
    estimate: float = math.nan


@dataclass(frozen=True)
class CauseLine:
    """One possible cause of a fall in accuracy; `share` of the rise it can explain and `score`, both in [0, 1]."""

    kind: str
    sentence: str
    share: float
    score: float
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class ExcessLine:
    """One segment's part of the excess error: shares of rows and errors before and after, and its share of the rise."""

    segment: str
    rows_before: float
    rows_after: float
    error_before: float
    error_after: float
    share: float


@dataclass(frozen=True)
class FallStory:
    """A run of windows in which the accuracy check failed, why it began, and which segments it comes from.

    Attributes:
        failed: from the first to the last window that failed.
        sentence: what rose, when, and the likeliest cause.
        causes: ranked, the likeliest first.
        excess: the rise by segment, the largest part first.
    """

    failed: Window
    sentence: str
    causes: tuple[CauseLine, ...] = ()
    excess: tuple[ExcessLine, ...] = ()


@dataclass(frozen=True)
class SegmentError:
    """The trailing error of one segment beside that of all rows."""

    segment: str
    error: float
    naive: float
    rows: int


@dataclass(frozen=True)
class AccuracyStory:
    """Accuracy over time: the points, what they are measured in, and the newest segments."""

    metric: str = "error"
    unit: str = ""
    span: int = 1
    points: tuple[AccuracyPoint, ...] = ()
    segments: tuple[SegmentError, ...] = ()
    falls: tuple[FallStory, ...] = ()

    @property
    def foretold(self) -> bool:
        """Whether the error was estimated before labels came, in some window."""
        return any(math.isfinite(p.estimate) for p in self.points)

    @property
    def mature(self) -> tuple[AccuracyPoint, ...]:
        """The points whose labels are in."""
        return tuple(p for p in self.points if p.state != "pending" and p.trailing == p.trailing)


@dataclass(frozen=True)
class HeatRow:
    """One check or field over the windows of its table: (window, state, sentence) where something was judged."""

    label: str
    cells: tuple[tuple[Window, CellState, str], ...]

    @property
    def failures(self) -> int:
        return sum(state in ("error", "warn") for _, state, _ in self.cells)


@dataclass(frozen=True)
class HeatMap:
    """The checks and fields of one table that failed at least once; `quiet` more never did."""

    table: str
    role: str
    rows: tuple[HeatRow, ...]
    quiet: int
    windows: int


@dataclass(frozen=True)
class Distribution:
    """Shares per bin of a field: in the reference, and in the newest windows."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    reference_name: str
    current_name: str


@dataclass(frozen=True)
class MetricHistory:
    """The history of one metric of a field; `judged` counts the windows, of which the series may leave some out."""

    metric: str
    detector: str
    series: Series
    judged: int = 0


@dataclass(frozen=True)
class FailedField:
    """A field that failed: the histories of its worst metrics, its distribution, and its newest failures.

    `fault` says whether its data was ever broken, not only changed.
    """

    table: str
    field: str
    unit: str
    description: str
    histories: tuple[MetricHistory, ...]
    distribution: Distribution | None
    failures: tuple[Verdict, ...]
    failed_windows: int
    fault: bool = False

    @property
    def rank(self) -> tuple[bool, Window, int]:
        """Fields with data faults rank highest, then by the newest failure, then those that fail most."""
        return self.fault, self.failures[0].window, self.failed_windows

    @property
    def state(self) -> CellState:
        return worst(cell_state(v) for v in self.failures)


@dataclass(frozen=True)
class Arrival:
    """A delivery of one window: when, how many rows, and how old its newest row was when it came (hours)."""

    window: Window
    at: datetime
    rows: int
    delay_hours: float


@dataclass(frozen=True)
class TableStory:
    """Volume, mix and freshness of one table."""

    table: str
    role: str
    volume: Series
    mix: tuple[tuple[str, Series], ...]
    arrivals: tuple[Arrival, ...]
    newest: datetime | None = None

    @property
    def timely(self) -> tuple[Arrival, ...]:
        """Arrivals within `HINDSIGHT` of their windows; a backfill says nothing of a feed."""
        return tuple(a for a in self.arrivals if a.delay_hours <= HINDSIGHT * (a.window.length / timedelta(hours=1)))


@dataclass(frozen=True)
class IncidentLine:
    """One incident as the table shows it."""

    id: str
    status: str
    severity: str
    opened: datetime
    resolved: datetime | None
    title: str
    detail: str
    touched: tuple[str, ...]
    why: tuple[str, ...] = ()
    who: str = ""
    window: Window | None = None


@dataclass(frozen=True)
class VersionCard:
    """One model version: facts in reading order, whether it is deployed, and what changed since the version before."""

    version: str
    champion: bool
    facts: tuple[tuple[str, str], ...]
    since: datetime | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecisionLine:
    """One decision of the retraining policy."""

    at: datetime
    answer: str
    reason: str
    trigger: str


@dataclass(frozen=True)
class Promotion:
    """A version became the champion."""

    version: str
    at: datetime
    by: str
    reason: str


@dataclass(frozen=True)
class Said:
    """What a person said of verdicts: `expected`, `mute`, `maintenance` or `calendar`, of what, from when to when, why."""

    kind: str
    what: str
    start: datetime
    until: datetime | None
    by: str
    note: str


@dataclass(frozen=True)
class Glance:
    """One tile of the head: a name, a state, a value and what it means; `word` says the state in its own words."""

    name: str
    state: CellState
    value: str
    note: str
    word: str = ""


@dataclass(frozen=True)
class ModelPage:
    """All that one model's page says."""

    name: str
    task: str
    description: str
    owners: tuple[str, ...]
    now: datetime
    champion: str
    glances: tuple[Glance, ...]
    accuracy: AccuracyStory
    heat_maps: tuple[HeatMap, ...]
    fields: tuple[FailedField, ...]
    tables: tuple[TableStory, ...]
    incidents: tuple[IncidentLine, ...]
    versions: tuple[VersionCard, ...]
    promotions: tuple[Promotion, ...]
    decisions: tuple[DecisionLine, ...]
    left_out: tuple[str, ...] = field(default=())
    said: tuple[Said, ...] = ()

    @property
    def state(self) -> CellState:
        return worst([g.state for g in self.glances] or ["learning"])
