"""Spark: the tables, views and catalogs of a session. The only file of mlobs that touches Spark.

The session stays the user's: its time zone is UTC only while mlobs works, and nothing else of it is changed.
"""

from __future__ import annotations

import itertools
import logging
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from mlobs.engines import statements
from mlobs.engines.column_types import column_type
from mlobs.engines.delivery import Delivery
from mlobs.engines.landing import Plan, fit_delivery, landed
from mlobs.engines.merging import merge_rows
from mlobs.engines.protocol import Landing, Source, table_node
from mlobs.engines.results import settled
from mlobs.engines.warehouse import RefusedError, Warehouse, quoted, refused
from mlobs.errors import DataError, WarehouseError
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = itertools.count(1)
_ZONE = "spark.sql.session.timeZone"
_MERGE_FORMATS = ("delta", "iceberg")
_FILE_FORMATS = ("parquet", "orc")
_UNKNOWN = ("TABLE_OR_VIEW_NOT_FOUND", "UNRESOLVED_COLUMN", "SCHEMA_NOT_FOUND")
_MISFIT = ("CAST_INVALID_INPUT", "CAST_OVERFLOW", "NUMERIC_VALUE_OUT_OF_RANGE", "ARITHMETIC_OVERFLOW", "DIVIDE_BY_ZERO")

NEW = "__mlobs_new"
"""Ending of the table that a landing writes before it takes the old one's place."""


class SparkSessionEngine(Warehouse):
    """A Spark session (4.0 or newer).

    A landing in a Delta or Iceberg table is one MERGE. A managed Parquet or ORC table without partitions is written
    anew beside the old one, which it then replaces: that costs as much as the whole table, so keep large ones in Delta or
    Iceberg. A landing that was killed between the two last steps is finished by whoever asks for the table next.
    """

    def __init__(self, session: Any) -> None:
        super().__init__("spark", "the Spark session")
        self.spark = session
        self._turn = threading.RLock()
        self._views: list[str] = []

    def close(self) -> None:
        """Forget the views made here; the session stays the user's, and open."""
        if not self._closed:
            self._closed = True
            with self._turn, _quiet():
                self._forget("")

    def frame(self, frame: Any) -> tuple[SparkSessionEngine, Source]:
        """This engine, and a Spark frame as a source under a temporary view."""
        name = self._view(frame, "frame")
        return self, Source(table_node((name,)), "the Spark frame")

    def _view(self, frame: Any, what: str) -> str:
        name = f"mlobs_{what}_{next(_NUMBERS)}"
        frame.createOrReplaceTempView(name)
        self._views.append(name)
        return name

    def _forget(self, prefix: str) -> None:
        for name in [view for view in self._views if view.startswith(prefix)]:
            self.spark.catalog.dropTempView(name)
            self._views.remove(name)

    @contextmanager
    def _work(self) -> Iterator[Any]:
        """The session, in UTC, its errors as refusals; calls from several threads take turns."""
        self._open()
        with self._turn, _quiet(), _speaking():
            zone = self.spark.conf.get(_ZONE)
            self.spark.conf.set(_ZONE, "UTC")
            try:
                yield self.spark
            finally:
                self.spark.conf.set(_ZONE, zone)

    def columns(self, source: Source) -> dict[str, str]:
        query = source.select()
        try:
            with self._work() as session:
                return _described(session.sql(self.sql(query)))
        except RefusedError as error:
            raise WarehouseError(self._explained(error, query)) from error.cause

    def _rows(self, text: str) -> pa.Table:
        with self._work() as session:
            return settled(session.sql(text).toArrow())

    def _tables(self, schema: str | None) -> list[tuple[str, ...]]:
        with self._work() as session:
            found = (
                session.catalog.listTables(self.sql(table_node((schema,)))) if schema else session.catalog.listTables()
            )
        return [(schema, table.name) if schema else (table.name,) for table in found]

    def _found(self, path: Sequence[str]) -> bool:
        with self._work() as session:
            return _Hands(self, session).has(path)

    def land(self, table: Table, window: Window, frame: Any) -> Landing:
        where = f"table {table.id!r}, window {window}"
        delivery = Delivery.read(table, window, frame)
        try:
            with self._work() as session:
                hands = _Hands(self, session)
                there = hands.has(table.path)
                properties = hands.properties(table) if there else {}
                if properties.get("provider", "") in _MERGE_FORMATS:
                    return merge_rows(hands, self.forms, table, window, delivery)
                replaceable = properties.get("type") == "MANAGED" and properties.get("provider") in _FILE_FORMATS
                if there and not (replaceable and not hands.partitioned(table)):
                    raise DataError(
                        f"{where}: a {properties.get('type', 'view').lower()} {properties.get('provider', '')} table can't be"
                        " replaced all or nothing; land into Delta, Iceberg, or a managed Parquet or ORC table without partitions"
                    )
                try:
                    return self._rewrite(hands, table, window, delivery)
                finally:
                    self._forget("mlobs_staged")
        except RefusedError as error:
            if error.misfit:
                raise DataError(f"{where}: {error.words}. Nothing was changed") from error.cause
            raise WarehouseError(f"{self.label}: {where}: {error.words}") from error.cause

    def _rewrite(self, hands: _Hands, table: Table, window: Window, delivery: Delivery) -> Landing:
        fitted = fit_delivery(hands, self.forms, table, window, delivery)
        if fitted.create and not fitted.new:
            return Landing(0, {}, None, 0)
        if fitted.create:
            _check_names(table)
        if fitted.create and table.schema:
            hands.do(statements.create_schema(table))
        old = {} if fitted.create else hands.describe(Source.table(table.path).select())
        branches: list[exp.Select] = []
        staged = hands.stage(table, fitted.rows) if fitted.rows.num_columns else None
        if not fitted.create:
            branches.append(self._kept_rows(table, window, old, fitted, staged))
        if staged is not None:
            branches.append(_new_rows(fitted, list(old), staged))
        query = exp.union(*branches, distinct=False) if len(branches) > 1 else branches[0]
        kept_format = "parquet" if fitted.create else hands.properties(table)["provider"]
        new = _beside(table.path)
        hands.do(statements.drop_table(table_node(new)))
        hands.spark.sql(self.sql(query)).write.format(kept_format).saveAsTable(self.sql(table_node(new)))
        if not fitted.create:
            hands.do(statements.drop_table(table_node(table.path)))
        hands.do(statements.rename_table(new, table.path))
        return landed(hands, delivery, fitted, hands.describe(Source.table(table.path).select()))

    def _kept_rows(
        self, table: Table, window: Window, old: dict[str, str], fitted: Plan, staged: exp.Expression | None
    ) -> exp.Select:
        chosen = [exp.alias_(_retyped(quoted(n), fitted.widen.get(n)), n, quoted=True) for n in old]
        chosen += [exp.alias_(exp.cast(exp.null(), kind.copy()), n, quoted=True) for n, kind in fitted.new.items()]
        kept = exp.select(*chosen).from_(table_node(table.path))
        if table.time in old:
            inside = self.forms.within(quoted(table.time), old[table.time], window)
            outside = exp.Or(
                this=exp.Not(this=exp.Paren(this=inside)),
                expression=exp.Is(this=quoted(table.time), expression=exp.null()),
            )
            kept = kept.where(outside)
        if staged is not None and fitted.rows.num_rows:
            kept = kept.where(exp.Not(this=statements.key_staged(table, staged)))
        return kept


class _Hands:
    """The session, lent to a landing."""

    def __init__(self, engine: SparkSessionEngine, session: Any) -> None:
        self._engine, self.spark = engine, session

    def has(self, path: Sequence[str]) -> bool:
        catalog, name = self.spark.catalog, self._name(path)
        if catalog.tableExists(name):
            return True
        if not path[-1].isidentifier() or not catalog.tableExists(self._name(_beside(path))):
            return False
        self.do(statements.rename_table(_beside(path), path))
        return True

    def _name(self, path: Sequence[str]) -> str:
        return self._engine.sql(table_node(path))

    def describe(self, query: exp.Expr) -> dict[str, str]:
        return _described(self.spark.sql(self._engine.sql(query)))

    def do(self, statement: exp.Expression) -> None:
        self.spark.sql(self._engine.sql(statement))

    def count(self, query: exp.Expression) -> int | None:
        try:
            with _speaking():
                return int(self.spark.sql(self._engine.sql(query)).collect()[0][0])
        except RefusedError as error:
            if error.misfit:
                return None
            raise

    def stage(self, table: Table, rows: pa.Table) -> exp.Expression:
        frame = self.spark.createDataFrame(rows, schema=self._schema(rows))
        return table_node((self._engine._view(frame, "staged"),))

    def write(self, node: exp.Expression, rows: pa.Table) -> None:
        self.spark.createDataFrame(rows, schema=self._schema(rows)).write.insertInto(self._engine.sql(node))

    def _schema(self, rows: pa.Table) -> Any:
        kinds = {field.name: column_type(field.type) for field in rows.schema}
        return self.spark.sql(self._engine.sql(statements.nulls_of({n: k for n, k in kinds.items() if k}))).schema

    def properties(self, table: Table) -> dict[str, str]:
        """Type (MANAGED, EXTERNAL, VIEW) and provider of a table."""
        lines = self.spark.sql(self._engine.sql(exp.Describe(this=table_node(table.path), style="EXTENDED"))).collect()
        found = {row[0].lower(): row[1] for row in lines if row[0] in ("Type", "Provider")}
        return {name: value.lower() if name == "provider" else value for name, value in found.items()}

    def partitioned(self, table: Table) -> bool:
        return any(column.isPartition for column in self.spark.catalog.listColumns(self._name(table.path)))


def _check_names(table: Table) -> None:
    """Spark would refuse the table after it has made the schema."""
    for name in table.path:
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise WarehouseError(
                f"table {table.id!r}: Spark's catalog takes letters, digits and _ only in the names of tables and schemas;"
                f" rename {name!r}"
            )


def _new_rows(fitted: Plan, old: list[str], staged: exp.Expression) -> exp.Select:
    """The staged rows in the order of the table's columns, NULL where the delivery has none."""
    delivered = set(fitted.rows.column_names)
    chosen = [quoted(n) if n in delivered else exp.alias_(exp.null(), n, quoted=True) for n in [*old, *fitted.new]]
    return exp.select(*chosen).from_(staged.copy())


def _retyped(column: exp.Column, kind: exp.DataType | None) -> exp.Expression:
    return column if kind is None else exp.cast(column, kind.copy())


def _beside(path: Sequence[str]) -> tuple[str, ...]:
    return (*path[:-1], path[-1] + NEW)


def _described(frame: Any) -> dict[str, str]:
    return {field.name: field.dataType.simpleString() for field in frame.schema.fields}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PySpark's warnings on the release of pandas, and without its log of each failed query."""
    log = logging.getLogger("SQLQueryContextLogger")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        log.setLevel(level)


@contextmanager
def _speaking() -> Iterator[None]:
    """Spark's errors as refusals in one line."""
    from pyspark.errors import PySparkException

    gateway = import_module("py4j.protocol")
    try:
        yield
    except (gateway.Py4JNetworkError, ConnectionError) as error:
        raise refused("the connection to Spark was lost; make a new session", error) from error
    except (PySparkException, gateway.Py4JError) as error:
        words = str(error)
        condition = ""
        if isinstance(error, PySparkException):
            condition = error.getCondition() or ""
        if "cancelled" in words.lower():
            raise refused("the query was cancelled", error) from error
        if "stopped SparkContext" in words or "SparkContext was shut down" in words:
            raise refused("the session was stopped; make a new one", error) from error
        unknown = condition.split(".")[0] in _UNKNOWN
        raise refused(words, error, unknown=unknown, misfit=condition.split(".")[0] in _MISFIT) from error
