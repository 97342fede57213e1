"""Column types in three languages: the engine's own text, the kind of a field, and Arrow's. Pure; no database.

A type that can't be read (an extension, a new release) has no kind and no Arrow type; it is never an error by itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.errors import SqlglotError

from mlobs.spec import FieldKind

if TYPE_CHECKING:
    import pyarrow as pa

T = exp.DataType.Type

_SIGNED = {T.TINYINT: 8, T.SMALLINT: 16, T.INT: 32, T.MEDIUMINT: 32, T.BIGINT: 64}
_UNSIGNED = {T.UTINYINT: 8, T.USMALLINT: 16, T.UINT: 32, T.UBIGINT: 64}
_HUGE = {T.INT128, T.UINT128, T.INT256, T.UINT256}
_DECIMAL = {T.DECIMAL, T.BIGDECIMAL, T.DECIMAL32, T.DECIMAL64, T.DECIMAL128, T.DECIMAL256}
_ZONED = {T.TIMESTAMPTZ, T.TIMESTAMPLTZ}
_WALL = {
    T.TIMESTAMP,
    T.TIMESTAMPNTZ,
    T.TIMESTAMP_S,
    T.TIMESTAMP_MS,
    T.TIMESTAMP_NS,
    T.DATETIME,
    T.DATETIME2,
    T.DATETIME64,
}
_DATE = {T.DATE, T.DATE32}
_TEXT = {T.TEXT, T.VARCHAR, T.CHAR, T.NVARCHAR, T.NCHAR, T.BPCHAR, T.NAME, T.FIXEDSTRING, T.UUID}
_CATEGORY = {T.ENUM, T.ENUM8, T.ENUM16}
_BYTES = {T.BINARY, T.VARBINARY, T.BLOB}
_EXTENSION_TEXT = {"citext"}


@lru_cache(maxsize=4096)
def data_type(text: str, dialect: str) -> exp.DataType | None:
    """The type as a sqlglot node, without ClickHouse's wrappers; None when it can't be read.

    >>> data_type("Nullable(Float64)", "clickhouse").this.name, data_type("no such type", "duckdb")
    ('DOUBLE', None)
    """
    if text.lower() in _EXTENSION_TEXT:
        return exp.DataType.build("text")
    try:
        found = exp.DataType.build(text, dialect=dialect)
    except (SqlglotError, ValueError):
        return None
    while isinstance(found, exp.DataType) and found.this == T.LOWCARDINALITY and found.expressions:
        found = found.expressions[0]
    if not isinstance(found, exp.DataType) or not isinstance(found.this, T):
        return None
    return found


def kind_of(text: str, dialect: str) -> FieldKind | None:
    """The kind of field a column of that type is; None when it can't be profiled.

    >>> [kind_of(t, "duckdb") for t in ("DECIMAL(18,3)", "VARCHAR", "DATE", "BOOLEAN", "INTEGER[]", "BLOB")]
    ['numeric', 'categorical', 'timestamp', 'boolean', None, None]
    """
    found = data_type(text, dialect)
    if found is None:
        return None
    name = found.this
    if name == T.BOOLEAN:
        return "boolean"
    if name in _SIGNED or name in _UNSIGNED or name in _HUGE or name in _DECIMAL or name in (T.FLOAT, T.DOUBLE):
        return "numeric"
    if name in _ZONED or name in _WALL or name in _DATE:
        return "timestamp"
    if name in _TEXT or name in _CATEGORY:
        return "categorical"
    return None


def has_zone(text: str, dialect: str) -> bool:
    """Whether values of the type are instants, not wall times (which are UTC here).

    >>> has_zone("TIMESTAMP WITH TIME ZONE", "duckdb"), has_zone("timestamp_ntz", "spark"), has_zone("timestamp", "spark")
    (True, False, True)
    """
    found = data_type(text, dialect)
    return found is not None and found.this in _ZONED


def arrow_type(text: str, dialect: str) -> pa.DataType | None:
    """The Arrow type whose values a column of that type takes; None when mlobs doesn't know how to write it."""
    import pyarrow as pa

    found = data_type(text, dialect)
    if found is None:
        return None
    name = found.this
    if name == T.BOOLEAN:
        return pa.bool_()
    if name in _SIGNED:
        return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[_SIGNED[name]]
    if name in _UNSIGNED:
        return {8: pa.uint8(), 16: pa.uint16(), 32: pa.uint32(), 64: pa.uint64()}[_UNSIGNED[name]]
    if name in _HUGE:
        return pa.decimal128(38, 0)
    if name in _DECIMAL:
        return _decimal(found)
    if name in (T.FLOAT, T.DOUBLE):
        return pa.float32() if name == T.FLOAT and dialect != "bigquery" else pa.float64()
    if name in _ZONED:
        return pa.timestamp("us", tz="UTC")
    if name in _WALL:
        return pa.timestamp("us", tz="UTC" if dialect == "clickhouse" else None)
    if name in _DATE:
        return pa.date32()
    if name in _TEXT or name in _CATEGORY:
        return pa.string()
    if name in _BYTES:
        return pa.binary()
    if name == T.ARRAY and len(found.expressions) == 1 and isinstance(found.expressions[0], exp.DataType):
        element = arrow_type(found.expressions[0].sql(dialect), dialect)
        return None if element is None else pa.list_(element)
    return None


def _decimal(found: exp.DataType) -> pa.DataType:
    import pyarrow as pa

    sizes = [int(p.this.name) for p in found.expressions if isinstance(p, exp.DataTypeParam) and p.this.name.isdigit()]
    if not sizes:
        return pa.decimal256(76, 38)
    precision, scale = sizes[0], sizes[1] if len(sizes) > 1 else 0
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(min(precision, 76), scale)


def column_type(found: pa.DataType) -> exp.DataType | None:
    """The type of a new column that holds values of that Arrow type without loss; None when there is none.

    >>> import pyarrow as pa
    >>> [column_type(t).sql("duckdb") for t in (pa.int32(), pa.string(), pa.timestamp("ns", "UTC"), pa.null())]
    ['BIGINT', 'TEXT', 'TIMESTAMPTZ', 'TEXT']
    """
    import pyarrow.types as is_

    if is_.is_dictionary(found):
        return column_type(found.value_type)
    if is_.is_boolean(found):
        return exp.DataType.build("boolean")
    if is_.is_uint64(found):
        return exp.DataType.build("decimal(20, 0)")
    if is_.is_integer(found):
        return exp.DataType.build("bigint")
    if is_.is_floating(found):
        return exp.DataType.build("double")
    if is_.is_decimal(found):
        return exp.DataType.build(f"decimal({found.precision}, {found.scale})")
    if is_.is_timestamp(found):
        return exp.DataType.build("timestamptz" if found.tz is not None else "timestampntz")
    if is_.is_date(found):
        return exp.DataType.build("date")
    if is_.is_string(found) or is_.is_large_string(found) or is_.is_string_view(found) or is_.is_null(found):
        return exp.DataType.build("text")
    if (
        is_.is_binary(found)
        or is_.is_large_binary(found)
        or is_.is_fixed_size_binary(found)
        or is_.is_binary_view(found)
    ):
        return exp.DataType.build("varbinary")
    if is_.is_list(found) or is_.is_large_list(found) or is_.is_fixed_size_list(found):
        element = column_type(found.value_type)
        return None if element is None else exp.DataType(this=T.ARRAY, expressions=[element], nested=True)
    return None
