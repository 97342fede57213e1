"""What a page tells of one table: failures, failed fields, volume, mix, arrivals; read and worked out once for all models.

Reads aggregates from history; judges nothing itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlobs.detectors.verdict import Verdict
from mlobs.report.content import Arrival, FailedField, Series, TableStory, cell_state
from mlobs.report.fields import Remembered, failed_fields, remembered
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.history import History


@dataclass(frozen=True)
class TableTold:
    """One table, the same for every model that uses it.

    Attributes:
        verdicts: the live ones, all checks.
        story: volume, mix and arrivals; its role is the model's to say.
        fields: all fields that failed, as far as a page could show them.
    """

    verdicts: Sequence[Verdict]
    story: TableStory
    fields: tuple[FailedField, ...]


class Tables:
    """What is told of tables as of one moment, worked out when it is first asked for.

    Args:
        drawn: whether the page is drawn. One screen of states needs no profiles: it goes without mix and failed fields.
    """

    def __init__(self, history: History, since: datetime, now: datetime, *, drawn: bool = True) -> None:
        self.history, self.since, self.now, self.drawn = history, since, now, drawn
        self._told: dict[tuple[str, str], TableTold] = {}

    def told(self, table: Table) -> TableTold:
        """What is told of a table.

        Raises:
            HistoryError: when history can't be read.
        """
        key = table.id, table.fingerprint
        if key not in self._told:
            verdicts = live(self.history, table.id, self.since, self.now)
            known = remembered(table, self.history, self.since, self.now) if self.drawn else Remembered("", None, ())
            story = _story(table, verdicts, known, self.history, self.since, self.now)
            fields = failed_fields(table, known, verdicts) if self.drawn else ()
            self._told[key] = TableTold(verdicts, story, fields)
        return self._told[key]


def live(history: History, table: str, since: datetime, now: datetime) -> list[Verdict]:
    """The live verdicts of a table, or of a model's performance, on windows that began by `now`."""
    return [s.verdict for s in history.verdicts(table, since=since, until=now) if s.verdict.window.start < now]


def _story(
    table: Table,
    verdicts: Sequence[Verdict],
    known: Remembered,
    history: History,
    since: datetime,
    now: datetime,
) -> TableStory:
    volume = Series.of(v for v in verdicts if v.detector == "volume" and v.metric == "rows" and not v.segment)
    mix = _mix(known, [v for v in verdicts if v.detector == "mix" and v.failed])
    first: dict[Window, Any] = {}
    for arrival in history.arrivals(table.id, since=since):
        if arrival.at <= now:
            first.setdefault(arrival.window, arrival)
    arrivals = tuple(
        Arrival(w, a.at, a.rows, (a.at - w.end) / timedelta(hours=1))
        for w, a in sorted(first.items(), key=lambda x: x[0])
    )
    newest = [a.newest for a in first.values() if a.newest is not None]
    return TableStory(table.id, "", volume, mix, arrivals, max(newest, default=None))


def _mix(known: Remembered, failures: Sequence[Verdict]) -> tuple[tuple[str, Series], ...]:
    """The share of each segment in each window, largest first; from the profiles, failures from the verdicts."""
    names = {name for _, profile in known.profiles for name in profile.segments}
    failed = {(v.segment, v.window): v for v in failures}
    windows = tuple(window for window, _ in known.profiles)
    unknown = (math.nan,) * len(windows)
    parts: list[tuple[str, Series]] = []
    for name in names:
        shares = tuple(
            (p.segments[name].rows if name in p.segments else 0) / p.rows if p.rows else math.nan
            for _, p in known.profiles
        )
        here = [failed.get((name, window)) for window in windows]
        states = tuple("passed" if v is None else cell_state(v) for v in here)
        reasons = tuple("" if v is None else v.reason for v in here)
        parts.append((name, Series(windows, shares, unknown, unknown, unknown, states, reasons)))
    parts.sort(key=lambda pair: (-_mean(pair[1].values), pair[0]))
    return tuple(parts)


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return sum(known) / len(known) if known else 0.0
