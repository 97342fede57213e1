"""Warehouses behind a SQLAlchemy URL: Postgres, and Snowflake, BigQuery, Databricks, Trino, ClickHouse. SQLAlchemy lives here.

Text that runs is made by sqlglot as everywhere; SQLAlchemy gives the URL, the pool, the drivers and their errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy import exc as failures
from sqlglot import exp

from mlobs.addresses import shown, sign_in_password, without_secrets
from mlobs.engines import statements
from mlobs.engines.column_types import arrow_type
from mlobs.engines.delivery import Delivery
from mlobs.engines.landing import land_rows
from mlobs.engines.merging import merge_rows
from mlobs.engines.protocol import Landing, Source, table_node
from mlobs.engines.results import from_rows
from mlobs.engines.warehouse import RefusedError, Warehouse, refused
from mlobs.errors import DataError, WarehouseError, nearest
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy.engine import Connection, CursorResult

STAGED = "mlobs_staged"

_DIALECTS = {
    "postgresql": "postgres",
    "snowflake": "snowflake",
    "bigquery": "bigquery",
    "databricks": "databricks",
    "trino": "trino",
    "clickhouse": "clickhouse",
    "clickhousedb": "clickhouse",
}

_PACKAGES = {
    "postgres": "mlobs[postgres]",
    "snowflake": "snowflake-sqlalchemy",
    "bigquery": "sqlalchemy-bigquery",
    "databricks": "databricks-sqlalchemy",
    "trino": "trino[sqlalchemy]",
    "clickhouse": "clickhouse-connect",
}

_IN_UTC = {
    "postgres": "SET TIME ZONE 'UTC'",
    "snowflake": "ALTER SESSION SET TIMEZONE = 'UTC'",
    "databricks": "SET TIME ZONE 'UTC'",
    "trino": "SET TIME ZONE 'UTC'",
}

_TRANSACTIONS = ("postgres", "snowflake")
_MERGES = ("bigquery", "databricks")

_SNOWFLAKE_TYPES = (
    "NUMBER", "FLOAT", "TEXT", "DATE", "TIMESTAMP_NTZ", "VARIANT", "TIMESTAMP_LTZ", "TIMESTAMP_TZ", "TIMESTAMP_NTZ",
    "OBJECT", "ARRAY", "BINARY", "TIME", "BOOLEAN",
)  # fmt: skip
"""Snowflake's type codes in a result's description, by position."""

_LONGEST_NAME = 63
"""Bytes of a Postgres identifier; it cuts longer ones off in silence."""


def server_engine(url: str) -> ServerWarehouse:
    """The engine of a SQLAlchemy URL; nothing is connected yet.

    Raises:
        WarehouseError: the URL can't be read, the dialect is unknown, or the driver is missing.
    """
    if sign_in_password(url):
        raise WarehouseError(f"warehouse {shown(url)!r}: its password holds an @; write it as %40")
    place = f"warehouse {shown(url)!r}"
    try:
        parsed = sqlalchemy.make_url(url)
    except (failures.ArgumentError, ValueError) as error:
        raise WarehouseError("the warehouse URL can't be read: give dialect+driver://user@host/database") from error
    name = parsed.get_backend_name()
    if name not in _DIALECTS:
        raise WarehouseError(f"no warehouse dialect {name!r}; {nearest(name, ['duckdb', *_DIALECTS])}")
    dialect = _DIALECTS[name]
    if dialect == "postgres" and "+" not in parsed.drivername:
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        engine = sqlalchemy.create_engine(parsed, pool_pre_ping=True, pool_size=2, max_overflow=8)
    except (failures.NoSuchModuleError, ImportError) as error:
        raise WarehouseError(f"{name}: its driver is not installed; pip install '{_PACKAGES[dialect]}'") from error
    except (failures.ArgumentError, TypeError) as error:
        said = without_secrets(_first(error), url)
        raise WarehouseError(f"{place}: the URL can't be used: {said}") from error
    return ServerWarehouse(engine, dialect, place)


class ServerWarehouse(Warehouse):
    """A warehouse behind a SQLAlchemy engine, whose sessions are set to UTC.

    Landing is one transaction in Postgres (landings of one table take turns, by an advisory lock) and Snowflake (new
    columns are added before it), one MERGE in BigQuery and Databricks; Trino and ClickHouse have neither, and are read
    only.
    """

    def __init__(self, engine: sqlalchemy.Engine, dialect: str, label: str) -> None:
        super().__init__(dialect, label)
        self._engine = engine
        if dialect in _IN_UTC:
            event.listen(engine, "connect", self._in_utc)

    def _in_utc(self, connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(_IN_UTC[self.dialect])
        cursor.close()
        connection.commit()

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        self._open()
        with self._speaking(), self._engine.connect() as connection:
            yield connection.execution_options(no_parameters=True)

    def columns(self, source: Source) -> dict[str, str]:
        query = source.select()
        try:
            with self._connection() as connection:
                return _Hands(self, connection).describe(query)
        except RefusedError as error:
            raise WarehouseError(self._explained(error, query)) from error.cause

    def _rows(self, text: str) -> pa.Table:
        with self._connection() as connection:
            if self.dialect == "postgres":
                connection = connection.execution_options(postgresql_readonly=True)
            result = connection.exec_driver_sql(text)
            if not result.returns_rows:
                raise refused("this is no query: nothing comes back")
            types = self._types(connection, result)
            names = list(result.keys())
            rows = [tuple(row) for row in result.fetchall()]
            return from_rows(names, rows, [arrow_type(types[i], self.dialect) for i in range(len(names))])

    def _types(self, connection: Connection, result: CursorResult[Any]) -> list[str]:
        """The column types of an open result, as the engine prints them."""
        cursor: Any = result.cursor
        if cursor is None or cursor.description is None:
            return []
        codes = [
            (column[1], column[4] if len(column) > 4 else None, column[5] if len(column) > 5 else None)
            for column in cursor.description
        ]
        if self.dialect == "postgres":
            modifiers = [-1] * len(codes)
            if hasattr(cursor, "pgresult"):
                modifiers = [cursor.pgresult.fmod(i) for i in range(len(codes))]
            return self._printed_types(connection, [int(code) for code, _, _ in codes], modifiers)
        if self.dialect == "snowflake":
            return [_snowflake_type(*code) for code in codes]
        return [str(code) for code, _, _ in codes]

    def _printed_types(self, connection: Connection, oids: Sequence[int], modifiers: Sequence[int]) -> list[str]:
        pairs = sorted(set(zip(oids, modifiers, strict=True)))
        chosen = [
            exp.alias_(exp.Anonymous(this="format_type", expressions=[_number(oid), _number(modifier)]), f"t{i}")
            for i, (oid, modifier) in enumerate(pairs)
        ]
        texts = connection.exec_driver_sql(self.sql(exp.select(*chosen))).one()
        known = dict(zip(pairs, texts, strict=True))
        return [known[pair] for pair in zip(oids, modifiers, strict=True)]

    def _tables(self, schema: str | None) -> list[tuple[str, ...]]:
        with self._connection() as connection:
            inspector = sqlalchemy.inspect(connection)
            names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        return [(schema, name) if schema else (name,) for name in names]

    def _found(self, path: Sequence[str]) -> bool:
        with self._connection() as connection:
            return _Hands(self, connection).has(path)

    def land(self, table: Table, window: Window, frame: Any) -> Landing:
        self._open()
        where = f"table {table.id!r}, window {window}"
        delivery = Delivery.read(table, window, frame)
        if self.dialect not in (*_TRANSACTIONS, *_MERGES):
            raise WarehouseError(
                f"{self.label}: {where}: {self.dialect} can't replace a window's rows all or nothing, so mlobs only reads"
                " there; fill the table with your own pipeline, or keep it in another warehouse"
            )
        self._check(table, delivery, where)
        try:
            with self._connection() as connection, connection.begin():
                hands = _Hands(self, connection)
                if self.dialect in _MERGES:
                    return merge_rows(hands, self.forms, table, window, delivery)
                if self.dialect == "postgres":
                    hands.take_turn(table)
                done = land_rows(hands, self.forms, table, window, delivery)
                hands.clear()
                return done
        except RefusedError as error:
            if error.misfit:
                raise DataError(f"{self.label}: {where}: {error.words}. Nothing was changed") from error.cause
            raise WarehouseError(f"{self.label}: {where}: {error.words}") from error.cause

    def _check(self, table: Table, delivery: Delivery, where: str) -> None:
        if self.dialect != "postgres":
            return
        for name in (*table.path, *delivery.rows.column_names):
            if len(name.encode()) > _LONGEST_NAME:
                raise DataError(
                    f"{where}: the name {name!r} is longer than Postgres's {_LONGEST_NAME} bytes; shorten it"
                )

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """SQLAlchemy's and the driver's errors as refusals in one line."""
        try:
            yield
        except failures.DBAPIError as error:
            code = str(getattr(error.orig, "sqlstate", None) or "")
            words = str(error.orig)
            if code == "57014":
                raise refused("the query was cancelled", error) from error
            if error.connection_invalidated or code.startswith("57P") or code.startswith("08"):
                raise refused(
                    f"the connection was lost ({_first(error.orig)}); try again when the server is up", error
                ) from error
            if isinstance(error, failures.OperationalError) and not code:
                raise refused(
                    f"can't be reached ({_first(error.orig)}); check that it is up, and the URL", error
                ) from error
            missing = code in ("42P01", "42703", "3F000", "") and isinstance(error, failures.DatabaseError)
            raise refused(
                words, error, unknown=missing, misfit=code.startswith("22") or isinstance(error, failures.DataError)
            ) from error
        except failures.SQLAlchemyError as error:
            raise refused(str(error), error) from error


class _Hands:
    """One connection with an open transaction, lent to a landing."""

    def __init__(self, engine: ServerWarehouse, connection: Connection) -> None:
        self._engine, self._connection = engine, connection
        self._staged = table_node((STAGED,))

    def take_turn(self, table: Table) -> None:
        """Wait for other landings of this table; the lock ends with the transaction."""
        name = exp.Literal.string(f"mlobs {table.id}")
        number = exp.Anonymous(this="hashtextextended", expressions=[name, exp.Literal.number(0)])
        self.do(exp.select(exp.Anonymous(this="pg_advisory_xact_lock", expressions=[number])))

    def has(self, path: Sequence[str]) -> bool:
        schema = path[-2] if len(path) > 1 else None
        return sqlalchemy.inspect(self._connection).has_table(path[-1], schema=schema)

    def describe(self, query: exp.Expr) -> dict[str, str]:
        rowless = exp.select(exp.Star()).from_(query.copy().subquery("described")).limit(0)  # type: ignore[attr-defined]
        result = self._connection.exec_driver_sql(self._engine.sql(rowless))
        types = self._engine._types(self._connection, result)
        return dict(zip(result.keys(), types, strict=True))

    def do(self, statement: exp.Expression) -> None:
        self._connection.exec_driver_sql(self._engine.sql(statement))

    def count(self, query: exp.Expression) -> int | None:
        # In Postgres a failed statement spoils the transaction, unless a savepoint holds it.
        held = self._connection.begin_nested() if self._engine.dialect == "postgres" else nullcontext()
        try:
            with held:
                return int(self._connection.exec_driver_sql(self._engine.sql(query)).scalar_one())
        except (failures.DataError, failures.ProgrammingError):
            return None

    def stage(self, table: Table, rows: pa.Table) -> exp.Expression:
        names = rows.column_names
        self.do(statements.drop_table(self._staged))
        self.do(statements.create_staged(self._staged, table, names, temporary=True))
        self.write(self._staged, rows)
        return self._staged

    def clear(self) -> None:
        self.do(statements.drop_table(self._staged))

    def write(self, node: exp.Expression, rows: pa.Table) -> None:
        """Insert rows into a table: by COPY in Postgres, else in batches."""
        names = rows.column_names
        values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
        driver: Any = self._connection.connection.cursor()
        if hasattr(driver, "copy"):
            text = self._engine.sql(statements.copy_into(node, names))
            with self._engine._speaking(), _as_sqlalchemy(), driver, driver.copy(text) as copy:
                for row in values:
                    copy.write_row(row)
            return
        driver.close()
        target = sqlalchemy.table(
            node.name, *(sqlalchemy.column(name) for name in names), schema=node.text("db") or None
        )
        batch: list[dict[str, Any]] = []
        for row in values:
            batch.append(dict(zip(names, row, strict=True)))
            if len(batch) == 1000:
                self._connection.execute(target.insert().execution_options(no_parameters=False), batch)
                batch = []
        if batch:
            self._connection.execute(target.insert().execution_options(no_parameters=False), batch)


@contextmanager
def _as_sqlalchemy() -> Iterator[None]:
    """Errors of a bare driver cursor in SQLAlchemy's form."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        kind = failures.DataError if isinstance(error, psycopg.DataError) else failures.DBAPIError
        raise kind("COPY", None, error) from error


def _number(value: int) -> exp.Expression:
    return exp.cast(exp.Literal.string(str(value)), "int") if value < 0 else exp.Literal.number(value)


def _snowflake_type(code: Any, precision: Any, scale: Any) -> str:
    name = _SNOWFLAKE_TYPES[int(code)] if isinstance(code, int) and code < len(_SNOWFLAKE_TYPES) else str(code)
    return f"NUMBER({precision},{scale})" if name == "NUMBER" and precision is not None else name


def _first(error: BaseException | None) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
