"""What is particular to a Spark session: it stays the user's, frames are sources, a killed landing is finished."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from mlobs.engines import Source, open_data, spark_engine
from mlobs.engines.session import NEW
from mlobs.errors import DataError, WarehouseError
from mlobs.spec import Table
from mlobs.windows import Window

FLIGHTS = Table("flights", key="id", time="at")
DAY = Window.day("2013-04-01")


def frame(ids: list[int], at: str = "2013-04-01", **columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "at": pd.to_datetime([at] * len(ids), utc=True), **columns})


def test_the_session_keeps_its_time_zone_and_its_views(spark: Any) -> None:
    spark.sql("SELECT 1 AS n, TIMESTAMP '2013-04-01 00:00:00' AS at").createOrReplaceTempView("mine")
    engine = spark_engine(spark)
    assert spark.conf.get("spark.sql.session.timeZone") == "America/New_York"
    assert engine.columns(Source.table(("mine",))) == {"n": "int", "at": "timestamp"}
    engine.land(FLIGHTS, DAY, frame([1]))
    assert [view.name for view in spark.catalog.listTables() if view.isTemporary] == ["mine"]
    with pytest.raises(WarehouseError):
        engine.run("SELECT nope")
    engine.close()
    assert spark.conf.get("spark.sql.session.timeZone") == "America/New_York"
    assert [view.name for view in spark.catalog.listTables() if view.isTemporary] == ["mine"]


def test_a_spark_frame_is_a_source(spark: Any) -> None:
    engine, source = open_data(spark.range(5).selectExpr("id", "id * 2 AS twice"))
    assert engine.columns(source) == {"id": "bigint", "twice": "bigint"}
    assert engine.run(source.select("sum(twice) AS twice")).to_pylist() == [{"twice": 20}]
    with pytest.raises(WarehouseError, match="no column 'twicee'; did you mean 'twice'"):
        engine.run(source.select("twicee"))
    engine.close()


def test_a_landing_killed_before_its_last_step_is_finished(spark: Any) -> None:
    engine = spark_engine(spark)
    engine.land(FLIGHTS, DAY, frame([1], x=[1.0]))
    # The state a kill leaves between dropping the old table and giving its name to the new one.
    spark.sql(f"ALTER TABLE flights RENAME TO flights{NEW}")
    assert engine.exists(FLIGHTS)
    assert engine.fetch(FLIGHTS)["id"].tolist() == [1]
    # And the one that a kill leaves while the new table is there already, beside the old one.
    spark.sql(f"CREATE TABLE flights{NEW} USING parquet AS SELECT 'half' AS written")
    engine.land(FLIGHTS, DAY, frame([2], x=[2.0]))
    assert engine.fetch(FLIGHTS)["id"].tolist() == [2]
    assert [table.name for table in spark.catalog.listTables() if not table.isTemporary] == ["flights"]


def test_the_format_of_a_table_is_kept(spark: Any) -> None:
    spark.sql("CREATE TABLE flights (id BIGINT, at TIMESTAMP, x DOUBLE, origin STRING) USING orc")
    engine = spark_engine(spark)
    engine.land(FLIGHTS, DAY, frame([1, 2], x=[1.0, 2.0], origin=["JFK", None]))
    engine.land(FLIGHTS, Window.day("2013-04-02"), frame([3], at="2013-04-02", origin=["BOS"]))
    provider = {row[0]: row[1] for row in spark.sql("DESCRIBE TABLE EXTENDED flights").collect()}["Provider"]
    assert provider.lower() == "orc"
    assert sorted(engine.fetch(FLIGHTS)["id"]) == [1, 2, 3]


def test_tables_that_can_t_be_replaced_are_refused(spark: Any, tmp_path: Any) -> None:
    engine = spark_engine(spark)
    spark.sql("CREATE VIEW seen AS SELECT 1L AS id, current_timestamp() AS at")
    spark.sql(f"CREATE TABLE outside (id BIGINT, at TIMESTAMP) USING parquet LOCATION '{tmp_path}'")
    spark.sql("CREATE TABLE texts (id BIGINT, at TIMESTAMP) USING csv")
    spark.sql("CREATE TABLE parts (id BIGINT, at TIMESTAMP, day INT) USING parquet PARTITIONED BY (day)")
    for name in ("seen", "outside", "texts", "parts"):
        with pytest.raises(DataError, match=r"can't be replaced all or nothing"):
            engine.land(Table(name, key="id", time="at"), DAY, frame([1]))
    assert engine.exists(Table("seen", key="id", time="at"))


def test_a_cancelled_job_is_one_clear_error(spark: Any) -> None:
    import threading

    engine = spark_engine(spark)
    ended = threading.Event()

    def cancel() -> None:
        while not ended.wait(0.2):
            spark.sparkContext.cancelAllJobs()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        # a plain range looks for its cancellation every thousand rows; the inside of a join doesn't
        with pytest.raises(WarehouseError, match="the query was cancelled") as caught:
            engine.run("SELECT count(*) AS n FROM range(0, 1000000000000, 1, 1) WHERE id % 7 = 11")
    finally:
        ended.set()
        thread.join()
    assert "\n" not in str(caught.value)
    assert engine.run("SELECT 1 AS n").to_pylist() == [{"n": 1}]
