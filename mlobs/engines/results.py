"""What a query returned, in the few types that every engine agrees on; Arrow in, Arrow or pandas out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def settled(found: pa.Table) -> pa.Table:
    """Whole numbers as int64, other numbers as double, texts as string, times in microseconds, zones UTC.

    >>> import pyarrow as pa
    >>> from decimal import Decimal
    >>> settled(pa.table({"n": [Decimal(3)], "x": [Decimal("1.5")]})).to_pylist()
    [{'n': 3, 'x': 1.5}]
    """
    import pyarrow as pa

    columns = [_settled(column) for column in found.columns]
    return pa.table(columns, names=found.column_names)


def _settled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.types as is_

    kind = column.type
    if is_.is_dictionary(kind):
        return _settled(column.cast(kind.value_type))
    if is_.is_decimal(kind):
        if kind.scale == 0:
            try:
                return column.cast(pa.int64())
            except pa.ArrowInvalid:
                return column.cast(pa.float64())
        return column.cast(pa.float64())
    if is_.is_uint64(kind):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            return column.cast(pa.float64(), safe=False)
    if is_.is_integer(kind):
        return column if is_.is_int64(kind) else column.cast(pa.int64())
    if is_.is_floating(kind):
        return column if is_.is_float64(kind) else column.cast(pa.float64())
    if is_.is_large_string(kind) or is_.is_string_view(kind):
        return column.cast(pa.string())
    if is_.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz=None if kind.tz is None else "UTC"), safe=False)
    return column


def from_rows(names: list[str], rows: list[tuple[Any, ...]], types: Sequence[pa.DataType | None]) -> pa.Table:
    """Rows of plain Python values, as a driver hands them over, as an Arrow table in settled types.

    `types` say what a column without any value is; a column with values is what they are.
    """
    import decimal
    import uuid

    import pyarrow as pa

    columns = []
    for i in range(len(names)):
        values = [row[i] for row in rows]
        kinds = {type(v) for v in values if v is not None}
        if not kinds:
            columns.append(pa.nulls(len(values), types[i] if types[i] is not None else pa.string()))
        elif decimal.Decimal in kinds:
            columns.append(_from_decimals(values))
        elif kinds and kinds <= {int} and any(v is not None and not -(2**63) <= v < 2**63 for v in values):
            columns.append(pa.array([None if v is None else float(v) for v in values], type=pa.float64()))
        elif uuid.UUID in kinds:
            columns.append(pa.array([None if v is None else str(v) for v in values], type=pa.string()))
        else:
            columns.append(_plain_array(values))
    return settled(pa.table(columns, names=names))


def _plain_array(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array([None if v is None else str(v) for v in values], type=pa.string())


def _from_decimals(values: list[Any]) -> pa.Array:
    import pyarrow as pa

    whole = all(v is None or (v == v and abs(v) < 2**63 and v == int(v)) for v in values)
    if whole and all(v is None or not hasattr(v, "as_tuple") or v.as_tuple().exponent == 0 for v in values):
        return pa.array([None if v is None else int(v) for v in values], type=pa.int64())
    return pa.array([None if v is None else float(v) for v in values], type=pa.float64())


def as_frame(found: pa.Table) -> pd.DataFrame:
    """A settled table as a pandas frame: missing numbers are NaN, missing times NaT."""
    frame: pd.DataFrame = found.to_pandas(date_as_object=False)
    return frame
