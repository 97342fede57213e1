"""How a delivery fits the table it lands in, and the steps of a landing, which an engine carries out in one transaction.

No database is touched but through the `Hands` that the engine lends. Statements are sqlglot trees (`statements.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlglot import exp

from mlobs.engines import statements
from mlobs.engines.column_types import arrow_type, column_type, data_type, kind_of
from mlobs.engines.delivery import Delivery, as_times
from mlobs.engines.forms import Forms
from mlobs.engines.protocol import Landing, Source
from mlobs.errors import DataError
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

Keeps = Callable[[str, exp.DataType | None], bool]
"""Asked of the engine: does the stored column survive a change to that type and back? With None: is it all null?"""


class Hands(Protocol):
    """What an engine lends a landing, inside one open transaction."""

    def has(self, path: Sequence[str]) -> bool: ...

    def describe(self, query: exp.Expression) -> dict[str, str]:
        """Column name -> type as the engine prints it, of a query."""
        ...

    def do(self, statement: exp.Expression) -> None: ...

    def count(self, query: exp.Expression) -> int | None:
        """The one number a query returns; None when a cast in it fails."""
        ...

    def stage(self, table: Table, rows: pa.Table) -> exp.Expression:
        """Make the rows readable, in the types of the table's columns of the same names."""
        ...


def land_rows(hands: Hands, forms: Forms, table: Table, window: Window, delivery: Delivery) -> Landing:
    """The steps of a landing, in the order that every engine takes in one transaction.

    Raises:
        DataError: the delivery does not fit. The caller rolls back.
    """
    fitted = fit_delivery(hands, forms, table, window, delivery)
    if fitted.create and not fitted.new:
        return Landing(0, {}, None, 0)
    change_table(hands, table, fitted)
    types = hands.describe(Source.table(table.path).select())
    # Staging comes first: where it makes a table, some warehouses commit what was done before.
    staged = hands.stage(table, fitted.rows) if fitted.rows.num_rows else None
    if table.time in types:
        hands.do(statements.delete_window(table, forms, types[table.time], window))
    if staged is not None:
        hands.do(statements.delete_keys(table, staged))
        hands.do(statements.insert_staged(table, fitted.rows.column_names, staged))
    return landed(hands, delivery, fitted, types)


def fit_delivery(hands: Hands, forms: Forms, table: Table, window: Window, delivery: Delivery) -> Plan:
    """The plan for a delivery into the table as it stands.

    Raises:
        DataError: a column fits neither the table's type nor a wider one.
    """
    existing = hands.describe(Source.table(table.path).select()) if hands.has(table.path) else None
    where = f"table {table.id!r}, window {window}"
    keeps = _keeps(hands, table, existing, forms.dialect)
    return plan(delivery.rows, existing, forms.dialect, where, keeps, table.sensitive)


def change_table(hands: Hands, table: Table, fitted: Plan) -> None:
    """Create, add and widen, as the plan says."""
    if fitted.create:
        if table.schema:
            hands.do(statements.create_schema(table))
        hands.do(statements.create_table(table.path, fitted.new))
        return
    for name, kind in fitted.new.items():
        hands.do(statements.add_column(table, name, kind))
    for name, kind in fitted.widen.items():
        hands.do(statements.retype_column(table, name, kind))


def landed(hands: Hands, delivery: Delivery, fitted: Plan, types: Mapping[str, str]) -> Landing:
    """What was delivered, its types printed as the engine prints them."""
    news = {name: kind for name, kind in fitted.delivered.items() if kind is not None}
    texts = hands.describe(statements.nulls_of(news)) if news else {}
    columns = {name: texts.get(name) or types[name] for name in fitted.delivered}
    return Landing(delivery.rows.num_rows, columns, delivery.newest, delivery.outside)


def _keeps(hands: Hands, table: Table, existing: Mapping[str, str] | None, dialect: str) -> Keeps:
    def keeps(name: str, kind: exp.DataType | None) -> bool:
        assert existing is not None
        return hands.count(statements.lost_by_cast(table, name, existing[name], kind, dialect)) == 0

    return keeps


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


def plan(
    rows: pa.Table,
    existing: Mapping[str, str] | None,
    dialect: str,
    where: str,
    keeps: Keeps,
    secret: Collection[str] = frozenset(),
) -> Plan:
    """Fit a delivery to the columns the table has (None when there is no table).

    Values of `secret` columns are in no message.

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
        other = not _same_kind(column.type, text, own, dialect)
        if fitted is None or (other and keeps(known, None)):
            wider = _wider(column, text, dialect, known, keeps)
            if wider is None:
                raise DataError(_refusal(where, known, column, text, dialect, known in secret))
            widen[known] = wider
            target = arrow_type(wider.sql(dialect), dialect)
            fitted = column if target is None else _cast(column, target)
            if fitted is None:
                raise DataError(_refusal(where, known, column, text, dialect, known in secret))
        delivered[known] = own if other and known not in widen else None
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
        if is_.is_timestamp(target):
            moments = _as_moments(column)
            if moments is None or (moments.type.tz is None) == (target.tz is None):
                return None if moments is None else moments.cast(target)
            return pc.assume_timezone(moments, "UTC") if moments.type.tz is None else moments.cast(pa.timestamp("us"))
        if is_.is_boolean(target):
            return _as_boolean(column)
        if is_.is_boolean(found) and _is_number(target):
            return column.cast(pa.int8()).cast(target)
        if not _may_become(found, target):
            return None
        cast = column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, DataError):
        return None
    return cast if _loses_nothing(column, cast) else None


def _may_become(found: pa.DataType, target: pa.DataType) -> bool:
    """Whether values of one type can mean values of the other; a time never means a number, nor bytes a text."""
    import pyarrow.types as is_

    if is_.is_string(target):
        return not bool(is_.is_binary(found) or is_.is_nested(found))
    if _is_number(target):
        return bool(_is_number(found) or is_.is_string(found))
    if is_.is_date(target):
        return bool(is_.is_timestamp(found) or is_.is_string(found))
    return bool(is_.is_nested(target) and is_.is_nested(found))


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow.types as is_

    return bool(is_.is_integer(kind) or is_.is_floating(kind) or is_.is_decimal(kind))


def _as_moments(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Dates, timestamps and ISO 8601 texts as timestamps in microseconds; None for anything else."""
    import pyarrow as pa
    import pyarrow.types as is_

    if is_.is_date(column.type):
        return column.cast(pa.timestamp("us"))
    if is_.is_string(column.type):
        return as_times(column, "")
    return column if is_.is_timestamp(column.type) else None


def _loses_nothing(before: pa.ChunkedArray, after: pa.ChunkedArray) -> bool:
    """Whether numbers survive the way back; other casts of Arrow are exact or refused by Arrow itself."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as is_

    numbers = _is_number(before.type)
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
    values: list[bool | None] = []
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
    return bool(arrow_type(text, dialect) == found)


def _refusal(where: str, name: str, column: pa.ChunkedArray, text: str, dialect: str, secret: bool) -> str:
    bad = [] if secret else _misfits(column, text, dialect)
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
