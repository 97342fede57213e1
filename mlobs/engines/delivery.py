"""A delivered frame as an Arrow table whose form was checked against the declaration. Pure; no database.

Arrow tells NaN and null apart. In a pandas frame NaN is a missing value, as everywhere in pandas, and becomes null;
deliver an Arrow or polars table to land NaN itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlobs.errors import DataError, nearest
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Delivery:
    """Rows to land, each column in a plain Arrow type; newest time (UTC) and rows outside the window."""

    rows: pa.Table
    newest: datetime | None
    outside: int

    @classmethod
    def read(cls, table: Table, window: Window, frame: Any) -> Delivery:
        """Check and convert a pandas, polars or pyarrow frame.

        Raises:
            DataError: key or time are missing, a name is no text or given twice, a column can't be converted.
        """
        import pyarrow.types as is_

        where = f"table {table.id!r}, window {window}"
        secret = table.sensitive
        rows = plain(arrow_table(frame, where, (*table.keys, table.time), secret), where)
        for name in (*table.keys, table.time):
            if name not in rows.column_names:
                if rows.num_rows == 0 and rows.num_columns == 0:
                    break
                raise DataError(
                    f"{where}: the delivery has no column {name!r}, which is the table's"
                    f" {'time' if name == table.time else 'key'}; {nearest(name, rows.column_names)}"
                )
        if table.time not in rows.column_names:
            return cls(rows, None, 0)
        at = rows.column_names.index(table.time)
        if is_.is_string(rows.column(at).type):
            rows = rows.set_column(at, table.time, as_times(rows.column(at), f"{where}: column {table.time!r}"))
        newest, outside = _times(rows.column(at), table, window, where)
        return cls(rows, newest, outside)


def arrow_table(
    frame: Any, where: str, needed: tuple[str, ...] = (), secret: Collection[str] = frozenset()
) -> pa.Table:
    """The frame as an Arrow table; an index level that is `needed` becomes a column.

    Values of `secret` columns are in no message.

    Raises:
        DataError: the frame is none, or a column's values are of several types (named, with a sample).
    """
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        table = frame
    elif isinstance(frame, pa.RecordBatchReader):
        table = frame.read_all()
    elif isinstance(frame, pa.RecordBatch):
        table = pa.Table.from_batches([frame])
    elif hasattr(frame, "collect") and hasattr(frame, "lazy"):
        table = frame.collect().to_arrow()
    elif hasattr(frame, "to_arrow") and hasattr(frame, "columns"):
        table = frame.to_arrow()
    elif hasattr(frame, "iloc") and hasattr(frame, "columns"):
        table = _from_pandas(frame, where, needed, secret)
    else:
        raise DataError(f"{where}: a {type(frame).__name__} was delivered; give a pandas, polars or pyarrow table")
    check_names(table.column_names, where)
    return table


def from_series(values: pd.Series[Any]) -> pa.Array:
    """A pandas column as Arrow, NaN as null.

    Raises:
        pa.ArrowException: the values are of several types.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return pc.assume_timezone(pa.Array.from_pandas(values.dt.tz_convert(None)), "UTC")
    return pa.Array.from_pandas(values)


def check_names(names: list[Any], where: str) -> None:
    """Refuse column names that are no text, empty, hold a null character, or differ only by case.

    Raises:
        DataError: names the column.
    """
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{where}: column name {name!r} is no text; rename it")
        if not name or "\x00" in name:
            raise DataError(f"{where}: column name {name!r} is empty or holds a null character; rename it")
        folded = name.casefold()
        if folded in seen:
            raise DataError(f"{where}: columns {seen[folded]!r} and {name!r} are the same to a warehouse; rename one")
        seen[folded] = name


def _from_pandas(frame: pd.DataFrame, where: str, needed: tuple[str, ...], secret: Collection[str]) -> pa.Table:
    import pyarrow as pa

    check_names(list(frame.columns), where)
    missing = [n for n in needed if n not in frame.columns and n in frame.index.names]
    if missing:
        frame = frame.reset_index(level=missing)
    columns = {}
    for name in frame.columns:
        try:
            columns[name] = from_series(frame[name])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeError, OverflowError) as error:
            kinds = frame[name].dropna().map(lambda v: type(v).__name__)
            if name in secret:
                held = ", ".join(kinds.unique()[:3])
                raise DataError(f"{where}: column {name!r} can't be read: it holds values of types {held}") from None
            samples = ", ".join(f"{frame[name].dropna()[kinds == k].iloc[0]!r} ({k})" for k in list(kinds.unique())[:3])
            reason = str(error).splitlines()[0]
            raise DataError(f"{where}: column {name!r} can't be read: {reason}; it holds {samples}") from error
    return pa.table(columns)


def plain(rows: pa.Table, where: str) -> pa.Table:
    """Dictionaries decoded, strings and binaries in one layout, times in microseconds (finer digits are dropped), zones UTC.

    Raises:
        DataError: a time lies outside what microseconds can hold, or a length of time was delivered.
    """
    import pyarrow as pa
    import pyarrow.types as is_

    columns = []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        target = column.type
        if is_.is_dictionary(target):
            column = column.cast(target.value_type)
            target = column.type
        if is_.is_large_string(target) or is_.is_string_view(target):
            target = pa.string()
        elif is_.is_large_binary(target) or is_.is_binary_view(target) or is_.is_fixed_size_binary(target):
            target = pa.binary()
        elif is_.is_float16(target):
            target = pa.float32()
        elif is_.is_date(target):
            target = pa.date32()
        elif is_.is_timestamp(target):
            target = pa.timestamp("us", tz=None if target.tz is None else "UTC")
        elif is_.is_duration(target) or is_.is_interval(target):
            raise DataError(
                f"{where}: column {name!r} holds lengths of time ({target}); deliver them as a number of seconds"
            )
        try:
            columns.append(column if column.type == target else _recast(column, target))
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{where}: column {name!r} can't be read as {target}: {str(error).splitlines()[0]}"
            ) from error
    return pa.table(columns, names=rows.column_names)


def _recast(column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    import pyarrow.compute as pc
    import pyarrow.types as is_

    if is_.is_timestamp(target):
        return column.cast(options=pc.CastOptions(target_type=target, allow_time_truncate=True))
    return column.cast(target)


def _times(column: pa.ChunkedArray, table: Table, window: Window, where: str) -> tuple[datetime | None, int]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as is_

    if is_.is_null(column.type):
        return None, len(column)
    if not (is_.is_timestamp(column.type) or is_.is_date(column.type)):
        raise DataError(f"{where}: the time column {table.time!r} holds {column.type}, no timestamps")
    moments = column.cast(pa.timestamp("us")) if is_.is_date(column.type) else column
    if moments.type.tz is None:
        moments = pc.assume_timezone(moments, "UTC")
    start, end = (pa.scalar(m, type=moments.type) for m in (window.start, window.end))
    inside = pc.sum(pc.and_(pc.greater_equal(moments, start), pc.less(moments, end))).as_py() or 0
    newest = pc.max(moments.cast(pa.int64())).as_py()
    return (None if newest is None else _instant(newest)), len(column) - inside


def _instant(micros: int) -> datetime | None:
    from datetime import timedelta

    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def as_times(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """Texts such as '2013-04-01 05:00' as instants, UTC where they name no zone.

    Raises:
        DataError: a text is no time, with a sample.
    """
    import pandas as pd
    import pyarrow as pa

    texts = column.to_pandas()
    read = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    wrong = texts[read.isna() & texts.notna()]
    if len(wrong):
        raise DataError(f"{where}: {wrong.iloc[0]!r} is no time; deliver timestamps or ISO 8601 texts")
    return pa.chunked_array([from_series(read).cast(pa.timestamp("us", tz="UTC"), safe=False)])
