"""States of fields that a few counts describe: booleans, timestamps, and columns that can't be profiled. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mlobs.errors import ProfileError


@dataclass(frozen=True)
class BooleanState:
    """Counts of a boolean field: `rows`, `nulls`, and `trues` of the rest."""

    rows: int = 0
    nulls: int = 0
    trues: int = 0

    kind = "boolean"

    def __add__(self, other: BooleanState) -> BooleanState:
        return BooleanState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[BooleanState]) -> BooleanState:
        return BooleanState(sum(s.rows for s in states), sum(s.nulls for s in states), sum(s.trues for s in states))


@dataclass(frozen=True)
class TimestampState:
    """Counts and ends of a timestamp field, in UTC.

    Attributes:
        bound: instants before it count as `past`; frozen in the reference.
        rows, nulls: counts.
        future: instants at or after the end of the window they were profiled in (or the stated `now`).
        past: instants before `bound`.
        unix_zero: instants equal to 1970-01-01T00:00:00Z.
        low, high: first and last instant, None without values.
    """

    bound: datetime
    rows: int = 0
    nulls: int = 0
    future: int = 0
    past: int = 0
    unix_zero: int = 0
    low: datetime | None = None
    high: datetime | None = None

    kind = "timestamp"

    def __add__(self, other: TimestampState) -> TimestampState:
        return TimestampState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[TimestampState]) -> TimestampState:
        """The state of all rows of `states` (at least one).

        Raises:
            ProfileError: when their bounds differ.
        """
        if len({s.bound for s in states}) > 1:
            raise ProfileError(
                "timestamp states with different bounds can't be merged: profile both against one reference"
            )
        lows = [s.low for s in states if s.low is not None]
        highs = [s.high for s in states if s.high is not None]
        return TimestampState(
            states[0].bound,
            sum(s.rows for s in states),
            sum(s.nulls for s in states),
            sum(s.future for s in states),
            sum(s.past for s in states),
            sum(s.unix_zero for s in states),
            min(lows) if lows else None,
            max(highs) if highs else None,
        )


@dataclass(frozen=True)
class UnprofiledState:
    """A column whose type no state fits (array, struct, blob): its `rows` and `nulls` are counted, nothing else."""

    type: str = ""
    rows: int = 0
    nulls: int = 0

    kind = "unprofiled"

    def __add__(self, other: UnprofiledState) -> UnprofiledState:
        return UnprofiledState.merged([self, other])

    @staticmethod
    def merged(states: Sequence[UnprofiledState]) -> UnprofiledState:
        return UnprofiledState(states[0].type, sum(s.rows for s in states), sum(s.nulls for s in states))
