"""Windows of the time column and their partition keys, always UTC; no clock is read here, and no Dagster.

A window is half open, [start, end): a row at `end` belongs to the next window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from mlobs.errors import WindowError

DAY = timedelta(days=1)


@dataclass(frozen=True, order=True)
class Window:
    """The half-open UTC interval [start, end) of a table's time column.

    Args:
        start: first instant; anything pandas reads as a timestamp. Without a zone it is taken as UTC.
        end: first instant after the window.

    Raises:
        WindowError: when an instant can't be read, or `end` is not after `start`.

    >>> w = Window("2013-04-01", "2013-04-02")
    >>> w.key, w.length
    ('2013-04-01', datetime.timedelta(days=1))
    """

    start: datetime
    end: datetime

    def __init__(self, start: Any, end: Any) -> None:
        first, last = instant(start), instant(end)
        if last <= first:
            raise WindowError(f"window [{first}, {last}) is empty: its end must be after its start")
        object.__setattr__(self, "start", first)
        object.__setattr__(self, "end", last)

    @classmethod
    def of(cls, value: Any) -> Window:
        """A `Window` from a window or a (start, end) pair.

        Raises:
            WindowError: when `value` is neither.
        """
        if isinstance(value, Window):
            return value
        if isinstance(value, (tuple, list)) and len(value) == 2:
            return cls(value[0], value[1])
        raise WindowError(f"{value!r} is no window: give mlobs.Window(start, end) or a (start, end) pair")

    @classmethod
    def day(cls, value: Any) -> Window:
        """The UTC day that holds the instant `value`."""
        moment = instant(value)
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(midnight, midnight + DAY)

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def key(self) -> str:
        """The partition key: the date for windows that start at midnight, else date and hour (and minute)."""
        if self.start.hour == self.start.minute == self.start.second == self.start.microsecond == 0:
            return self.start.strftime("%Y-%m-%d")
        if self.start.minute == self.start.second == self.start.microsecond == 0:
            return self.start.strftime("%Y-%m-%d-%H:00")
        return self.start.isoformat()

    def __contains__(self, moment: Any) -> bool:
        return self.start <= instant(moment) < self.end

    def overlaps(self, other: Window) -> bool:
        return self.start < other.end and other.start < self.end

    def hull(self, other: Window) -> Window:
        """The smallest window that covers both."""
        return Window(min(self.start, other.start), max(self.end, other.end))

    def shifted(self, by: timedelta) -> Window:
        return Window(self.start + by, self.end + by)

    def split(self, step: timedelta) -> Iterator[Window]:
        """Consecutive windows of length `step` that cover this one; the last may be shorter.

        Raises:
            WindowError: when `step` is not positive.
        """
        if step <= timedelta(0):
            raise WindowError(f"can't split a window into steps of {step}: give a positive step")
        start = self.start
        while start < self.end:
            yield Window(start, min(start + step, self.end))
            start += step

    def __str__(self) -> str:
        return self.key if self.length == DAY else f"[{self.start.isoformat()}, {self.end.isoformat()})"


def instant(value: Any) -> datetime:
    """An aware UTC datetime (microsecond precision) from anything pandas reads as one timestamp.

    Raises:
        WindowError: when it can't be read, or is missing.

    >>> instant("2013-04-01")
    datetime.datetime(2013, 4, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        stamp = pd.Timestamp(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise WindowError(f"{value!r} is no instant: give a datetime or a text such as '2013-04-01'") from error
    if pd.isna(stamp):
        raise WindowError(f"{value!r} is no instant: it is missing")
    stamp = stamp.tz_localize(UTC) if stamp.tzinfo is None else stamp.tz_convert(UTC)
    return stamp.as_unit("us").to_pydatetime()
