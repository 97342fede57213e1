"""Windows of tables as Dagster partitions: one window, one partition key. Pure; reads no clock and no data.

Models that share a table form a family, and all partitioned assets of a family have the same partitions, so that one
run can go through features, checks and predictions of one window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import dagster as dg

from mlobs.errors import SpecError, WindowError
from mlobs.spec import Model, Table
from mlobs.windows import DAY, Window, instant

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)
EPOCH = instant("1970-01-05")  # a Monday, at midnight: every cadence up to a week is counted from here
DATE, MINUTE = "%Y-%m-%d", "%Y-%m-%d-%H:%M"


def _cron(cadence: timedelta, start: datetime) -> str:
    """The cron text of a cadence that cron can say: n minutes, n hours, a day or a week."""
    minutes = int(cadence.total_seconds()) // 60
    if cadence.total_seconds() % 60 == 0:
        if cadence == WEEK:
            return f"0 0 * * {start.isoweekday() % 7}"
        if cadence == DAY:
            return "0 0 * * *"
        if minutes % 60 == 0 and minutes and 24 % (minutes // 60) == 0:
            return "0 * * * *" if minutes == 60 else f"0 */{minutes // 60} * * *"
        if minutes and 60 % minutes == 0:
            return f"*/{minutes} * * * *"
    raise SpecError(
        f"a cadence of {cadence} is no partition that Dagster can make: take minutes that divide an hour, hours that"
        " divide a day, a day or a week"
    )


@dataclass(frozen=True)
class Calendar:
    """The windows of one cadence from `start` on, and their partition keys.

    Args:
        cadence: length of one window.
        start: start of the first window.
        end: end of the last window; None while the tables grow (then the current window is the last).
    """

    cadence: timedelta
    start: datetime
    end: datetime | None = None

    @cached_property
    def format(self) -> str:
        return DATE if self.cadence >= DAY else MINUTE

    @cached_property
    def partitions(self) -> dg.TimeWindowPartitionsDefinition:
        """The partitions definition that all assets of a family share."""
        return dg.TimeWindowPartitionsDefinition(
            start=self.start,
            end=self.end,
            fmt=self.format,
            cron_schedule=_cron(self.cadence, self.start),
            timezone="UTC",
            end_offset=0 if self.end else 1,
        )

    def key(self, window: Window) -> str:
        """The partition key of a window.

        Raises:
            WindowError: when the window is not one of this calendar.
        """
        if self.at(window.start) != window:
            raise WindowError(
                f"window {window} is no partition: windows here last {self.cadence} and start on the grid"
            )
        return window.start.strftime(self.format)

    def window(self, key: str) -> Window:
        """The window of a partition key.

        Raises:
            WindowError: when the key can't be read.
        """
        try:
            start = instant(datetime.strptime(key, self.format))
        except ValueError as error:
            raise WindowError(f"partition key {key!r} doesn't read as {self.format}") from error
        return Window(start, start + self.cadence)

    def at(self, moment: datetime) -> Window:
        """The window of the grid that holds `moment`."""
        start = self.start + (moment - self.start) // self.cadence * self.cadence
        return Window(start, start + self.cadence)

    def holds(self, window: Window) -> bool:
        """Whether the window lies between start and end."""
        return window.start >= self.start and (self.end is None or window.end <= self.end)

    def range(self, first: str, last: str) -> list[Window]:
        """The windows from one partition key to another, both included."""
        return list(Window(self.window(first).start, self.window(last).end).split(self.cadence))


def floor(moment: datetime, cadence: timedelta) -> datetime:
    """The last instant of the cadence's grid at or before `moment`; weeks keep the weekday of `moment`.

    >>> floor(instant("2013-01-01 10:30"), timedelta(hours=1)).isoformat()
    '2013-01-01T10:00:00+00:00'
    """
    step = DAY if cadence >= DAY else cadence
    return EPOCH + (moment - EPOCH) // step * step


@dataclass(frozen=True)
class Family:
    """Models that share at least one table, directly or through others, and their common calendar."""

    models: tuple[Model, ...]
    calendar: Calendar

    @property
    def name(self) -> str:
        """The model's name, or the first model's with `_family`; jobs are named after it."""
        return self.models[0].name if len(self.models) == 1 else f"{self.models[0].name}_family"

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Every table once, features first."""
        ordered = [model.tables[role] for role in ("features", "predictions", "actuals") for model in self.models]
        return tuple({table.id: table for table in ordered}.values())


def families(models: Sequence[Model]) -> tuple[Family, ...]:
    """Models grouped by the tables they share, in the order they were given.

    Raises:
        SpecError: two models write one predictions table, declare one table in two ways, no table of a family says
            when its history starts, or the cadences of a family differ.
    """
    groups: list[list[Model]] = []
    for model in models:
        ids = {table.id for table in model.tables.values()}
        shared = [group for group in groups if any(t.id in ids for other in group for t in other.tables.values())]
        groups = [group for group in groups if group not in shared]
        groups.append([*(other for group in shared for other in group), model])
    _consistent(models)
    return tuple(Family(tuple(group), _calendar(group)) for group in groups)


def _consistent(models: Iterable[Model]) -> None:
    tables: dict[str, Table] = {}
    owners: dict[str, str] = {}
    names: set[str] = set()
    for model in models:
        if model.name in names:
            raise SpecError(f"model {model.name!r} is declared twice: give each model its own name")
        names.add(model.name)
        for table in model.tables.values():
            if tables.setdefault(table.id, table) != table:
                raise SpecError(
                    f"model {model.name!r}: table {table.id!r} is declared in two ways; models that share a table share"
                    " one mlobs.Table"
                )
        other = owners.setdefault(model.predictions.id, model.name)
        if other != model.name:
            raise SpecError(
                f"models {other!r} and {model.name!r} both write predictions to {model.predictions.id!r}: give each"
                " its own table"
            )


def _calendar(models: Sequence[Model]) -> Calendar:
    tables = [table for model in models for table in model.tables.values()]
    names = ", ".join(sorted({model.name for model in models}))
    cadences = {table.cadence for table in tables}
    if len(cadences) > 1:
        raise SpecError(
            f"models {names}: tables that meet in one run need one cadence, got {sorted(map(str, cadences))}"
        )
    starts = [table.start for table in tables if table.start]
    if not starts:
        raise SpecError(f"models {names}: say when history starts, such as Table(..., start='2013-01-01')")
    (cadence,) = cadences
    ends = [table.end for table in tables]
    start = floor(min(starts), cadence)
    last = max(end for end in ends if end) if any(ends) and all(t.end for t in tables if t.start) else None
    return Calendar(cadence, start, last)
