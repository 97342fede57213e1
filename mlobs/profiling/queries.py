"""From frozen frames to aggregate queries. Builds text from sqlglot trees; runs nothing.

Branches of a UNION ALL give rows of the same columns: the part `p` they belong to, the field's number `f`, the window `g`,
the segment `u1`, `u2`, and numbers whose meaning depends on the part. Where a scan is dear (`unpivots`), one scan unpivots
all fields instead of a branch for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from mlobs.engines.forms import Forms
from mlobs.profiling.nodes import (
    Node,
    Template,
    absent,
    all_of,
    as_type,
    bigint,
    call,
    case,
    column,
    count,
    counted,
    double,
    equal,
    less,
    literal,
    minus,
    named,
    nested,
    number,
    over,
    plus,
    present,
    quoted,
    select,
    slot,
    text,
    times,
)
from mlobs.states.distinct import REGISTER_BITS, REGISTERS
from mlobs.states.grid import HALF, LARGEST, SMALLEST, Grid

NUMERIC, VALUES, ZEROS, NEGATIVES, BELOW, ABOVE, SPECIAL, MOMENTS, SKETCH, EXACT, ROWS = range(11)
"""Parts: fine bins; distinct texts; follow-ups on numeric fields; distinct sketches, exact distinct counts; row hashes."""

NAN, PLUS_INF, MINUS_INF, HUGE, MINUS_HUGE = range(900, 905)
"""Bins of values that aren't on the grid, where the query guards its arithmetic."""

TINY_FACTOR = 2.0**-600
"""Values too large to square are summed times this."""

NUMBERS = ("b", "n", "s1", "s2", "lo", "hi", "k1", "k2", "k3", "k4")
"""The numbers a branch may give; what they mean depends on its part."""

LENIENT_BINS = ("b", "n", "s1", "s2", "lo", "hi")
ZEROS_BESIDE = "k1"
"""The column of zeros in each bin of the fields whose zeros share a bin with other values, lest they need another scan."""

LISTED = "hs"
"""The column of hashes that the bins of continuous fields list beside, so that their sketch needs no scan of its own."""

FREQUENCIES = ("v", "n")
COUNTED = ("b", "n")
"""Columns of fine bins without a guard, of distinct texts, and of sketches and row hashes, when nothing else is asked."""

_INTEGERS = frozenset({"b", "n", "k1", "k2", "k3", "k4"})
_LARGEST_DOUBLE = 1.7976931348623157e308
_UNPIVOTS = frozenset({"postgres", "spark"})


def always_compact(forms: Forms) -> bool:
    """Whether a scan is so dear that one that unpivots its fields always beats a branch for each field."""
    return forms.dialect in _UNPIVOTS


@dataclass(frozen=True)
class Scan:
    """What is read, and how its rows are grouped.

    Attributes:
        forms: the engine's SQL forms.
        relation: what goes into FROM.
        where: conditions on its rows.
        window: expression that numbers windows; None for one.
        date: what that number is the difference of, where windows are days; it costs less to group by.
        segments: expressions of the segment fields' values, at most two.
        compact: one scan unpivots all fields, instead of a branch for each; the better way where a scan is dear, or the
            rows are few.
    """

    forms: Forms
    relation: Node
    where: tuple[Node, ...] = ()
    window: Node | None = None
    segments: tuple[Node, ...] = ()
    compact: bool = False
    date: Node | None = None

    @property
    def lenient(self) -> bool:
        """Whether bins are computed without a guard: arithmetic never raises, and TRY_CAST of NaN is NULL."""
        return self.forms.dialect == "duckdb" and not self.compact

    def filtered(self, *conditions: Node) -> Scan:
        return replace(self, where=(*self.where, *conditions))

    @property
    def keys(self) -> list[Node]:
        """The grouping's expressions."""
        window = self.date if self.date is not None else self.window
        return [*([window] if window is not None else []), *self.segments]

    @property
    def named_keys(self) -> list[Node]:
        """The grouping's columns: g, then u1 and u2 where there are segments."""
        return [
            named(self.window if self.window is not None else number(0), "g"),
            *(named(s, f"u{i}") for i, s in enumerate(self.segments, 1)),
        ]

    def regrouped(self, relation: Node) -> Scan:
        """The same groups, over a nested query that carries g, u1 and u2."""
        return Scan(
            self.forms,
            relation,
            (),
            column("g") if self.window is not None else None,
            tuple(column(f"u{i}") for i in range(1, len(self.segments) + 1)),
            self.compact,
        )

    def branch(
        self, part: int, field: Node, values: Mapping[str, Node], by: Sequence[Node] = (), *, shown: Sequence[str]
    ) -> exp.Select:
        """One branch: p, f, the group, and the columns `shown`, NULL where `values` has none."""
        columns = [named(values.get(name) or _missing(name), name) for name in shown]
        head = [named(number(part), "p"), named(field, "f"), *self.named_keys]
        return select([*head, *columns], self.relation, self.where, [*self.keys, *by])


def _missing(name: str) -> Node:
    if name == LISTED:
        listed = exp.DataType(this=exp.DType.ARRAY, expressions=[as_type(exp.DType.BIGINT)], nested=True)
        return exp.Cast(this=exp.Null(), to=listed)
    kind = text if name == "v" else bigint if name in _INTEGERS else double
    return kind(exp.Null())


def union(texts: Sequence[str]) -> str:
    """UNION ALL of generated branches."""
    return " UNION ALL ".join(texts)


@dataclass(frozen=True)
class NumericColumn:
    """A numeric field as SQL sees it: its number, name and grid; `is_double` saves the cast.

    Where `listed` isn't 0, its bins list the share 2^-listed of the values' hashes; with `zeros` they count zeros.
    """

    at: int
    name: str
    grid: Grid
    is_double: bool = False
    listed: int = 0
    zeros: bool = False

    def value(self) -> Node:
        x = column(self.name)
        return x if self.is_double else double(x)

    def tokens(self, forms: Forms) -> dict[str, str]:
        """What is poured into the templates."""
        known = self.grid.low == self.grid.low
        return {
            "f": str(self.at),
            "x": quoted(forms, self.name) if self.is_double else forms.sql(self.value()),
            "column": quoted(forms, self.name),
            "centre": literal(self.grid.centre),
            "scale": literal(self.grid.scale),
            "tail": literal(self.grid.tail),
            "low": literal(self.grid.low if known else -_LARGEST_DOUBLE),
            "high": literal(self.grid.high if known else _LARGEST_DOUBLE),
            "bound": str(_bound(self.listed)),
        }


def fine_bin(d: Node, scale: Node, tail: Node | None = None) -> Node:
    """The position on the grid, before the cast to an integer: the expression of `mlobs.states.grid`."""
    if tail is None:
        return exp.Floor(this=_fraction(HALF, d, scale))
    return exp.Floor(this=exp.Add(this=_fraction(HALF / 2, d, scale), expression=_fraction(HALF / 2, d.copy(), tail)))


def _fraction(bins: float, d: Node, scale: Node) -> Node:
    return over(times(number(float(bins)), d), plus(scale, exp.Abs(this=d.copy())))


def _slot_bin(d: Node, tailed: bool) -> Node:
    return fine_bin(d, slot("scale"), slot("tail") if tailed else None)


def numeric_queries(scan: Scan, columns: Sequence[NumericColumn], *, shown: Sequence[str]) -> list[str]:
    """Branches that give a row for each fine bin that is occupied."""
    if not columns:
        return []
    if scan.compact:
        return [_unpivoted_numeric(scan, columns, shown=shown)]
    if not scan.lenient:
        guarded = {tailed: Template(scan.forms, _guarded_numeric(scan, shown, tailed)) for tailed in (False, True)}
        return [guarded[c.grid.tailed].poured(c.tokens(scan.forms)) for c in columns]
    kinds = [(c.grid.tailed, c.listed > 0, c.zeros) for c in columns]
    lenient = {kind: Template(scan.forms, _lenient_numeric(scan, shown, *kind)) for kind in set(kinds)}
    return [lenient[kind].poured(c.tokens(scan.forms)) for c, kind in zip(columns, kinds, strict=True)]


def _lenient_numeric(scan: Scan, shown: Sequence[str], tailed: bool, listed: bool, zeros: bool) -> Node:
    """The NULL bin holds nulls, NaN, infinities and values too large to bin; follow-ups tell them apart.

    Zero, whose hash is 0, isn't listed: it would be in every sample, and may be as frequent as rows.
    """
    x = slot("x")
    d = minus(x, slot("centre"))
    b = exp.TryCast(this=_slot_bin(d, tailed), to=as_type(exp.DType.SMALLINT))
    values: dict[str, Node] = {
        "b": b,
        "n": count(),
        "s1": exp.Sum(this=d.copy()),
        "s2": exp.Sum(this=times(d.copy(), d.copy())),
        "lo": exp.Min(this=x.copy()),
        "hi": exp.Max(this=x.copy()),
    }
    if zeros:
        values[ZEROS_BESIDE] = counted(scan.forms, equal(x.copy(), number(0)))
    if listed:
        h = hashed(scan.forms, slot("column"))
        sampled = exp.Between(this=h.copy(), low=number(1), high=slot("bound"))
        kept = exp.Where(this=all_of([present(slot("column")), sampled]))
        values[LISTED] = exp.Filter(this=call("LIST", bigint(h)), expression=kept)
    return scan.branch(NUMERIC, slot("f"), values, [b], shown=shown)


def _deviation(x: Node, centre: Node) -> Node:
    """x - centre where squaring it can neither overflow nor underflow, else NULL."""
    size = exp.Abs(this=x)
    kept = case((less(size.copy(), number(SMALLEST)), number(0.0)), default=x.copy())
    return case((exp.LTE(this=size, expression=number(LARGEST)), minus(exp.Paren(this=kept), centre)))


def off_grid(forms: Forms, x: Node) -> Node:
    """The bin of a value that isn't on the grid; NULL for null."""
    return case(
        (forms.is_nan(x), number(NAN)),
        (exp.GT(this=x.copy(), expression=number(_LARGEST_DOUBLE)), number(PLUS_INF)),
        (less(x.copy(), number(-_LARGEST_DOUBLE)), number(MINUS_INF)),
        (less(x.copy(), number(0)), number(MINUS_HUGE)),
        (present(x.copy()), number(HUGE)),
    )


def _guarded_values(forms: Forms, fine: Node, low: Node, high: Node) -> tuple[dict[str, Node], Node]:
    """The numbers of a bin over a nested query with columns x and d; and the bin, `fine` on the grid."""
    x, d = column("x"), column("d")
    b = case((present(d), bigint(fine)), default=off_grid(forms, x))
    small = case((present(d.copy()), d.copy()), (forms.finite(x), times(x.copy(), number(TINY_FACTOR))))
    values: dict[str, Node] = {
        "b": b,
        "n": count(),
        "s1": exp.Sum(this=small),
        "s2": exp.Sum(this=times(d.copy(), d.copy())),
        "lo": exp.Min(this=x.copy()),
        "hi": exp.Max(this=x.copy()),
        "k1": counted(forms, equal(x.copy(), number(0))),
        "k2": counted(forms, all_of([forms.finite(x), less(x.copy(), number(0))])),
        "k3": counted(forms, all_of([forms.finite(x), less(x.copy(), low)])),
        "k4": counted(forms, all_of([forms.finite(x), exp.GT(this=x.copy(), expression=high)])),
    }
    return values, b


def _guarded_numeric(scan: Scan, shown: Sequence[str], tailed: bool) -> Node:
    inner = select(
        [*scan.named_keys, named(slot("x"), "x"), named(_deviation(slot("x"), slot("centre")), "d")],
        scan.relation,
        scan.where,
    )
    values, b = _guarded_values(scan.forms, _slot_bin(column("d"), tailed), slot("low"), slot("high"))
    return scan.regrouped(nested(inner, "numbers")).branch(NUMERIC, slot("f"), values, [b], shown=shown)


def _unpivoted_numeric(scan: Scan, columns: Sequence[NumericColumn], *, shown: Sequence[str]) -> str:
    tailed = any(c.grid.tailed for c in columns)
    own = ("scale", *(["tail"] if tailed else []), "low", "high")
    f, x, d = column("f"), column("x"), column("d")
    carried = [named(column(name), name) for name in ("f", "x", *own)]
    inner = unpivoted(scan, ("f", "x", "centre", *own), [*carried, named(_deviation(x, column("centre")), "d")])
    # a grid without a tail has its scale there, which gives the same bins
    fine = fine_bin(d, column("scale"), column("tail") if tailed else None)
    values, b = _guarded_values(scan.forms, fine, column("low"), column("high"))
    outer = scan.regrouped(nested(inner, "numbers")).branch(NUMERIC, f, values, [f, b], shown=shown)
    constant = Template(scan.forms, double(slot("constant")))
    value, plain = Template(scan.forms, double(slot("column"))), Template(scan.forms, slot("column"))
    rows = []
    for c in columns:
        tokens = c.tokens(scan.forms)
        taken = (plain if c.is_double else value).poured(tokens)
        rows.append([str(c.at), taken, *(constant.poured({"constant": tokens[name]}) for name in ("centre", *own))])
    return Template(scan.forms, outer).poured(row_tokens(scan, rows))


def unpivoted(scan: Scan, names: Sequence[str], projections: Sequence[Node], where: Sequence[Node] = ()) -> exp.Select:
    """One scan that gives, for each of its rows, a row for each field, with the columns `names`.

    The second of `names` is the one whose value comes from the scanned row. `row_tokens` makes what is poured in.
    """
    if scan.forms.dialect == "duckdb":
        return _unnested(scan, names, projections, where)
    own = [_of_fields(node, names) for node in projections]
    query = select([*scan.named_keys, *own], scan.relation, [*scan.where, *(_of_fields(node, names) for node in where)])
    columns = [exp.Identifier(this=name, quoted=True) for name in names]
    table = exp.TableAlias(this=exp.Identifier(this="fields", quoted=True), columns=columns)
    if scan.forms.dialect == "spark":
        query.set("laterals", [exp.Lateral(this=call("STACK", slot("size"), slot("rows")), view=True, alias=table)])
        return query
    values = exp.Subquery(this=exp.Values(expressions=[slot("rows")]))
    query.set("joins", [exp.Join(this=exp.Lateral(this=values, alias=table), kind="CROSS")])
    return query


def _of_fields(node: Node, names: Sequence[str]) -> Node:
    """The node with its columns marked as the unpivoted ones, since the scanned table may have columns of these names."""
    copy = node.copy()
    for found in list(copy.find_all(exp.Column)):
        if found.name in names:
            found.set("table", exp.Identifier(this="fields", quoted=True))
    return copy


def _unnested(scan: Scan, names: Sequence[str], projections: Sequence[Node], where: Sequence[Node]) -> exp.Select:
    """DuckDB's fastest way: two lists unnested in step, joined to the constants."""
    taken = exp.Unnest(expressions=[exp.Array(expressions=[slot("taken")])])
    numbered = exp.Unnest(expressions=[call("RANGE", slot("size"))])
    inner = select([*scan.named_keys, named(taken, names[1]), named(numbered, "at")], scan.relation, scan.where)
    columns = [exp.Identifier(this=name, quoted=True) for name in ("number", names[0], *names[2:])]
    table = exp.TableAlias(this=exp.Identifier(this="fields", quoted=True), columns=columns)
    constants = exp.Values(expressions=[slot("constants")], alias=table)
    joined = exp.Join(this=constants, on=equal(column("at"), column("number")))
    keys = [column("g"), *(column(f"u{i}") for i in range(1, len(scan.segments) + 1))]
    query = select([*keys, *projections], nested(inner, "rows"), where)
    query.set("joins", [joined])
    return query


def row_tokens(scan: Scan, rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """What is poured into an unpivoting query: each field's number, value and constants, as generated texts."""
    if scan.forms.dialect == "duckdb":
        constants = [f"({', '.join([str(at), row[0], *row[2:]])})" for at, row in enumerate(rows)]
        return {"taken": ", ".join(row[1] for row in rows), "size": str(len(rows)), "constants": ", ".join(constants)}
    lines = [", ".join(row) for row in rows]
    if scan.forms.dialect == "spark":
        return {"rows": ", ".join(lines), "size": str(len(rows))}
    return {"rows": ", ".join(f"({line})" for line in lines)}


def value_queries(
    scan: Scan,
    columns: Sequence[tuple[int, str, bool]],
    limit: int,
    *,
    shown: Sequence[str] = FREQUENCIES,
    ranked: bool = False,
) -> list[str]:
    """Branches that give a row for each distinct text, and one for the nulls; `limit` bounds each branch's rows (the most
    frequent ones, when they are `ranked`).

    `columns` are (field number, name, whether the column is a text by type).
    """
    if not columns:
        return []
    if scan.compact:
        inner = unpivoted(scan, ("f", "v"), [named(column("f"), "f"), named(column("v"), "v")])
        outer = scan.regrouped(nested(inner, "texts"))
        by = [column("f"), column("v")]
        branch = outer.branch(VALUES, column("f"), {"v": column("v"), "n": count()}, by, shown=shown)
        value = Template(scan.forms, text(slot("column")))
        rows = [[str(at), value.poured({"column": quoted(scan.forms, name)})] for at, name, _ in columns]
        tree = _limited(branch, limit * len(columns))
        return [Template(scan.forms, tree).poured(row_tokens(scan, rows))]
    template = Template(
        scan.forms,
        _limited(
            scan.branch(VALUES, slot("f"), {"v": slot("v"), "n": count()}, [slot("v")], shown=shown),
            limit,
            ranked=ranked,
        ),
    )
    return [
        template.poured({"f": str(at), "v": scan.forms.sql(column(name) if is_text else text(column(name)))})
        for at, name, is_text in columns
    ]


def _limited(query: exp.Select, limit: int, *, ranked: bool = False) -> exp.Select:
    cut = exp.Select(expressions=[exp.Star()]).from_(nested(query, "limited"), copy=False).limit(limit, copy=False)
    if ranked:
        cut.set("order", exp.Order(expressions=[exp.Ordered(this=column("n"), desc=True, nulls_first=False)]))
    # nested once more: a branch of a UNION may not end in LIMIT
    return exp.Select(expressions=[exp.Star()]).from_(nested(cut, "cut"), copy=False)


def follow_up_templates(scan: Scan, *, tailed: bool) -> dict[int, Template]:
    """Part -> template of the follow-ups that tell apart what the lenient query's bins don't, on grids of that form.

    ZEROS, NEGATIVES, BELOW, ABOVE count finite values in `n`. SPECIAL looks into the NULL bin: a row for each bin `b` of
    NAN, PLUS_INF, ..., MINUS_HUGE that it holds. MOMENTS sums deviations from another centre, where the values lie so far
    from the grid's that their squares cancel.
    """
    forms, x = scan.forms, slot("x")
    top, bottom = number(_LARGEST_DOUBLE), number(-_LARGEST_DOUBLE)
    not_below = exp.GTE(this=x.copy(), expression=bottom)
    conditions: dict[int, list[Node]] = {
        ZEROS: [equal(x.copy(), number(0))],
        NEGATIVES: [less(x.copy(), number(0)), not_below],
        BELOW: [less(x.copy(), slot("low")), not_below.copy()],
        ABOVE: [exp.GT(this=x.copy(), expression=slot("high")), exp.LTE(this=x.copy(), expression=top)],
    }
    found = {
        part: Template(forms, scan.filtered(*where).branch(part, slot("f"), {"n": count()}, shown=NUMBERS))
        for part, where in conditions.items()
    }
    small = case((forms.finite(x), times(x.copy(), number(TINY_FACTOR))))
    code = off_grid(forms, x.copy())
    ends: dict[str, Node] = {"lo": exp.Min(this=x.copy()), "hi": exp.Max(this=x.copy())}
    special: dict[str, Node] = {"b": code, "n": count(), "s1": exp.Sum(this=small), **ends}
    unbinned = absent(
        exp.TryCast(this=_slot_bin(minus(x.copy(), slot("centre")), tailed), to=as_type(exp.DType.SMALLINT))
    )
    inside = scan.filtered(present(slot("column")), unbinned)
    off = minus(x.copy(), slot("shift"))
    off = exp.Paren(this=case((less(exp.Abs(this=off.copy()), number(SMALLEST)), number(0.0)), default=off.copy()))
    sums: dict[str, Node] = {"n": count(), "s1": exp.Sum(this=off), "s2": exp.Sum(this=times(off.copy(), off.copy()))}
    found[MOMENTS] = Template(forms, scan.filtered(forms.finite(x)).branch(MOMENTS, slot("f"), sums, shown=NUMBERS))
    found[SPECIAL] = Template(forms, inside.branch(SPECIAL, slot("f"), special, [code], shown=NUMBERS))
    return found


def hashed(forms: Forms, x: Node) -> Node:
    """A 63-bit hash of a number that isn't NULL."""
    if forms.dialect == "duckdb":
        return exp.Paren(this=exp.BitwiseRightShift(this=call("hash", x), expression=number(1)))
    return exp.Paren(this=forms.hash64(plus(double(x), number(0.0))))  # -0.0 + 0.0 is 0.0


def sketch_queries(
    scan: Scan, columns: Sequence[tuple[NumericColumn, int]], *, shown: Sequence[str] = COUNTED
) -> list[str]:
    """Branches that give each register's number `b` and smallest remaining hash `n`; with the sampling of each field."""
    if not columns:
        return []
    forms = scan.forms
    if scan.compact:
        where = [present(column("h")), exp.LTE(this=column("h"), expression=column("bound"))]
        inner = unpivoted(scan, ("f", "h", "bound"), [named(column("f"), "f"), named(column("h"), "h")], where)
        branch = _registers(scan.regrouped(nested(inner, "hashes")), column("h"), column("f"), [column("f")], shown)
        hashes = _hashed_rows(scan, [c for c, _ in columns])
        rows = [[*row, str(_bound(sampling))] for row, (_, sampling) in zip(hashes, columns, strict=True)]
        return [Template(forms, branch).poured(row_tokens(scan, rows))]
    texts = []
    templates: dict[bool, Template] = {}
    for c, sampling in columns:
        if (sampling > 0) not in templates:
            h = hashed(forms, slot("column"))
            where = [present(slot("column")), *([exp.LTE(this=h.copy(), expression=slot("bound"))] if sampling else [])]
            templates[sampling > 0] = Template(forms, _registers(scan.filtered(*where), h, slot("f"), [], shown))
        texts.append(templates[sampling > 0].poured({**c.tokens(forms), "bound": str(_bound(sampling))}))
    return texts


def _hashed_rows(scan: Scan, columns: Sequence[NumericColumn]) -> list[list[str]]:
    x = slot("column")
    h = Template(scan.forms, case((present(x), hashed(scan.forms, x.copy()))))
    return [[str(c.at), h.poured({"column": quoted(scan.forms, c.name)})] for c in columns]


def _bound(sampling: int) -> int:
    """The largest of the share 2^-sampling of hashes."""
    return (1 << (63 - sampling)) - 1


def _registers(scan: Scan, h: Node, field: Node, by: Sequence[Node], shown: Sequence[str]) -> exp.Select:
    register = bigint(exp.Paren(this=exp.BitwiseAnd(this=h.copy(), expression=number(REGISTERS - 1))))
    rest = bigint(exp.Paren(this=exp.BitwiseRightShift(this=exp.Min(this=h.copy()), expression=number(REGISTER_BITS))))
    return scan.branch(SKETCH, field, {"b": register, "n": rest}, [*by, register], shown=shown)


def exact_queries(scan: Scan, columns: Sequence[NumericColumn]) -> list[str]:
    """Branches that count distinct values exactly, in `n`."""
    if not columns:
        return []
    forms = scan.forms
    if scan.compact:
        inner = unpivoted(scan, ("f", "h"), [named(column("f"), "f"), named(column("h"), "h")])
        distinct = exp.Count(this=exp.Distinct(expressions=[column("h")]))
        outer = scan.regrouped(nested(inner, "hashes"))
        branch = outer.branch(EXACT, column("f"), {"n": distinct}, [column("f")], shown=COUNTED)
        return [Template(forms, branch).poured(row_tokens(scan, _hashed_rows(scan, columns)))]
    distinct = exp.Count(this=exp.Distinct(expressions=[slot("column")]))
    template = Template(forms, scan.branch(EXACT, slot("f"), {"n": distinct}, shown=COUNTED))
    return [template.poured(c.tokens(forms)) for c in columns]


def row_hash(forms: Forms, names: Sequence[str]) -> Node:
    """A 63-bit hash of several columns of a row."""
    columns: list[Node] = [column(name) for name in names]
    positive = number((1 << 63) - 1)
    if forms.dialect == "duckdb":
        return bigint(exp.Paren(this=exp.BitwiseRightShift(this=call("hash", *columns), expression=number(1))))
    if forms.dialect in ("spark", "databricks"):
        return exp.Paren(this=exp.BitwiseAnd(this=call("xxhash64", *columns), expression=positive))
    if forms.dialect == "snowflake":
        return call("BITAND", call("HASH", *columns), positive)
    if forms.dialect == "clickhouse":
        return call("toInt64", call("bitShiftRight", call("cityHash64", call("tuple", *columns)), number(1)))
    if forms.dialect == "bigquery":
        return forms.hash64(call("TO_JSON_STRING", call("STRUCT", *columns)))
    if forms.dialect == "trino":
        return forms.hash64(call("JSON_FORMAT", exp.Cast(this=call("ROW", *columns), to=as_type(exp.DType.JSON))))
    return forms.hash64(call("ROW", *columns))


def row_query(scan: Scan, names: Sequence[str], limit: int) -> str:
    """The branch that gives the row hashes `b` below `limit`, and the rows `n` of each."""
    h = row_hash(scan.forms, names)
    inner = select([*scan.named_keys, named(h, "h")], scan.relation, scan.where)
    outer = scan.regrouped(nested(inner, "hashes"))
    if limit < 1 << 63:
        outer = outer.filtered(less(column("h"), number(limit)))
    return scan.forms.sql(outer.branch(ROWS, number(0), {"b": column("h"), "n": count()}, [column("h")], shown=COUNTED))
