"""Deliveries that no schedule knows of: what counts as another content, tables filled elsewhere, silence."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs.engines import connect
from mlobs.orchestration.deliveries import Watch, digest, settled
from mlobs.orchestration.replay import Replay
from mlobs.spec import Table
from mlobs.windows import Window
from mlobs_tests.orchestration.conftest import Morning
from mlobs_tests.orchestration.shop import Shop

TABLE = Table("t", time="at", key="id")
DAY = Window.day("2024-02-01")


def frame(**columns: object) -> pd.DataFrame:
    at = pd.to_datetime(["2024-02-01 00:00", "2024-02-01 01:00", "2024-02-01 02:00"])
    return pd.DataFrame({"id": ["a", "b", "c"], "at": at, "x": [1.0, None, 3.5], **columns})


@given(st.permutations(range(3)), st.permutations(["id", "at", "x"]))
@settings(max_examples=20, deadline=None)
def test_order_does_not_matter(rows: list[int], columns: list[str]) -> None:
    assert digest(frame().iloc[rows][columns], TABLE) == digest(frame(), TABLE)


@pytest.mark.parametrize(
    "other",
    [
        frame(x=[1.0, None, 3.6]),
        frame(x=[1.0, 0.0, 3.5]),
        frame(x=[3.5, None, 1.0]),
        frame(id=["a", "b", "d"]),
        frame(y=[1, 2, 3]),
        frame().iloc[:2],
        pd.concat([frame(), frame().iloc[:1]]),
        frame().rename(columns={"x": "z"}),
    ],
)
def test_another_content_is_another_digest(other: pd.DataFrame) -> None:
    assert digest(other, TABLE) != digest(frame(), TABLE)


def test_rows_read_back_from_the_warehouse_are_the_same_delivery(tmp_path: Path) -> None:
    delivered = frame(
        n=np.array([1, 2, 3], "int32"), flag=[True, False, True], s=["ü", None, ""], empty=[None, None, None]
    )
    engine = connect(f"duckdb:///{tmp_path}/w.duckdb")
    engine.land(TABLE, DAY, delivered)
    assert digest(engine.fetch(TABLE, DAY), TABLE) == digest(delivered, TABLE)
    zoned = delivered.assign(at=delivered["at"].dt.tz_localize("UTC").dt.tz_convert("America/New_York"))
    assert digest(zoned, TABLE) == digest(delivered, TABLE)
    engine.close()


def test_a_window_counts_when_it_looks_the_same_twice_and_once_only() -> None:
    assert settled(Watch({}, {}), {"t|d": "150|x"}) == []
    assert settled(Watch({"t|d": "100|w"}, {}), {"t|d": "150|x"}) == []
    assert settled(Watch({"t|d": "150|x"}, {}), {"t|d": "150|x"}) == ["t|d"]
    assert settled(Watch({"t|d": "150|x"}, {"t|d": "150|x"}), {"t|d": "150|x"}) == []
    assert settled(Watch({"t|d": "151|x"}, {"t|d": "150|x"}), {"t|d": "151|x"}) == ["t|d"]
    assert settled(Watch({"t|d": "0|"}, {}), {"t|d": "0|"}) == []


def elsewhere(shop: Shop, day: str) -> None:
    """Another program fills the shop's features."""
    window = Window.day(day)
    rows = shop.features(window)
    with duckdb.connect(str(shop.folder / "warehouse.duckdb")) as connection:
        connection.register("delivered", rows)
        connection.execute("create schema if not exists shop")
        connection.execute("create table if not exists shop.features as select * from delivered limit 0")
        day = [window.start.replace(tzinfo=None), window.end.replace(tzinfo=None)]
        connection.execute('delete from shop.features where "at" >= ? and "at" < ?', day)
        connection.execute("insert into shop.features select * from delivered")


def test_a_table_filled_elsewhere_is_seen_checked_and_reported(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    tables = {role: replace(table, load=None) for role, table in shop.tables().items()}
    shop.say(now="2024-02-01T06:00")
    with dg.DagsterInstance.ephemeral() as instance:
        replay = Replay(shop.definitions(shop.model(train=None, predict=None, **tables)), instance)
        assert replay.tick("basket_external_tables").runs == ()
        elsewhere(shop, "2024-02-01")
        assert replay.tick("basket_external_tables").runs == (), "nobody may still be writing"
        (run,) = replay.tick("basket_external_tables").runs
        assert run.success, run.failures
        assert run.partition == "2024-02-01"
        assert {e.check_name for e in run.evaluations if e.asset_key.path[-1] == "features"} >= {"volume", "schema"}
        assert instance.get_materialized_partitions(dg.AssetKey(["shop", "features"])) == {"2024-02-01"}
        assert replay.tick("basket_external_tables").runs == ()
        shop.say(faults={"2024-02-01": "half"})
        elsewhere(shop, "2024-02-01")
        replay.tick("basket_external_tables")
        assert len(replay.tick("basket_external_tables").runs) == 1, "a changed delivery is judged again"


def test_silence_is_judged_once(morning: Morning) -> None:
    for day in range(1, 9):
        morning.at(f"2024-02-{day:02}")
        morning.tick("daily_schedule")
        assert morning.tick("freshness").runs == ()
    morning.at("2024-02-12")
    tick = morning.tick("freshness")
    features = [run for run in tick.runs if run.partition == "2024-02-12"]
    assert len(features) == 1
    freshness = [e for e in features[0].evaluations if e.check_name == "freshness"]
    assert [e.passed for e in freshness] == [False]
    assert morning.tick("freshness").runs == ()
