"""How a delivery fits the table it lands in: what is created, added, widened, and the rows in the table's types. Pure.

Also the statements of a landing as sqlglot trees; the engines run them, each in its own kind of transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from mlobs.engines.column_types import arrow_type, column_type, data_type, kind_of
from mlobs.engines.forms import Forms
from mlobs.engines.protocol import table_node
from mlobs.errors import DataError
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

STAGED = "mlobs_staged"

Keeps = Callable[[str, exp.DataType | None], bool]
"""Asked of the engine: does the stored column survive a change to that type and back? With None: is it all null?"""


@dataclass(frozen=True)
class Plan:
    """What must happen to the table before the rows, cast to its types, can go in.

    `delivered` says for each column the type it came in, None where that is no news to the table.
    """

    create: bool
    new: dict[str, exp.DataType]
    widen: dict[str, exp.DataType]
    rows: pa.Table
    delivered: dict[str, exp.DataType | None]


def plan(rows: pa.Table, existing: Mapping[str, str] | None, dialect: str, where: str, keeps: Keeps) -> Plan:
    """Fit a delivery to the columns the table has (None when there is no table).

    Raises:
        DataError: a column's values fit neither the table's type nor a wider one; names column and samples.
    """
    import pyarrow as pa

    spelled = {name.casefold(): name for name in existing or {}}
    new: dict[str, exp.DataType] = {}
    widen: dict[str, exp.DataType] = {}
    delivered: dict[str, exp.DataType | None] = {}
    columns, names = [], []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        own = column_type(column.type)
        if own is None:
            raise DataError(
                f"{where}: column {name!r} holds {column.type}, which can't be landed; deliver plain columns"
            )
        known = name if existing and name in existing else spelled.get(name.casefold())
        if known is None:
            new[name], delivered[name] = own, None
            names.append(name)
            columns.append(_in_new_column(column, own, dialect))
            continue
        assert existing is not None
        text = existing[known]
        fitted = fit(column, text, dialect)
        if fitted is None:
            wider = _wider(column, text, dialect, known, keeps)
            if wider is None:
                raise DataError(_refusal(where, known, column, text, dialect))
            widen[known] = wider
            target = arrow_type(wider.sql(dialect), dialect)
            fitted = column if target is None else _cast(column, target)
            if fitted is None:
                raise DataError(_refusal(where, known, column, text, dialect))
        delivered[known] = None if _same_kind(column.type, text, own, dialect) else own
        names.append(known)
        columns.append(fitted)
    return Plan(existing is None, new, widen, pa.table(columns, names=names), delivered)


def fit(column: pa.ChunkedArray, text: str, dialect: str) -> pa.ChunkedArray | None:
    """The column in the Arrow type of a table column of type `text`, or None when a value would change.

    >>> import pyarrow as pa
    >>> fit(pa.chunked_array([[1.0, None]]), "BIGINT", "duckdb").to_pylist()
    [1, None]
    >>> fit(pa.chunked_array([[1.5]]), "BIGINT", "duckdb") is None
    True
    """
    target = arrow_type(text, dialect)
    if target is None:
        return None
    return _cast(column, target)


def _in_new_column(column: pa.ChunkedArray, own: exp.DataType, dialect: str) -> pa.ChunkedArray:
    target = arrow_type(own.sql(dialect), dialect)
    fitted = None if target is None else _cast(column, target)
    return column if fitted is None else fitted


def _cast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray | None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as is_

    found = column.type
    if found == target or is_.is_null(found):
        return column.cast(target)
    try:
        if is_.is_timestamp(target) and (is_.is_timestamp(found) or is_.is_date(found)):
            moments = column.cast(pa.timestamp("us")) if is_.is_date(found) else column
            if (moments.type.tz is None) == (target.tz is None):
                return moments.cast(target)
            return pc.assume_timezone(moments, "UTC") if moments.type.tz is None else moments.cast(pa.timestamp("us"))
        if is_.is_boolean(target) and not is_.is_boolean(found):
            return _as_boolean(column)
        if is_.is_boolean(found) and not is_.is_string(target):
            return column.cast(pa.int8()).cast(target)
        if is_.is_timestamp(target) and not is_.is_string(found):
            return None
        cast = column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return None
    return cast if _loses_nothing(column, cast) else None


def _loses_nothing(before: pa.ChunkedArray, after: pa.ChunkedArray) -> bool:
    """Whether numbers survive the way back; other casts of Arrow are exact or refused by Arrow itself."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as is_

    numbers = is_.is_floating(before.type) or is_.is_integer(before.type) or is_.is_decimal(before.type)
    narrower = is_.is_floating(after.type) or is_.is_decimal(after.type)
    if not (numbers and narrower):
        return True
    try:
        back = after.cast(before.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    same = pc.equal(before, back)
    if is_.is_floating(before.type):
        same = pc.or_(same, pc.and_(pc.is_nan(before), pc.is_nan(back)))
    return bool(pc.all(same).as_py() in (True, None))


def _as_boolean(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    import pyarrow as pa

    meaning: dict[Any, bool] = {0: False, 1: True, "false": False, "true": True}
    values = []
    for value in column.to_pylist():
        key = value.lower() if isinstance(value, str) else value
        if key is None:
            values.append(None)
        elif isinstance(key, (int, float, str)) and key in meaning:
            values.append(meaning[key])
        else:
            return None
    return pa.chunked_array([pa.array(values, type=pa.bool_())])


def _wider(column: pa.ChunkedArray, text: str, dialect: str, name: str, keeps: Keeps) -> exp.DataType | None:
    """A type for the table's column that takes the delivery and loses nothing of what is stored."""
    import pyarrow.types as is_

    own = column_type(column.type)
    if own is None:
        return None
    if keeps(name, None):
        return own
    kind, found = kind_of(text, dialect), column.type
    candidates: list[exp.DataType] = []
    stored = data_type(text, dialect)
    if kind == "numeric" and is_.is_integer(found):
        candidates = [exp.DataType.build(t) for t in ("bigint", "decimal(20, 0)", "double")]
    elif kind == "numeric" and (is_.is_floating(found) or is_.is_decimal(found)):
        candidates = [own] if is_.is_decimal(found) else []
        candidates.append(exp.DataType.build("double"))
    elif kind == "timestamp" and is_.is_timestamp(found):
        candidates = [own]
    for candidate in candidates:
        target = arrow_type(candidate.sql(dialect), dialect)
        if candidate == stored or target is None or _cast(column, target) is None:
            continue
        if keeps(name, candidate):
            return candidate
    return None


def _same_kind(found: pa.DataType, text: str, own: exp.DataType, dialect: str) -> bool:
    """Whether the delivered type is no news: numbers among numbers (pandas turns integers with gaps into doubles), all
    null, or the very type."""
    import pyarrow.types as is_

    if is_.is_null(found) or data_type(text, dialect) == own:
        return True
    own_kind, kind = kind_of(own.sql(dialect), dialect), kind_of(text, dialect)
    if "numeric" in (own_kind, kind) or kind is None:
        return own_kind == kind
    target = arrow_type(text, dialect)
    return target == found


def _refusal(where: str, name: str, column: pa.ChunkedArray, text: str, dialect: str) -> str:
    bad = _misfits(column, text, dialect)
    sample = ", ".join(repr(value) for value in bad) or f"values of type {column.type}"
    return (
        f"{where}: column {name!r} is {text} in the table, and the delivered {sample} would not survive the cast;"
        " correct the delivery, or change the table's column yourself. Nothing was changed"
    )


def _misfits(column: pa.ChunkedArray, text: str, dialect: str) -> list[Any]:
    """Up to three delivered values that don't fit."""
    import pyarrow as pa

    found: list[Any] = []
    for start in range(0, len(column), 1024):
        part = column.slice(start, 1024)
        if fit(part, text, dialect) is not None:
            continue
        for i in range(len(part)):
            one = part.slice(i, 1)
            if one.null_count == 0 and fit(one, text, dialect) is None:
                value = one[0].as_py() if not pa.types.is_timestamp(one.type) else str(one[0])
                if value not in found:
                    found.append(value)
                if len(found) == 3:
                    return found
    return found


# Statements


def create_schema(table: Table) -> exp.Expression:
    node = exp.Table(db=exp.to_identifier(table.schema, quoted=True))
    return exp.Create(this=node, kind="SCHEMA", exists=True)


def create_table(
    path: Sequence[str], columns: Mapping[str, exp.DataType], *, temporary: bool = False
) -> exp.Expression:
    schema = exp.Schema(this=table_node(path), expressions=[_definition(n, t) for n, t in columns.items()])
    properties = exp.Properties(expressions=[exp.TemporaryProperty()]) if temporary else None
    return exp.Create(this=schema, kind="TABLE", properties=properties)


def add_column(table: Table, name: str, kind: exp.DataType) -> exp.Expression:
    return exp.Alter(this=table_node(table.path), kind="TABLE", actions=[_definition(name, kind)])


def retype_column(table: Table, name: str, kind: exp.DataType) -> exp.Expression:
    """Change the type of a column, its values cast."""
    quoted = exp.to_identifier(name, quoted=True)
    action = exp.AlterColumn(this=quoted, dtype=kind.copy(), using=exp.cast(exp.column(quoted.copy()), kind))
    return exp.Alter(this=table_node(table.path), kind="TABLE", actions=[action])


def delete_window(table: Table, forms: Forms, time_type: str, window: Window) -> exp.Expression:
    time = exp.column(exp.to_identifier(table.time, quoted=True))
    return exp.Delete(this=table_node(table.path), where=exp.Where(this=forms.within(time, time_type, window)))


def delete_keys(table: Table, staged: exp.Expression) -> exp.Expression:
    """Delete the rows whose key is among the staged ones; null keys name no row, and match none."""
    return exp.Delete(this=table_node(table.path), where=exp.Where(this=key_staged(table, staged)))


def key_staged(table: Table, staged: exp.Expression) -> exp.Expression:
    """The condition that a row's whole key is among the staged rows'."""
    keys = [exp.column(exp.to_identifier(k, quoted=True)) for k in table.keys]
    within = exp.select(*(k.copy() for k in keys)).from_(staged.copy())
    left = keys[0] if len(keys) == 1 else exp.Tuple(expressions=keys)
    return exp.In(this=left, query=within.subquery())


def insert_staged(table: Table, names: Sequence[str], staged: exp.Expression) -> exp.Expression:
    quoted = [exp.to_identifier(n, quoted=True) for n in names]
    rows = exp.select(*(exp.column(n.copy()) for n in quoted)).from_(staged.copy())
    return exp.Insert(this=exp.Schema(this=table_node(table.path), expressions=quoted), expression=rows)


def lost_by_cast(table: Table, name: str, old: str, kind: exp.DataType | None, dialect: str) -> exp.Select:
    """A query that counts the values of a column that a cast to `kind` and back would change; all that are there for None."""
    column = exp.column(exp.to_identifier(name, quoted=True))
    chosen = exp.alias_(exp.Count(this=exp.Star()), "lost", quoted=True)
    query = exp.select(chosen).from_(table_node(table.path)).where(column.copy().is_(exp.null()).not_())
    stored = data_type(old, dialect)
    if kind is None or stored is None:
        return query
    back = exp.cast(exp.cast(column.copy(), kind.copy()), stored.copy())
    return query.where(exp.NEQ(this=back, expression=column.copy()))


def _definition(name: str, kind: exp.DataType) -> exp.ColumnDef:
    return exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=kind.copy())
