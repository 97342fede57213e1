"""Statements of a landing, by dialect: each is parsed back in its own dialect, and the MERGE is run for real in DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from mlobs.engines import DIALECTS, Forms, statements
from mlobs.engines.delivery import Delivery
from mlobs.engines.embedded import _Hands, _set_up
from mlobs.engines.merging import merge_rows
from mlobs.engines.opening import connect
from mlobs.engines.protocol import Source, table_node
from mlobs.errors import DataError
from mlobs.spec import Table
from mlobs.windows import Window

EVIL = 'x"; DROP TABLE t; --'
TABLE = Table(EVIL, schema=EVIL, key=("id", EVIL), time="at")
DAY = Window.day("2013-04-01")
NEW = table_node(("new",))


def landing_statements(forms: Forms) -> dict[str, exp.Expression]:
    double, text = exp.DataType.build("double"), exp.DataType.build("text")
    return {
        "schema": statements.create_schema(TABLE),
        "create": statements.create_table(TABLE.path, {EVIL: double, "s": text}),
        "stage": statements.create_staged(NEW, TABLE, [EVIL], temporary=True),
        "add": statements.add_column(TABLE, EVIL, text),
        "retype": statements.retype_column(TABLE, EVIL, double),
        "window": statements.delete_window(TABLE, forms, "TIMESTAMP", DAY),
        "keys": statements.delete_keys(TABLE, NEW),
        "insert": statements.insert_staged(TABLE, ["id", EVIL], NEW),
        "lost": statements.lost_by_cast(TABLE, EVIL, "DOUBLE", exp.DataType.build("bigint"), forms.dialect),
        "merge": statements.merge_staged(TABLE, ["id", EVIL], NEW, forms.within(exp.column("at"), "TIMESTAMP", DAY)),
        "drop": statements.drop_table(NEW),
        "rename": statements.rename_table(("a",), TABLE.path),
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_name_leaves_its_quotes(dialect: str) -> None:
    forms = Forms(dialect)
    for what, tree in landing_statements(forms).items():
        text = forms.sql(tree)
        parsed = [found for found in sqlglot.parse(text, dialect=dialect) if found is not None]
        assert len(parsed) == 1, (what, text)
        names = {node.this for node in parsed[0].find_all(exp.Identifier)}
        if not isinstance(parsed[0], exp.Command) and what not in ("drop",):
            assert EVIL in names, (what, text)
        assert not parsed[0].find(exp.Drop) or what == "drop", (what, text)


def test_the_merge_reads_well() -> None:
    table = Table("flights", key="id", time="at")
    forms = Forms("bigquery")
    inside = forms.within(exp.column("at", table="flights"), "DATETIME", DAY)
    text = forms.sql(statements.merge_staged(table, ["id", "x"], NEW, inside), pretty=True)
    assert (
        text
        == """MERGE INTO `flights`
USING `new` AS `mlobs_rows`
ON FALSE
WHEN NOT MATCHED THEN INSERT (`id`, `x`) VALUES (`mlobs_rows`.`id`, `mlobs_rows`.`x`)
WHEN NOT MATCHED BY SOURCE AND (
  `flights`.`at` >= CAST('2013-04-01 00:00:00.000000' AS DATETIME)
  AND `flights`.`at` < CAST('2013-04-02 00:00:00.000000' AS DATETIME)
)
OR EXISTS(
  SELECT
    1
  FROM `new` AS `mlobs_new`
  WHERE
    `mlobs_new`.`id` = `flights`.`id`
) THEN DELETE"""
    )


class WritingHands(_Hands):
    """DuckDB in the part of a warehouse that has MERGE and a way to write rows."""

    def write(self, node: exp.Expression, rows: pa.Table) -> None:
        self._connection.register("written", rows)
        self.do(exp.Insert(this=node, expression=exp.select("*").from_("written")))
        self._connection.unregister("written")


def delivery(table: Table, window: Window, ids: list[Any], at: str, **columns: list[Any]) -> Delivery:
    times = pa.array([datetime.fromisoformat(at).replace(tzinfo=UTC)] * len(ids), pa.timestamp("us", "UTC"))
    return Delivery.read(table, window, pa.table({"id": ids, "at": times, **columns}))


def test_a_landing_by_merge_does_what_one_by_transaction_does() -> None:
    table = Table("flights", key="id", time="at")
    engine = connect("duckdb:///:memory:")
    connection = _set_up(duckdb.connect())
    hands = WritingHands(engine, connection)  # type: ignore[arg-type]
    first, second = Window.day("2013-04-01"), Window.day("2013-04-02")
    deliveries = [
        (first, delivery(table, first, [1, 2, None], "2013-04-01", x=[1, 2, 3])),
        (second, delivery(table, second, [3, 4], "2013-04-02", x=[3, 4])),
        (second, delivery(table, second, [1, 1, None], "2013-04-02", x=[1.5, 2.5, 3.5], y=["a", "b", None])),
        (first, Delivery.read(table, first, pa.table({}))),
        (second, delivery(table, second, [9], "2013-04-02", x=[0.5])),
    ]
    for window, what in deliveries:
        merged = merge_rows(hands, engine.forms, table, window, what)
        assert merged == engine.land(table, window, what.rows)
        found = [
            connection.sql("FROM flights").to_arrow_table().to_pylist(),
            engine.run(Source.table(table.path).select()).to_pylist(),
        ]
        merged_rows, landed_rows = (sorted(rows, key=str) for rows in found)
        assert [{k: v for k, v in row.items() if k != "at"} for row in merged_rows] == [
            {k: v for k, v in row.items() if k != "at"} for row in landed_rows
        ]
    with pytest.raises(DataError, match="column 'x'"):
        merge_rows(hands, engine.forms, table, first, delivery(table, first, [1], "2013-04-01", y=["c"], x=["n/a"]))
    left = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
    assert left == [("flights",)]
