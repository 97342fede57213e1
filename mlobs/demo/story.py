"""The three scripted faults of the demo, and the source that delivers them; everything else is the real year.

A fault is in the first delivery of its day only. From the next day on the source delivers that day correctly, as a
team does that has been alerted: the partition can then be recomputed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd

from mlobs.demo import flights
from mlobs.windows import DAY, Window

NEGATIVE, HALF, STALE = "negative", "half", "stale"
NEGATIVE_ROWS = 4


@dataclass(frozen=True)
class Fault:
    """A scripted fault on one or more consecutive days.

    Attributes:
        kind: `negative`, `half` or `stale`.
        first, days: the days it is delivered on.
        title: for the table at the end.
        story: what happened upstream, in one sentence.
    """

    kind: str
    first: date
    days: int
    title: str
    story: str

    def covers(self, day: date) -> bool:
        return self.first <= day < self.first + timedelta(days=self.days)


FAULTS = (
    Fault(
        NEGATIVE, date(2013, 4, 11), 1, "negative ages",
        f"{NEGATIVE_ROWS} rows have a negative minutes_since_weather_observation: two clocks disagreed upstream",
    ),
    Fault(
        STALE, date(2013, 4, 24), 1, "stale delivery",
        "yesterday's features are delivered again: the export did not notice that its query had failed",
    ),
    Fault(
        HALF, date(2013, 6, 26), 7, "half of the afternoons",
        "half of the afternoon's flights are missing: the source began to deliver twice a day and one delivery is read",
    ),
)  # fmt: skip


def fault_on(day: date) -> Fault | None:
    """The scripted fault of that day, if there is one."""
    return next((fault for fault in FAULTS if fault.covers(day)), None)


class Source:
    """Delivers features and actuals for a window, as the upstream pipelines would at the time it is asked.

    Args:
        clock: tells when it is asked: on its day a scripted fault is delivered, later the corrected rows.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock

    def features(self, window: Window) -> pd.DataFrame:
        rows = flights.rows_of(flights.load().features, window)
        fault = fault_on(window.start.date())
        if fault is None or self.clock() >= window.end:
            return rows
        return broken(fault, rows, window)

    def actuals(self, window: Window) -> pd.DataFrame:
        return flights.rows_of(flights.load().actuals, window)


def broken(fault: Fault, rows: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The rows of a window as the scripted fault delivers them."""
    if fault.kind == STALE:
        return flights.rows_of(flights.load().features, window.shifted(-DAY))
    if fault.kind == HALF:
        afternoon = rows["part_of_day"] == "afternoon"
        lost = afternoon & (afternoon.cumsum() % 2 == 0)
        return rows[~lost].reset_index(drop=True)
    spoiled = rows.copy()
    hit = spoiled.index[:: max(1, len(spoiled) // NEGATIVE_ROWS)][:NEGATIVE_ROWS]
    spoiled.loc[hit, "minutes_since_weather_observation"] *= -1
    spoiled.loc[hit, "minutes_since_weather_observation"] -= 1  # also where it was 0
    return spoiled
