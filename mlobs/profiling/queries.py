"""From frozen frames to one aggregate query, as a sqlglot tree. Builds trees only; runs nothing.

Every branch of the UNION ALL gives rows of the same columns (`COLUMNS`): the part of the profile it belongs to, the
field's number, the group (window and segment), and numbers whose meaning depends on the part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlglot import exp

from mlobs.engines.forms import Forms
from mlobs.profiling.nodes import (
    Node,
    absent,
    all_of,
    bigint,
    call,
    column,
    count,
    counted,
    double,
    number,
    present,
    text,
)
from mlobs.states.distinct import REGISTER_BITS, REGISTERS
from mlobs.states.grid import HALF, Grid

TABLE, PLAIN, NUMERIC, VALUES, SKETCH = range(5)
"""Parts of a profile: rows and newest time; booleans, timestamps and unprofiled; numeric; text; distinct sketches."""

COLUMNS = ("p", "f", "g", "b", "v", "n", "s1", "s2", "lo", "hi", "k1", "k2", "k3")
INTEGERS = frozenset({"p", "f", "g", "b", "n", "k1", "k2", "k3"})

_UNIX_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Scan:
    """What is read, and how its rows are grouped.

    Attributes:
        forms: the engine's SQL forms.
        relation: what goes into FROM.
        where: conditions on its rows.
        group: expression that numbers windows and segments; None for one group.
    """

    forms: Forms
    relation: Node
    where: tuple[Node, ...] = ()
    group: Node | None = None

    def filtered(self, *conditions: Node) -> Scan:
        return replace(self, where=(*self.where, *conditions))

    def select(self, part: int, field_number: int, values: Mapping[str, Node], by: Sequence[Node] = ()) -> exp.Select:
        """One branch: the columns of `COLUMNS`, NULL where `values` has none, grouped by the group and `by`."""
        fixed = {
            "p": number(part),
            "f": number(field_number),
            "g": self.group.copy() if self.group is not None else number(0),
        }
        projections = [
            exp.Alias(
                this=fixed.get(name) or values.get(name) or _missing(name), alias=exp.Identifier(this=name, quoted=True)
            )
            for name in COLUMNS
        ]
        query = exp.Select(expressions=projections)
        query.set("from_", exp.From(this=self.relation.copy()))
        if self.where:
            query.set("where", exp.Where(this=all_of([w.copy() for w in self.where])))
        grouping = ([self.group.copy()] if self.group is not None else []) + [b.copy() for b in by]
        if grouping:
            query.set("group", exp.Group(expressions=grouping))
        return query


def _missing(name: str) -> Node:
    return exp.Cast(
        this=exp.Null(), to=exp.DataType.build("bigint" if name in INTEGERS else "text" if name == "v" else "double")
    )


def union(branches: Sequence[exp.Select]) -> Node:
    """UNION ALL of the branches, built as a balanced tree so that a thousand of them don't nest too deep."""
    nodes: list[Node] = list(branches)
    while len(nodes) > 1:
        pairs = [nodes[i : i + 2] for i in range(0, len(nodes), 2)]
        nodes = [exp.Union(this=p[0], expression=p[1], distinct=False) if len(p) == 2 else p[0] for p in pairs]
    return nodes[0]


def table_branch(scan: Scan, time: str | None, time_type: str) -> exp.Select:
    """Rows, and the newest event time in microseconds."""
    values = {"n": count()}
    if time is not None:
        values["hi"] = double(scan.forms.epoch_us(exp.Max(this=column(time)), time_type))
    return scan.select(TABLE, 0, values)


def unprofiled_branch(scan: Scan, at: int, name: str) -> exp.Select:
    return scan.select(PLAIN, at, {"n": count(), "k1": exp.Count(this=column(name))})


def boolean_branch(scan: Scan, at: int, name: str) -> exp.Select:
    """`n` rows, `k1` with a value, `k2` true."""
    x = exp.Cast(this=column(name), to=exp.DataType.build("boolean"))
    return scan.select(PLAIN, at, {"n": count(), "k1": exp.Count(this=column(name)), "k2": counted(scan.forms, x)})


def timestamp_branch(scan: Scan, at: int, name: str, kind: str, bound: datetime, future: Node | None) -> exp.Select:
    """`n` rows, `k1` with a value, `k2` from `future` on, `k3` before `bound`, `b` unix zero, ends in microseconds."""
    x, forms = column(name), scan.forms
    values: dict[str, Node] = {
        "n": count(),
        "k1": exp.Count(this=x),
        "k3": counted(forms, exp.LT(this=x.copy(), expression=forms.moment(bound, kind))),
        "b": counted(forms, exp.EQ(this=x.copy(), expression=forms.moment(_UNIX_ZERO, kind))),
        "lo": double(forms.epoch_us(exp.Min(this=x.copy()), kind)),
        "hi": double(forms.epoch_us(exp.Max(this=x.copy()), kind)),
    }
    if future is not None:
        values["k2"] = counted(forms, exp.GTE(this=x.copy(), expression=future))
    return scan.select(PLAIN, at, values)


@dataclass(frozen=True)
class NumericColumn:
    """A numeric field as SQL sees it: its number, name and grid; `is_double` saves the cast."""

    at: int
    name: str
    grid: Grid
    is_double: bool = False

    def value(self) -> Node:
        x = column(self.name)
        return x if self.is_double else double(x)


def deviation(c: NumericColumn) -> Node:
    return exp.Paren(this=exp.Sub(this=c.value(), expression=number(c.grid.centre)))


def bin_of(c: NumericColumn) -> Node:
    """The fine bin of a value: the expression of `mlobs.states.grid`."""
    z = exp.Paren(this=exp.Div(this=deviation(c), expression=number(c.grid.scale), typed=True, safe=True))
    top = exp.Mul(this=number(float(HALF)), expression=z)
    bottom = exp.Paren(this=exp.Add(this=number(1), expression=exp.Abs(this=z.copy())))
    floor = exp.Floor(this=exp.Div(this=top, expression=bottom, typed=True, safe=True))
    return exp.TryCast(this=floor, to=exp.DataType.build("smallint"))


def numeric_branch(scan: Scan, c: NumericColumn) -> exp.Select:
    """A row for each fine bin that is occupied; the NULL bin holds nulls and whatever isn't finite."""
    b, d, x = bin_of(c), deviation(c), c.value()
    values: dict[str, Node] = {
        "b": b,
        "n": count(),
        "s1": exp.Sum(this=d),
        "s2": exp.Sum(this=exp.Mul(this=d.copy(), expression=d.copy())),
        "lo": exp.Min(this=x),
        "hi": exp.Max(this=x.copy()),
        "k1": counted(scan.forms, exp.EQ(this=x.copy(), expression=number(0))),
        "k2": counted(scan.forms, exp.LT(this=x.copy(), expression=number(0))),
    }
    if c.grid.low == c.grid.low:
        low, high = number(c.grid.low), number(c.grid.high)
        values["k3"] = counted(
            scan.forms,
            exp.or_(exp.LT(this=x.copy(), expression=low), exp.GT(this=x.copy(), expression=high), copy=False),
        )
    return scan.select(NUMERIC, c.at, values, [b])


def special_branch(scan: Scan, c: NumericColumn) -> exp.Select:
    """For a field whose NULL bin holds more than nulls: NaN, infinities, and finite values too large to bin.

    `n` values, `k1` NaN, `k2` inf, `k3` -inf; of the finite rest `b` negatives, `s1` sum times 2^-600, `lo`, `hi`.
    """
    x, forms = c.value(), scan.forms
    infinity = exp.Cast(this=exp.Literal.string("Infinity"), to=exp.DataType.build("double"))
    plain = exp.Case(ifs=[exp.If(this=forms.finite(x), true=x.copy())])
    values: dict[str, Node] = {
        "n": count(),
        "k1": counted(forms, forms.is_nan(x)),
        "k2": counted(forms, exp.EQ(this=x.copy(), expression=infinity)),
        "k3": counted(forms, exp.EQ(this=x.copy(), expression=exp.Paren(this=exp.Neg(this=infinity.copy())))),
        "b": counted(forms, exp.LT(this=plain, expression=number(0))),
        "s1": exp.Sum(this=exp.Mul(this=plain.copy(), expression=number(2.0**-600))),
        "lo": exp.Min(this=plain.copy()),
        "hi": exp.Max(this=plain.copy()),
    }
    return scan.filtered(present(column(c.name)), absent(bin_of(c))).select(NUMERIC, c.at, values)


def values_branch(scan: Scan, at: int, name: str, *, is_text: bool) -> exp.Select:
    """A row for each distinct value, and one for the nulls."""
    v = column(name) if is_text else text(column(name))
    return scan.select(VALUES, at, {"v": v, "n": count()}, [v])


def sketch_branch(scan: Scan, at: int, name: str) -> exp.Select:
    """A row for each register of the distinct sketch: its number `b` and the smallest hash without its low bits, `n`."""
    duckdb = scan.forms.dialect == "duckdb"  # its 64-bit hash as it is; one bit more is shifted away
    h = call("hash", column(name)) if duckdb else exp.Paren(this=scan.forms.hash64(column(name)))
    register = bigint(exp.Paren(this=exp.BitwiseAnd(this=h, expression=number(REGISTERS - 1))))
    shift = number(REGISTER_BITS + duckdb)
    rest = bigint(exp.Paren(this=exp.BitwiseRightShift(this=exp.Min(this=h.copy()), expression=shift)))
    return scan.filtered(present(column(name))).select(SKETCH, at, {"b": register, "n": rest}, [register])
