"""DuckDB: a file, memory, frames and files of others read in place. The only file of mlobs that opens DuckDB connections.

A warehouse file is opened for the length of one piece of work and closed again, since one process can hold it for
writing at a time; whoever finds it locked waits and tries again. What lives in memory keeps its one connection.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
import uuid
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from mlobs.engines.delivery import Delivery
from mlobs.engines.landing import land_rows
from mlobs.engines.protocol import Landing, Source, table_node
from mlobs.engines.results import settled
from mlobs.engines.warehouse import RefusedError, Warehouse, refused
from mlobs.errors import DataError, WarehouseError, WarehouseLocked
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

STAGED = "mlobs_staged"

Connection = duckdb.DuckDBPyConnection

_WRITERS: dict[str, threading.RLock] = {}
_WRITERS_GUARD = threading.Lock()


class DuckDB(Warehouse):
    """DuckDB behind some connection; how one is had is the subclass's business."""

    def __init__(self, label: str) -> None:
        super().__init__("duckdb", label)

    @abstractmethod
    def _connection(self, *, write: bool = False) -> Any:
        """A context manager that yields a connection."""

    def columns(self, source: Source) -> dict[str, str]:
        self._open()
        query = exp.select(exp.Star()).from_(source.expression.copy())
        try:
            with self._connection() as connection, _speaking():
                return _described(connection, self.sql(query))
        except RefusedError as error:
            raise WarehouseError(self._explained(error, query)) from error.cause

    def _rows(self, text: str) -> pa.Table:
        self._open()
        with self._connection() as connection, _speaking():
            relation = connection.sql(text)
            if relation is None:
                raise refused("this is no query: nothing comes back")
            return settled(relation.to_arrow_table())

    def _tables(self, schema: str | None) -> list[tuple[str, ...]]:
        names = [exp.column("table_schema"), exp.column("table_name")]
        rows = self._rows(self.sql(exp.select(*names).from_("information_schema.tables"))).to_pylist()
        if schema is not None:
            return [(row["table_schema"], row["table_name"]) for row in rows]
        return [(row["table_name"],) for row in rows]

    def _found(self, path: Sequence[str]) -> bool:
        self._open()
        with self._connection() as connection:
            return _has(connection, path)

    def land(self, table: Table, window: Window, frame: Any) -> Landing:
        self._open()
        delivery = Delivery.read(table, window, frame)
        try:
            with self._connection(write=True) as connection, _speaking():
                connection.execute("BEGIN TRANSACTION")
                try:
                    done = land_rows(_Hands(self, connection), self.forms, table, window, delivery)
                    connection.execute("COMMIT")
                except BaseException:
                    _roll_back(connection)
                    raise
                finally:
                    connection.unregister(STAGED)
                return done
        except RefusedError as error:
            if error.misfit:
                raise DataError(
                    f"table {table.id!r}, window {window}: {error.words}. Nothing was changed"
                ) from error.cause
            raise WarehouseError(f"{self.label}: table {table.id!r}, window {window}: {error.words}") from error.cause


class _Hands:
    """One connection with an open transaction, lent to a landing."""

    def __init__(self, engine: DuckDB, connection: Connection) -> None:
        self._engine, self._connection = engine, connection

    def has(self, path: Sequence[str]) -> bool:
        return _has(self._connection, path)

    def describe(self, query: exp.Expression) -> dict[str, str]:
        return _described(self._connection, self._engine.sql(query))

    def do(self, statement: exp.Expression) -> None:
        self._connection.execute(self._engine.sql(statement))

    def count(self, query: exp.Expression) -> int | None:
        try:
            return int(self._connection.execute(self._engine.sql(query)).fetchall()[0][0])
        except duckdb.ConversionException:
            return None

    def stage(self, table: Table, rows: pa.Table) -> exp.Expression:
        self._connection.register(STAGED, rows)
        return table_node((STAGED,))


class DuckDBFile(DuckDB):
    """A warehouse file. Readers of several processes share it; one process at a time writes.

    Args:
        path: the file; it is made by the first landing.
        wait: seconds to wait for a file that another process holds, before `WarehouseLocked`.
    """

    def __init__(self, path: str | Path, wait: float = 60.0) -> None:
        self.path = Path(path)
        self.wait = wait
        self._kept = threading.local()
        super().__init__(f"warehouse {str(path)!r}")

    @contextmanager
    def session(self) -> Iterator[None]:
        if getattr(self._kept, "connection", None) is not None:
            yield
            return
        with self._connection(write=self._may_be_written()) as connection:
            self._kept.connection = connection
            try:
                yield
            finally:
                self._kept.connection = None

    def _may_be_written(self) -> bool:
        """Whether this process may write the file, or make it; where it may not, a session reads."""
        return os.access(self.path.parent, os.W_OK) and (not self.path.exists() or os.access(self.path, os.W_OK))

    def exists(self, table: Table) -> bool:
        self._open()
        return self.path.exists() and super().exists(table)

    def close(self) -> None:
        self._closed = True

    @contextmanager
    def _connection(self, *, write: bool = False) -> Iterator[Connection]:
        kept = getattr(self._kept, "connection", None)
        if kept is not None:
            yield kept
            return
        if write:
            with self._turn_to_write():
                connection = self._waited(lambda: duckdb.connect(str(self.path)))
                with connection:
                    yield _set_up(connection)
            return
        if not self.path.exists():
            raise WarehouseError(f"{self.label} does not exist yet: land a table first, or correct the path")
        with self._waited(self._reader) as connection:
            yield _set_up(connection)

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Writers of one file within this process take turns."""
        with _WRITERS_GUARD:
            lock = _WRITERS.setdefault(str(self.path.absolute()), threading.RLock())
        if not lock.acquire(timeout=self.wait):
            raise WarehouseLocked(
                f"{self.label} is being written by another thread of this process, and was not free within {self.wait:g} s;"
                " end its session, or wait longer"
            )
        try:
            yield
        finally:
            lock.release()

    def _reader(self) -> Connection:
        try:
            return duckdb.connect(str(self.path), read_only=True)
        except duckdb.ConnectionException:
            # This very process holds it for writing, and shares what it holds.
            return duckdb.connect(str(self.path))

    def _waited(self, connect: Callable[[], Connection]) -> Connection:
        deadline, pause = time.monotonic() + self.wait, 0.01
        while True:
            try:
                return connect()
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if not _is_lock(error):
                    raise WarehouseError(f"{self.label} can't be opened: {_first(error)}{self._mend()}") from error
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WarehouseLocked(
                        f"{self.label} is held by another process and was not free within {self.wait:g} s ({_first(error)});"
                        " close what holds it (a notebook, a database browser), or wait longer"
                    ) from error
                time.sleep(min(left, pause * random.uniform(0.5, 1.5)))
                pause = min(pause * 1.6, 0.25)
            except duckdb.Error as error:
                raise WarehouseError(f"{self.label} can't be opened: {_first(error)}{self._mend()}") from error

    def _mend(self) -> str:
        if not self.path.parent.exists():
            return f"; make the folder {str(self.path.parent)!r} first"
        return "; check the path and that you may write there"


class DuckDBMemory(DuckDB):
    """DuckDB in memory, and frames and files that it reads in place or makes a table of. Calls from several threads take turns.

    What doesn't fit its memory limit goes to a folder of its own among the system's temporary files, which it removes.
    """

    def __init__(self, label: str = "the in-memory warehouse") -> None:
        super().__init__(label)
        beyond = Path(tempfile.gettempdir()) / f"mlobs-{uuid.uuid4().hex}"
        self._held = _set_up(duckdb.connect(":memory:", config={"temp_directory": str(beyond)}))
        # else each field's branch of a query reads the metadata of all columns again
        self._held.execute("SET parquet_metadata_cache = true")
        self._turn = threading.RLock()

    def close(self) -> None:
        self._closed = True
        self._held.close()

    def register(self, name: str, data: Any) -> None:
        """Make a frame readable under `name`, in place."""
        with self._turn:
            self._held.register(name, data)

    def load(self, name: str, scan: exp.Table) -> None:
        """Make a table `name` of a scan that is too dear to be done for each field anew.

        Raises:
            DataError: the scan fails, with the engine's words.
        """
        table = exp.Create(this=exp.to_table(name), kind="TABLE", expression=exp.select("*").from_(scan))
        try:
            with self._connection() as connection, _speaking():
                connection.execute(self.sql(table))
        except RefusedError as error:
            raise DataError(f"{self.label} can't be read: {_about_file(str(error.cause))}") from error.cause

    @contextmanager
    def _connection(self, *, write: bool = False) -> Iterator[Connection]:
        with self._turn:
            yield self._held


class DuckDBRelation(DuckDB):
    """A relation of the user's own connection, read in place under the name `relation`."""

    def __init__(self, relation: Any) -> None:
        super().__init__("the DuckDB relation")
        self._relation = relation
        self._turn = threading.RLock()

    def close(self) -> None:
        self._closed = True

    def land(self, table: Table, window: Window, frame: Any) -> Landing:
        raise WarehouseError(
            "a DuckDB relation can only be read: land into a warehouse that mlobs.engines.connect opens"
        )

    def _tables(self, schema: str | None) -> list[tuple[str, ...]]:
        return [("relation",)]

    def _found(self, path: Sequence[str]) -> bool:
        return tuple(path) == ("relation",)

    @contextmanager
    def _connection(self, *, write: bool = False) -> Iterator[Any]:
        with self._turn:
            yield _Through(self._relation)


class _Through:
    """The part of a connection that a relation offers."""

    def __init__(self, relation: Any) -> None:
        self._relation = relation

    def sql(self, text: str) -> Any:
        return self._relation.query("relation", text)


def _set_up(connection: Connection) -> Connection:
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    return connection


@contextmanager
def _speaking() -> Iterator[None]:
    """DuckDB's errors as refusals in one line; its conversion errors while landing as `DataError`."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise refused("the query was cancelled", error) from error
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise refused(str(error), error, unknown=True) from error
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise refused(f"a value can't be converted: {_first(error)}", error, misfit=True) from error
    except duckdb.OutOfMemoryException as error:
        raise refused(f"out of memory: {_first(error)}", error) from error
    except duckdb.Error as error:
        raise refused(str(error), error) from error


def _roll_back(connection: Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        # The connection is beyond use: the transaction died with it, and nothing was changed.
        return


def _described(connection: Connection, text: str) -> dict[str, str]:
    relation = connection.sql(text)
    return dict(zip(relation.columns, (str(t) for t in relation.types), strict=True))


def _has(connection: Connection, path: Sequence[str]) -> bool:
    schema, name = (path[-2], path[-1]) if len(path) > 1 else (None, path[-1])
    rows = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE lower(table_name) = lower($name)"
        " AND ($schema IS NULL AND table_schema IN (current_schema(), 'main', 'temp') OR lower(table_schema) = lower($schema))",
        {"name": name, "schema": schema},
    ).fetchall()
    return bool(rows[0][0])


def _is_lock(error: Exception) -> bool:
    text = str(error)
    return "Could not set lock" in text or "different configuration" in text


def _about_file(words: str) -> str:
    """Where in a file DuckDB failed, and why; without the line itself, which may hold anything."""
    lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith("Original Line")]
    return "; ".join(line.rstrip(".") for line in lines[:2])


def _first(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
