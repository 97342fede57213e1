"""How an engine is had: by URL, from a Spark session, or from data in hand. Imports of drivers happen here, when asked."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from mlobs.engines.delivery import check_names
from mlobs.engines.protocol import Engine, Source
from mlobs.errors import DataError, WarehouseError
from mlobs.spec import Table

if TYPE_CHECKING:
    from mlobs.engines.embedded import DuckDBMemory

NARROW = 32
"""Frames of at most so many columns are always read in place."""

COPIED = 1 << 28
"""Most cells of a frame that is copied: 2 GB of numbers."""

_PARQUET = (".parquet", ".pq", ".parq")
_CSV = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".txt")


def connect(url: str, *, wait: float = 60.0) -> Engine:
    """Open a warehouse.

    Args:
        url: `duckdb:///path/file.duckdb` (made by the first landing), `duckdb:///:memory:`, or a SQLAlchemy URL such as
            `postgresql+psycopg://user@host/db`, `snowflake://...`, `bigquery://...`, `databricks://...`, `trino://...`,
            `clickhouse://...`.
        wait: seconds to wait for a DuckDB file that another process holds.

    Raises:
        WarehouseError: the URL can't be read, its dialect is unknown, or its driver is not installed.

    >>> connect("duckdb:///:memory:").dialect
    'duckdb'
    """
    if not isinstance(url, str) or "://" not in url:
        raise WarehouseError(f"{url!r} is no warehouse URL: give one such as 'duckdb:///data/warehouse.duckdb'")
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] == "duckdb":
        from mlobs.engines.embedded import DuckDBFile, DuckDBMemory

        path = rest.removeprefix("/").partition("?")[0]
        if path in ("", ":memory:"):
            return DuckDBMemory()
        return DuckDBFile(path, wait)
    from mlobs.engines.server import server_engine

    return server_engine(url)


def spark_engine(session: Any) -> Engine:
    """The engine of a Spark session; tables, views and catalogs of the session can be read."""
    from mlobs.engines.session import SparkSessionEngine

    return SparkSessionEngine(session)


def open_data(data: Any) -> tuple[Engine, Source]:
    """An engine and a source for data in hand, read in place; only of CSV files and wide frames a table is made first, in memory.

    Args:
        data: a pandas, polars or pyarrow table, a Parquet or CSV path or glob (or several paths), a DuckDB relation, a
            Spark frame, or a pair (engine, `mlobs.Table` or the text of a SELECT in the engine's dialect).

    Raises:
        DataError: no file matches, a CSV file can't be read, or the data is of a form that can't be read.
        WarehouseError: a text beside an engine isn't exactly one SELECT.

    >>> import pandas as pd
    >>> engine, source = open_data(pd.DataFrame({"delay": [1.5, None]}))
    >>> engine.columns(source)
    {'delay': 'DOUBLE'}
    """
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Engine):
        return data[0], _source_of(data[1], data[0].dialect)
    if isinstance(data, (str, Path)):
        return _files([str(data)])
    if isinstance(data, (list, tuple)) and data and all(isinstance(d, (str, Path)) for d in data):
        return _files([str(d) for d in data])
    module = type(data).__module__.split(".")[0]
    if module in ("duckdb", "_duckdb") and hasattr(data, "query") and hasattr(data, "types"):
        from mlobs.engines.embedded import DuckDBRelation

        return DuckDBRelation(data), Source(exp.to_table("relation"), "the DuckDB relation")
    if module == "pyspark":
        from mlobs.engines.session import SparkSessionEngine

        return SparkSessionEngine(data.sparkSession).frame(data)
    return _frame(data, module)


def _source_of(what: Any, dialect: str) -> Source:
    if isinstance(what, Source):
        return what
    if isinstance(what, Table):
        return Source.table(what.path)
    if isinstance(what, str):
        return Source.query(what, dialect)
    raise DataError(f"{what!r} is nothing to read: beside an engine give a mlobs.Table or the text of a SELECT")


def _memory(label: str) -> DuckDBMemory:
    from mlobs.engines.embedded import DuckDBMemory

    return DuckDBMemory(label)


def _frame(data: Any, module: str) -> tuple[Engine, Source]:
    label = f"the {module} {type(data).__name__}"
    if module == "polars" and hasattr(data, "collect"):
        data = data.collect()
    if module == "pyarrow" and type(data).__name__ == "RecordBatchReader":
        data = data.read_all()
    if module not in ("pandas", "polars", "pyarrow") or not (hasattr(data, "columns") or hasattr(data, "schema")):
        raise DataError(
            f"{type(data).__name__} can't be read: give a pandas, polars or pyarrow table, a Parquet or CSV path,"
            " a DuckDB relation, or (engine, mlobs.Table)"
        )
    names = list(data.schema.names) if module == "pyarrow" else list(data.columns)
    check_names(names, label)
    if not names:
        raise DataError(f"{label} has no columns: there is nothing to read")
    engine = _memory(label)
    engine.register("frame", data)
    source = exp.to_table("frame")
    if hasattr(data, "__len__") and cheaper_copied(len(data), len(names)):  # an Arrow dataset may be of any size
        try:
            engine.load("copied", source.copy())
        except DataError:
            # a column that can't be read spoils the copy; in place it says so itself, when it is asked for
            return engine, Source(source, label)
        source = exp.to_table("copied")
    return engine, Source(source, label)


def cheaper_copied(rows: int, columns: int) -> bool:
    """Whether a table made of a frame, at 25 ns a cell, costs less than the frame in place: each field's branch of a query looks
    at all columns again, which takes 60 (Arrow) to 200 (pandas) us a column."""
    return columns > NARROW and rows <= 5_000 * columns and rows * columns <= COPIED


def _files(paths: list[str]) -> tuple[Engine, Source]:
    found = [_expanded(path) for path in paths]
    label = f"{paths[0]!r}" if len(paths) == 1 else f"{paths[0]!r} and {len(paths) - 1} more files"
    kinds = {_kind(path) for path in found}
    if len(kinds) > 1:
        raise DataError(f"{label}: Parquet and CSV files can't be read as one table; give one kind")
    literals = [exp.Literal.string(path) for path in found]
    what = exp.Array(expressions=literals) if len(literals) > 1 else literals[0]
    if kinds == {"parquet"}:
        return _memory(label), Source(exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[what])), label)
    whole = exp.EQ(this=exp.column("sample_size"), expression=exp.Neg(this=exp.Literal.number(1)))
    engine = _memory(label)
    engine.load("csv", exp.Table(this=exp.Anonymous(this="read_csv", expressions=[what, whole])))
    return engine, Source(exp.to_table("csv"), label)


def _expanded(path: str) -> str:
    """The path as DuckDB's glob should read it: a folder as all Parquet files in it, a file that exists literally."""
    if "://" in path:
        return path
    local = Path(path)
    if local.is_dir():
        if not any(local.rglob("*.parquet")):
            raise DataError(f"{path!r} is a folder without Parquet files; give the path of a file or a glob")
        return f"{glob.escape(path)}/**/*.parquet"
    if local.is_file():
        return glob.escape(path)
    if not glob.glob(path, recursive=True):
        raise DataError(f"no file matches {path!r} (in {str(Path.cwd())!r}); correct the path")
    return path


def _kind(path: str) -> str:
    name = path.lower()
    if name.endswith(_CSV):
        return "csv"
    if name.endswith(_PARQUET) or Path(path).suffix in ("", ".*"):
        return "parquet"
    raise DataError(f"{path!r} is neither a Parquet nor a CSV file: its name should end in .parquet or .csv")
