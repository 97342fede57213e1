"""How rows are numbered by window and split by segment inside one query. Builds sqlglot trees only."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlglot import exp

from mlobs.engines.column_types import has_zone
from mlobs.engines.forms import Forms
from mlobs.errors import ProfileError
from mlobs.profiling.nodes import (
    Node,
    absent,
    all_of,
    any_of,
    as_type,
    bigint,
    case,
    column,
    equal,
    less,
    minus,
    number,
    over,
    text,
    times,
)
from mlobs.windows import Window

OTHER = "(other)"
"""The segment that holds the rows of all segments beyond the reference's most frequent ones."""

_DAY = 86_400_000_000

SEGMENTS = 1000
"""Most segments that a reference remembers and a profile tells apart."""

Combination = tuple[str | None, ...]
"""Values of the segment fields; None is null."""


@dataclass(frozen=True)
class Segmentation:
    """The frozen segments of a reference: the most frequent combinations of values of one or two fields.

    A later profile tells apart these and new ones, as long as there are at most `SEGMENTS`; other rows are `(other)`.
    """

    fields: tuple[str, ...] = ()
    values: tuple[Combination, ...] = ()

    def expressions(self, found: Sequence[Combination]) -> tuple[Node, ...]:
        """The expressions to group by, when the rows hold the combinations `found`."""
        plain = tuple(text(column(f)) for f in self.fields)
        if len(found) <= SEGMENTS:
            return plain
        known = _among(plain, self.kept(found))
        return tuple(case((known.copy(), p.copy()), default=exp.Literal.string(OTHER)) for p in plain)

    def kept(self, found: Sequence[Combination]) -> list[Combination]:
        """Which of `found` (most frequent first) are told apart: the reference's, then the most frequent new ones."""
        known = set(self.values)
        return ([c for c in found if c in known] + [c for c in found if c not in known])[:SEGMENTS]

    def labels(self, combination: Combination) -> list[str]:
        """Keys of the segments that rows of a combination belong to: each field's value, then both.

        Both only where the reference has as many combinations as are told apart, or more: `(other)` holds the rest, and a
        field's value by itself would miss its rows.
        """
        parts = [label(f, v) for f, v in zip(self.fields, combination, strict=True)]
        if len(parts) == 1:
            return parts
        whole = ", ".join(parts)
        return [whole] if OTHER in combination or len(self.values) >= SEGMENTS else [*parts, whole]


def _among(fields: Sequence[Node], combinations: Sequence[Combination]) -> Node:
    """The condition that one or two fields hold one of the combinations: a list for each value of the field with fewer."""
    columns = [sorted({c[at] for c in combinations}, key=_nulls_last) for at in range(len(fields))]
    outer = min(range(len(fields)), key=lambda at: len(columns[at]))
    if len(fields) == 1:
        return _one_of(fields[0], columns[0])
    inside: dict[str | None, list[str | None]] = {}
    for combination in sorted(combinations, key=lambda c: tuple(map(_nulls_last, c))):
        inside.setdefault(combination[outer], []).append(combination[1 - outer])
    return any_of(
        [
            all_of([_one_of(fields[outer], [value]), _one_of(fields[1 - outer], inside[value])])
            for value in columns[outer]
        ]
    )


def _nulls_last(value: str | None) -> tuple[bool, str]:
    return value is None, value or ""


def _one_of(field: Node, values: Sequence[str | None]) -> Node:
    """The condition that a field holds one of the values; None is null."""
    texts = [exp.Literal.string(v) for v in values if v is not None]
    conditions: list[Node] = []
    if len(texts) == 1:
        conditions.append(equal(field.copy(), texts[0]))
    elif texts:
        conditions.append(exp.In(this=field.copy(), expressions=texts))
    if None in values:
        conditions.append(absent(field.copy()))
    return exp.Paren(this=any_of(conditions)) if len(conditions) > 1 else conditions[0]


def label(field: str, value: str | None) -> str:
    """A segment's key.

    >>> label("origin", "JFK"), label("origin", None)
    ('origin=JFK', 'origin is null')
    """
    return f"{field} is null" if value is None else f"{field}={value}"


def step_of(windows: Sequence[Window]) -> int:
    """Microseconds of each window where they are equally long and follow each other, else 0."""
    length = windows[0].length
    regular = all(w.length == length for w in windows) and all(b.start == a.end for a, b in itertools.pairwise(windows))
    return length // timedelta(microseconds=1) if regular else 0


def window_number(forms: Forms, time: Node, time_type: str, windows: Sequence[Window]) -> Node:
    """The expression that numbers the (sorted, disjoint) window of a row; negative in gaps between windows."""
    step = step_of(windows)
    if step:
        if _by_date(forms, windows):
            first = as_date(exp.Literal.string(windows[0].start.strftime("%Y-%m-%d")))
            days = exp.Paren(this=exp.Sub(this=as_date(utc(time, time_type, forms.dialect)), expression=first))
            return days if step == _DAY else exp.IntDiv(this=days, expression=number(step // _DAY))
        since = minus(forms.epoch_us(time, time_type), number(microseconds(windows[0].start)))
        if forms.dialect == "duckdb":
            return exp.IntDiv(this=since, expression=number(step))
        return bigint(exp.Floor(this=over(times(since, number(1.0)), number(float(step)))))
    whens = []
    for at, w in enumerate(windows):
        whens.append((less(time.copy(), forms.moment(w.start, time_type)), number(-1 - at)))
        whens.append((less(time.copy(), forms.moment(w.end, time_type)), number(at)))
    return case(*whens, default=number(-1 - len(windows)))


def window_date(forms: Forms, time: Node, time_type: str, windows: Sequence[Window]) -> Node | None:
    """The date that windows of one day each are told apart by where that costs less than their number; else None."""
    if step_of(windows) != _DAY or not _by_date(forms, windows):
        return None
    return as_date(utc(time, time_type, forms.dialect))


def _by_date(forms: Forms, windows: Sequence[Window]) -> bool:
    """Whether a row's date, which costs less than its time, tells the window, all of them being whole days."""
    step = step_of(windows)
    return forms.dialect == "duckdb" and step % _DAY == 0 and microseconds(windows[0].start) % _DAY == 0


def as_date(node: Node) -> Node:
    return exp.Cast(this=node, to=as_type(exp.DType.DATE))


def utc(time: Node, time_type: str, dialect: str) -> Node:
    """A time as its UTC wall time."""
    if not has_zone(time_type, dialect):
        return time
    return exp.AtTimeZone(this=time, zone=exp.Literal.string("UTC"))


def after_window(forms: Forms, x: Node, x_type: str, time: Node, time_type: str, windows: Sequence[Window]) -> Node:
    """The condition that an instant lies at or after the end of the row's own window."""
    step = step_of(windows)
    if step:
        row, value = window_number(forms, time, time_type, windows), window_number(forms, x, x_type, windows)
        return exp.GT(this=value, expression=exp.Paren(this=row))
    whens = [
        (
            less(time.copy(), forms.moment(w.end, time_type)),
            exp.GTE(this=x.copy(), expression=forms.moment(w.end, x_type)),
        )
        for w in windows
    ]
    return case(*whens)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def disjoint(windows: Sequence[Window]) -> list[Window]:
    """The windows sorted by time.

    Raises:
        ProfileError: when there are none, or two overlap.
    """
    if not windows:
        raise ProfileError("no windows to profile: give at least one")
    ordered = sorted(set(windows))
    for a, b in itertools.pairwise(ordered):
        if a.overlaps(b):
            raise ProfileError(f"windows {a} and {b} overlap: profile them in separate calls")
    return ordered
