"""The query that counts everything that takes one number: rows, newest time, booleans, timestamps, nulls, twins, residuals.

One SELECT with a few columns for each such field; a row for each window and segment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from sqlglot import exp

from mlobs.engines.forms import Forms
from mlobs.profiling.nodes import (
    Node,
    absent,
    all_of,
    boolean,
    case,
    column,
    count,
    counted,
    double,
    equal,
    less,
    minus,
    named,
    number,
    over,
    plus,
    present,
    select,
    text,
    times,
)
from mlobs.profiling.queries import Scan
from mlobs.states import BooleanState, FieldState, TimestampState, UnprofiledState
from mlobs.states.relations import CLIP, Relation

ROUNDED = 1e-6
"""Part of the last digit by which a rounded number may be off in binary."""
LARGEST = 1e9
"""Magnitude from which decimals aren't looked at."""
UNIX_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def wide_query(
    scan: Scan,
    frames: Mapping[str, FieldState],
    columns: Mapping[str, str],
    time: str | None,
    future: Callable[[str], Node] | None,
    pairs: Sequence[tuple[str, str]],
    relations: Sequence[Relation],
) -> exp.Select:
    """The query; `future` gives the condition that a timestamp field lies in the future.

    Its columns are g, u1, u2, `rows`, `newest`, and `<what>_<number>` of each field, pair and relation.
    """
    projections: list[Node] = [*scan.named_keys, named(count(), "rows")]
    if time is not None:
        projections.append(named(scan.forms.epoch_us(exp.Max(this=column(time)), columns[time]), "newest"))
    for at, (name, state) in enumerate(frames.items()):
        if isinstance(state, (BooleanState, TimestampState, UnprofiledState)):
            projections.append(named(exp.Count(this=column(name)), f"valued_{at}"))
        if isinstance(state, BooleanState):
            truth = boolean(column(name))
            projections.append(named(counted(scan.forms, truth), f"trues_{at}"))
        elif isinstance(state, TimestampState):
            projections += _timestamp(scan, at, name, columns[name], state.bound, future)
    for at, (field, twin) in enumerate(pairs):
        alone = all_of([absent(column(field)), present(column(twin))])
        projections.append(named(counted(scan.forms, alone), f"alone_{at}"))
    for at, relation in enumerate(relations):
        r = residual_text(scan.forms.dialect, relation)
        projections += [
            named(exp.Count(this=exp.Var(this=r)), f"residuals_{at}"),
            named(exp.Sum(this=exp.Var(this=r)), f"total_{at}"),
            named(exp.Sum(this=times(exp.Var(this=r), exp.Var(this=r))), f"squares_{at}"),
        ]
    return select(projections, scan.relation, scan.where, scan.keys)


def _timestamp(
    scan: Scan, at: int, name: str, kind: str, bound: datetime, future: Callable[[str], Node] | None
) -> list[Node]:
    forms, x = scan.forms, column(name)
    found = [
        named(counted(forms, less(x, forms.moment(bound, kind))), f"past_{at}"),
        named(counted(forms, equal(x.copy(), forms.moment(UNIX_ZERO, kind))), f"zero_{at}"),
        named(forms.epoch_us(exp.Min(this=x.copy()), kind), f"low_{at}"),
        named(forms.epoch_us(exp.Max(this=x.copy()), kind), f"high_{at}"),
    ]
    if future is not None:
        found.append(named(counted(forms, future(name)), f"future_{at}"))
    return found


def score(name: str, centre: float, scale: float) -> Node:
    """(value - centre) / scale, clipped to +-CLIP before anything can overflow; NULL for null, CLIP for NaN."""
    x = double(column(name))
    low, high = centre - CLIP * scale, centre + CLIP * scale
    clipped = case(
        (less(x, number(low)), number(low)),
        (exp.GT(this=x.copy(), expression=number(high)), number(high)),
        default=x.copy(),
    )
    return exp.Paren(this=over(minus(exp.Paren(this=clipped), number(centre)), number(scale)))


@lru_cache(maxsize=4096)
def residual_text(dialect: str, relation: Relation) -> str:
    """The residual as SQL text, generated once: it stands in a query four times, and in every window's query."""
    return Forms(dialect).sql(exp.Paren(this=residual(relation)))


def off_grid(x: Node, decimals: int) -> Node:
    """How far a value lies from its rounding to so many decimals (-1: to tens), in units of the last digit, in [0, 0.5]."""
    scaled = exp.Paren(this=times(x.copy(), number(10.0**decimals)))
    return exp.Abs(this=minus(scaled, exp.Floor(this=plus(scaled.copy(), number(0.5)))))


def _rounding(relation: Relation) -> Node:
    x = double(column(relation.y))
    whens: list[tuple[Node, Node]] = [
        (exp.GT(this=off_grid(x, relation.decimals), expression=number(ROUNDED)), number(1.0))
    ]
    if relation.further:
        whens.append((less(off_grid(x, relation.decimals - 1), number(ROUNDED)), number(-1.0)))
    return case((less(exp.Abs(this=x.copy()), number(LARGEST)), case(*whens, default=number(0.0))))


def residual(relation: Relation) -> Node:
    """The residual of a row in units of the reference's deviation; NULL where a value is missing or the level unknown."""
    if relation.kind == "rounding":
        return _rounding(relation)
    y = score(relation.y, relation.y_centre, relation.y_scale)
    predicted: Node
    if relation.kind == "linear":
        predicted = number(relation.intercept)
        for name, centre, scale, slope in relation.inputs:
            predicted = plus(predicted, times(number(slope), score(name, centre, scale)))
    else:
        x = text(column(relation.x))
        whens = [
            (equal(x.copy(), exp.Literal.string(level)), number(mean))
            for level, mean in zip(relation.levels, relation.means, strict=True)
        ]
        predicted = exp.Paren(this=case(*whens))
    return exp.Paren(this=over(minus(y, predicted), number(relation.deviation)))
