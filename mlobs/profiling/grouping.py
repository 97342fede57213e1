"""How rows are numbered by window and segment inside one query. Builds sqlglot trees only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlglot import exp

from mlobs.engines.forms import Forms
from mlobs.errors import ProfileError
from mlobs.profiling.nodes import Node, absent, all_of, bigint, column, number, text
from mlobs.windows import Window

OTHER = "(other)"
"""The segment that holds the rows of all segments beyond the reference's most frequent ones."""


@dataclass(frozen=True)
class Segmentation:
    """The frozen segments of a reference: combinations of values of one or two fields, `None` standing for null.

    Rows of any other combination belong to the segment `(other)`.
    """

    fields: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]

    @property
    def size(self) -> int:
        """Segment numbers run from 0 to size - 1; the last is `(other)`."""
        return len(self.values) + 1

    def number(self) -> Node:
        """The expression that gives a row its segment number."""
        branches: list[Node] = []
        for at, combination in enumerate(self.values):
            conditions = [
                absent(column(f)) if v is None else exp.EQ(this=text(column(f)), expression=exp.Literal.string(v))
                for f, v in zip(self.fields, combination, strict=True)
            ]
            branches.append(exp.If(this=all_of(conditions), true=number(at)))
        if not branches:
            return number(0)
        return exp.Case(ifs=branches, default=number(len(self.values)))

    def labels(self, at: int) -> list[str]:
        """Keys of the segments that rows of segment number `at` belong to: each field's value, then both."""
        if at >= len(self.values):
            return (
                [f"{f}={OTHER}" for f in self.fields[:1]]
                if len(self.fields) == 1
                else [", ".join(f"{f}={OTHER}" for f in self.fields)]
            )
        parts = [label(f, v) for f, v in zip(self.fields, self.values[at], strict=True)]
        return parts if len(parts) == 1 else [*parts, ", ".join(parts)]


def label(field: str, value: str | None) -> str:
    """A segment's key.

    >>> label("origin", "JFK"), label("origin", None)
    ('origin=JFK', 'origin is null')
    """
    return f"{field} is null" if value is None else f"{field}={value}"


def window_number(forms: Forms, time: Node, time_type: str, windows: Sequence[Window]) -> Node:
    """The expression that numbers the (sorted, disjoint) window of a row; negative in gaps between windows."""
    length = windows[0].length
    if all(b.start - a.start == length and a.length == length for a, b in zip(windows, windows[1:], strict=False)):
        since = exp.Paren(this=exp.Sub(this=forms.epoch_us(time, time_type), expression=number(_us(windows[0]))))
        step = number(length // timedelta(microseconds=1))
        if forms.dialect == "duckdb":
            return exp.IntDiv(this=since, expression=step)
        return bigint(
            exp.Floor(
                this=exp.Div(this=exp.Mul(this=since, expression=number(1.0)), expression=step, typed=True, safe=True)
            )
        )
    ifs = []
    for at, w in enumerate(windows):
        ifs.append(
            exp.If(this=exp.LT(this=time.copy(), expression=forms.moment(w.start, time_type)), true=number(-1 - at))
        )
        ifs.append(exp.If(this=exp.LT(this=time.copy(), expression=forms.moment(w.end, time_type)), true=number(at)))
    return exp.Case(ifs=ifs, default=number(-1 - len(windows)))


def _us(window: Window) -> int:
    from datetime import UTC, datetime

    return (window.start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def disjoint(windows: Sequence[Window]) -> list[Window]:
    """The windows sorted by time.

    Raises:
        ProfileError: when there are none, or two overlap.
    """
    if not windows:
        raise ProfileError("no windows to profile: give at least one")
    ordered = sorted(set(windows))
    for a, b in zip(ordered, ordered[1:], strict=False):
        if a.overlaps(b):
            raise ProfileError(f"windows {a} and {b} overlap: profile them in separate calls")
    return ordered


def grouped(parts: Sequence[tuple[Node, int]]) -> Node | None:
    """One group number out of several numbers, each with its size (the first may be negative)."""
    if not parts:
        return None
    node = parts[0][0]
    for other, size in parts[1:]:
        node = exp.Add(
            this=exp.Mul(this=exp.Paren(this=node), expression=number(size)), expression=exp.Paren(this=other)
        )
    return bigint(exp.Paren(this=node))
