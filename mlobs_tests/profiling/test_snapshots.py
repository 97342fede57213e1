"""The SQL for warehouses that can't be run here: generated, parsed back in its dialect, kept as a readable file.

After a change that is meant: MLOBS_WRITE_SNAPSHOTS=1 python -m pytest mlobs_tests/profiling/test_snapshots.py, then review.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from mlobs.engines.forms import Forms
from mlobs.engines.protocol import Source
from mlobs.profiling import open_text, queries, scanning
from mlobs.profiling.grouping import Segmentation
from mlobs.profiling.request import Request, numeric_columns, scan_of, text_columns
from mlobs.states import BooleanState, CategoricalState, Grid, Levels, NumericState, Relation, TimestampState
from mlobs.windows import Window

FOLDER = Path(__file__).parent / "snapshots"
DIALECTS = ("duckdb", "postgres", "spark", "snowflake", "bigquery", "databricks", "trino", "clickhouse")

LEVELS = Levels.learn({"B6": 3, "it's": 1}, "carrier")
FRAMES = {
    "delay": NumericState(Grid.around(-3.0, 20.0)),
    'dep "time"': NumericState(Grid(900.0, 400.0, 1.0, 2400.0, tail=8000.0)),
    "carrier": CategoricalState(LEVELS),
    "cancelled": BooleanState(),
    "scheduled": TimestampState(datetime(1900, 1, 1, tzinfo=UTC)),
}
TYPES = {
    "duckdb": ("DOUBLE", "BIGINT", "VARCHAR", "BOOLEAN", "TIMESTAMP"),
    "postgres": ("double precision", "bigint", "text", "boolean", "timestamp without time zone"),
    "spark": ("double", "bigint", "string", "boolean", "timestamp_ntz"),
    "databricks": ("double", "bigint", "string", "boolean", "timestamp"),
    "snowflake": ("FLOAT", "NUMBER(38,0)", "VARCHAR", "BOOLEAN", "TIMESTAMP_NTZ"),
    "bigquery": ("FLOAT64", "INT64", "STRING", "BOOL", "TIMESTAMP"),
    "trino": ("double", "bigint", "varchar", "boolean", "timestamp(6)"),
    "clickhouse": ("Float64", "Int64", "String", "Bool", "DateTime"),
}
RELATION = Relation(
    "delay", 'dep "time"', "linear", -3.0, 20.0, (('dep "time"', 900.0, 400.0, 0.5),), -0.25, deviation=0.8, r2=0.7
)


def statements(dialect: str) -> dict[str, str]:
    """What a profile of three days, by carrier, asks; by name."""
    forms = Forms(dialect)
    engine: Any = SimpleNamespace(dialect=dialect, forms=forms, sql=forms.sql)
    columns = dict(zip(FRAMES, TYPES[dialect], strict=True))
    request = Request(
        Source.table(("flights", "features")),
        FRAMES,
        columns,
        dict.fromkeys(columns),
        list(Window("2013-01-01", "2013-01-04").split(timedelta(days=1))),
        "scheduled",
        segmentation=Segmentation(("carrier",), (("B6",), (None,))),
        pairs=(("delay", 'dep "time"'),),
        relations=(RELATION,),
    )
    found = [("B6",), ("AA",)]
    scan = scan_of(engine, request, found)
    numbers = numeric_columns(engine, request)
    windows = replace(scan, segments=())
    outer = scan.regrouped(exp.to_table("texts"))
    asked = {
        "wide": scanning.wide_text(engine, request, found),
        "bins": queries.union(queries.numeric_queries(scan, numbers, shown=queries.NUMBERS)),
        "texts": queries.union(queries.value_queries(scan, text_columns(engine, request), 60_003)),
        "distinct sketches": queries.union(queries.sketch_queries(scan, [(numbers[0], 0), (numbers[1], 3)])),
        "exact distinct": queries.union(queries.exact_queries(windows, numbers)),
        "row hashes": queries.row_query(windows, list(FRAMES)[:4], 1 << 60),
        "open text, totals": forms.sql(open_text._totals(forms, outer, LEVELS)),
        "open text, listed": forms.sql(open_text._listed(outer, LEVELS)),
    }
    if scan.lenient:
        templates = queries.follow_up_templates(scan, tailed=numbers[1].grid.tailed)
        tokens = {**numbers[1].tokens(forms), "shift": "5.0e9"}
        asked["follow-ups"] = queries.union([t.poured(tokens) for t in templates.values()])
    return asked


@pytest.mark.parametrize("dialect", DIALECTS)
def test_generated_sql_is_kept_and_can_be_parsed_back(dialect: str) -> None:
    asked = statements(dialect)
    pretty = {
        name: sqlglot.parse_one(text, dialect=dialect).sql(dialect=dialect, pretty=True) for name, text in asked.items()
    }
    found = "\n\n".join(f"-- {name}\n{text};" for name, text in pretty.items()) + "\n"
    kept = FOLDER / f"{dialect}.sql"
    if os.environ.get("MLOBS_WRITE_SNAPSHOTS"):
        kept.write_text(found)
    assert kept.read_text() == found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_parsing_back_and_generating_again_changes_nothing(dialect: str) -> None:
    for name, text in statements(dialect).items():
        again = sqlglot.parse_one(text, dialect=dialect).sql(dialect=dialect, identify=True)
        assert again == sqlglot.parse_one(again, dialect=dialect).sql(dialect=dialect, identify=True), name
