"""`open_data`: frames, files and relations, read in place or copied once, and what can't be read. Uses DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from mlobs.engines import Engine, Source, connect, open_data
from mlobs.engines.opening import NARROW, cheaper_copied
from mlobs.errors import DataError, WarehouseError
from mlobs.spec import Table

ROWS = pa.table({"origin": ["JFK", "BOS", None], "delay": [1.5, None, -2.0], "n": [1, 2, 3]})


def total(data: Any) -> dict[str, Any]:
    engine, source = open_data(data)
    query = source.select("count(*) AS rows", "sum(delay) AS delay", "count(origin) AS origins", "max(n) AS n")
    return engine.run(query).to_pylist()[0]


EXPECTED = {"rows": 3, "delay": -0.5, "origins": 2, "n": 3}


@pytest.mark.parametrize(
    "make",
    [
        lambda: ROWS.to_pandas(),
        lambda: ROWS.to_pandas().convert_dtypes(),
        lambda: ROWS.to_pandas(types_mapper=pd.ArrowDtype),
        lambda: ROWS.to_pandas().astype({"origin": "category"}),
        lambda: ROWS.to_pandas().set_index(pd.Index([7, 7, 7])),
        lambda: ROWS,
        lambda: ROWS.to_batches()[0],
        lambda: ROWS.to_reader(),
        lambda: ds.dataset(ROWS),
        lambda: pl.from_arrow(ROWS),
        lambda: pl.from_arrow(ROWS).lazy(),
    ],
    ids=[
        "pandas",
        "nullable",
        "arrow-backed",
        "category",
        "index",
        "arrow",
        "batch",
        "reader",
        "dataset",
        "polars",
        "lazy",
    ],
)
def test_frames(make: Any) -> None:
    assert total(make()) == EXPECTED


def test_the_same_reader_can_be_asked_twice() -> None:
    engine, source = open_data(ROWS.to_reader())
    assert [engine.run(source.select("count(*) AS n")).to_pylist() for _ in range(2)] == [[{"n": 3}]] * 2


def test_missing_is_not_nan() -> None:
    engine, source = open_data(pa.table({"x": [1.0, float("nan"), None]}))
    assert engine.run(source.select("count(x) AS n", "count(*) AS rows")).to_pylist() == [{"n": 2, "rows": 3}]
    engine, source = open_data(pd.DataFrame({"x": [1.0, np.nan, np.inf]}))
    assert engine.run(source.select("count(x) AS n", "max(x) AS x")).to_pylist() == [{"n": 2, "x": np.inf}]


def test_kinds_of_a_frame() -> None:
    frame = pd.DataFrame(
        {
            "i": [1], "f": [0.5], "b": [True], "s": ["a"], "c": pd.Categorical(["a"]), "o": pd.Series([{"a": 1}], dtype=object),
            "wall": [datetime(2013, 4, 1)], "at": [datetime(2013, 4, 1, tzinfo=UTC)], "list": [[1]],
        }
    )  # fmt: skip
    engine, source = open_data(frame)
    assert engine.kinds(source) == {
        "i": "numeric", "f": "numeric", "b": "boolean", "s": "categorical", "c": "categorical", "o": None,
        "wall": "timestamp", "at": "timestamp", "list": None,
    }  # fmt: skip


def test_files(tmp_path: Path) -> None:
    for name in ("a", "b [1]", "it's"):
        pq.write_table(ROWS, tmp_path / f"{name}.parquet")
    for name in ("a", "b [1]", "it's"):
        assert total(tmp_path / f"{name}.parquet") == EXPECTED
        assert total(str(tmp_path / f"{name}.parquet")) == EXPECTED
    assert total(tmp_path / "*.parquet")["rows"] == 9
    assert total(tmp_path)["rows"] == 9
    assert total([tmp_path / "a.parquet", tmp_path / "it's.parquet"])["rows"] == 6
    ROWS.to_pandas().to_csv(tmp_path / "rows.csv", index=False)
    assert total(tmp_path / "rows.csv") == EXPECTED
    ROWS.to_pandas().to_csv(tmp_path / "rows.csv.gz", index=False)
    assert total(tmp_path / "rows.csv.gz") == EXPECTED


def test_a_csv_column_is_typed_by_all_of_its_rows(tmp_path: Path) -> None:
    lines = ["n", *("1" for _ in range(50_000)), "x"]
    (tmp_path / "late.csv").write_text("\n".join(lines))
    engine, source = open_data(tmp_path / "late.csv")
    assert engine.columns(source) == {"n": "VARCHAR"}
    assert engine.run(source.select("count(*) AS rows", "max(n) AS n")).to_pylist() == [{"rows": 50_001, "n": "x"}]


def test_a_csv_file_is_parsed_once(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("n,name\n1,a\n2,b\n")
    engine, source = open_data(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").unlink()
    assert engine.columns(source) == {"n": "BIGINT", "name": "VARCHAR"}
    assert engine.run(source.select("sum(n) AS n")).to_pylist() == [{"n": 3}]


def test_a_csv_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_bytes(b"n,name\n1,secret\n2,\xff\xfe\n")
    with pytest.raises(DataError, match=r"broken\.csv' can't be read: .*Line: 3; .*not utf-8") as caught:
        open_data(tmp_path / "broken.csv")
    assert "secret" not in str(caught.value)
    (tmp_path / "ragged.csv").write_text("n,name\n" + "1,a\n" * 30_000 + '5,b,c,d\n"unclosed,x\n')
    with pytest.raises(DataError, match=r"ragged\.csv' can't be read: .*not possible to automatically detect"):
        open_data(tmp_path / "ragged.csv")


def test_a_relation_is_read_where_it_lives() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT range AS n FROM range(5)")
    engine, source = open_data(connection.sql("SELECT n, n * 2 AS twice FROM t"))
    assert engine.columns(source) == {"n": "BIGINT", "twice": "BIGINT"}
    assert engine.run(source.select("sum(twice) AS twice")).to_pylist() == [{"twice": 20}]
    connection.execute("INSERT INTO t VALUES (100)")
    assert engine.run(source.select("sum(twice) AS twice")).to_pylist() == [{"twice": 220}]
    with pytest.raises(WarehouseError, match="no column 'twicee'; did you mean 'twice'"):
        engine.run(source.select("twicee"))
    with pytest.raises(WarehouseError, match="can only be read"):
        engine.land(Table("t", key="n", time="n"), None, None)  # type: ignore[arg-type]
    engine.close()
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(6,)]
    assert connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall() == []


def test_a_table_of_an_engine(engine: Engine, fill: Any) -> None:
    fill("rows", ROWS)
    assert total((engine, Table("rows", key="n", time="-"))) == EXPECTED
    assert total((engine, Source.query("SELECT * FROM rows", "duckdb"))) == EXPECTED
    assert total((engine, "SELECT * FROM rows WHERE n > 0")) == EXPECTED
    with pytest.raises(WarehouseError, match="exactly one SELECT"):
        open_data((engine, "rows"))
    with pytest.raises(DataError, match="nothing to read"):
        open_data((engine, ["rows"]))


def test_python_variables_are_no_tables() -> None:
    engine = connect("duckdb:///:memory:")
    text = query = connection = ROWS
    assert text is query is connection
    for name in ("text", "query", "connection", "ROWS"):
        with pytest.raises(WarehouseError, match=f"no table '{name}'"):
            engine.columns(Source.table((name,)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere/*.parquet", "no file matches 'nowhere"),
        ("warehouse.xlsx", "no file matches"),
        ({"a": [1]}, "dict can't be read"),
        (3, "int can't be read"),
        (None, "NoneType can't be read"),
        (np.ones(3), "ndarray can't be read"),
        ([1, 2], "list can't be read"),
        (pd.Series([1]), "Series can't be read"),
        (pd.DataFrame(), "has no columns"),
        (pd.DataFrame([[1, 2]]), "column name 0 is no text"),
        (pd.DataFrame([[1, 2]], columns=["a", "A"]), "columns 'a' and 'A' are the same"),
        (pd.DataFrame({"": [1]}), "is empty"),
    ],
)
def test_what_can_t_be_read(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_data(data)


def test_files_that_can_t_be_read(tmp_path: Path) -> None:
    (tmp_path / "table.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match="neither a Parquet nor a CSV"):
        open_data(tmp_path / "table.xlsx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="folder without Parquet"):
        open_data(tmp_path / "empty")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet at all, but long enough")
    engine, source = open_data(tmp_path / "broken.parquet")
    with pytest.raises(WarehouseError, match=r"broken\.parquet") as caught:
        engine.columns(source)
    assert "\n" not in str(caught.value)
    pq.write_table(ROWS, tmp_path / "gone.parquet")
    engine, source = open_data(tmp_path / "gone.parquet")
    (tmp_path / "gone.parquet").unlink()
    with pytest.raises(WarehouseError, match=r"gone\.parquet"):
        engine.run(source.select("count(*) AS n"))


def test_a_wide_frame_is_copied_once() -> None:
    frame = pd.DataFrame({f"f{i}": np.arange(5) + i for i in range(NARROW + 1)})
    engine, source = open_data(frame)
    frame["f0"] = 0
    assert engine.run(source.select("sum(f0) AS a", f"sum(f{NARROW}) AS b")).to_pylist() == [
        {"a": 10, "b": 10 + 5 * NARROW}
    ]
    engine, source = open_data(frame[[f"f{i}" for i in range(NARROW)]])
    assert engine.sql(source.expression) == '"frame"'


@pytest.mark.parametrize(
    ("rows", "columns", "copied"),
    [(10, 32, False), (10, 33, True), (1_000_000, 100, False), (500_000, 100, True), (600_000, 500, False)],
)
def test_frames_are_copied_where_that_costs_less_and_fits(rows: int, columns: int, copied: bool) -> None:
    assert cheaper_copied(rows, columns) == copied


def test_a_column_that_cannot_be_read_spoils_no_other_of_a_wide_frame() -> None:
    frame = pd.DataFrame({f"f{i}": np.arange(5000.0) for i in range(NARROW + 1)})
    frame["mixed"] = pd.Series([1] * 4999 + ["x"], dtype=object)
    engine, source = open_data(frame)
    assert engine.run(source.select("max(f3) AS most")).to_pylist() == [{"most": 4999.0}]
    with pytest.raises(WarehouseError, match=r"the pandas DataFrame: .*cast value"):
        engine.run(source.select("max(mixed) AS most"))
