"""Definitions as Dagster sees them: lineage, kinds, owners, columns, checks, jobs, schedules, sensors; nothing is opened."""

from pathlib import Path

import dagster as dg
import pytest

from mlobs.errors import SpecError
from mlobs.orchestration import build_definitions
from mlobs.spec import FieldHealth, Volume
from mlobs_tests.orchestration.shop import Shop


@pytest.fixture
def defs(tmp_path: Path) -> dg.Definitions:
    return Shop(tmp_path).definitions()


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(name.split("/"))


def test_definitions_load_and_open_nothing(defs: dg.Definitions, tmp_path: Path) -> None:
    dg.Definitions.validate_loadable(defs)
    assert list(tmp_path.iterdir()) == []


def test_lineage_runs_from_left_to_right_without_a_cycle(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    parents = {
        k.to_user_string(): {p.to_user_string() for p in graph.get(k).parent_keys} for k in graph.get_all_asset_keys()
    }
    assert parents == {
        "shop/features": set(),
        "shop/actuals": set(),
        "basket/training_set": {"shop/features", "shop/actuals"},
        "basket/model": {"basket/training_set"},
        "shop/predictions": {"shop/features", "basket/model"},
        "basket/performance": {"shop/predictions", "shop/actuals"},
    }


def test_assets_say_who_owns_them_what_they_are_and_what_they_hold(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    features = graph.get(key("shop/features"))
    assert features.group_name == "basket"
    assert features.owners == ["team:shop"]
    assert features.kinds == {"duckdb", "python"}
    assert features.partitions_def == graph.get(key("basket/performance")).partitions_def
    schema = features.metadata["dagster/column_schema"]
    columns = schema.value.columns if hasattr(schema, "value") else schema.columns
    assert {c.name: c.type for c in columns} == {
        "at": "timestamp",
        "id": "unknown",
        "amount": "numeric",
        "store": "categorical",
    }
    assert next(c for c in columns if c.name == "amount").description == "value of the basket. Unit: EUR"
    assert graph.get(key("basket/model")).kinds == {"mlflow", "python"}
    assert graph.get(key("basket/training_set")).partitions_def is None


def test_checks_are_partitioned_and_block_only_where_the_monitor_says_so(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    checks = {
        name: {k.name: graph.get(k).blocking for k in graph.get(key(name)).check_keys}
        for name in ("shop/features", "shop/predictions", "shop/actuals", "basket/performance")
    }
    assert checks == {
        "shop/features": {
            "field_health": True, "drift": False, "freshness": True, "volume": True, "mix": True, "schema": True,
        },
        "shop/predictions": {"field_health": False, "drift": False, "schema": False},
        "shop/actuals": {"freshness": False, "volume": False, "schema": False},
        "basket/performance": {"accuracy": False},
    }  # fmt: skip
    for check in graph.asset_check_keys:
        assert graph.get(check).partitions_def == graph.get(check.asset_key).partitions_def


def test_one_op_serves_all_checks_of_a_table(defs: dg.Definitions) -> None:
    ops = {check.op.name: len(check.check_specs_by_output_name) for check in defs.asset_checks or []}
    assert ops == {
        "shop__features__checks": 6,
        "shop__predictions__checks": 3,
        "shop__actuals__checks": 3,
        "basket__performance__checks": 1,
    }


def test_jobs_schedules_and_sensors_are_on(defs: dg.Definitions) -> None:
    assert {job.name for job in defs.jobs or []} == {
        "basket_daily",
        "basket_checks",
        "basket_backfill",
        "basket_retrain",
    }
    (schedule,) = defs.schedules or []
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or []}
    running = dg.DefaultSensorStatus.RUNNING
    assert sensors == {
        "basket_retraining": running,
        "basket_redelivery": running,
        "basket_freshness": running,
        "basket_alerts": running,
    }


def test_a_shared_table_is_one_asset_with_the_checks_of_both_models(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    one = shop.model(monitors=(FieldHealth(blocking=False),))
    predictions = type(one.predictions)("returns", time="at", key="id", start="2024-01-01")
    other = shop.model(
        name="returns", features=one.features, actuals=one.actuals, predictions=predictions, monitors=(Volume(),)
    )
    defs = shop.definitions(one, other)
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    features = graph.get(one_key := key("shop/features"))
    assert features.group_name == "shared"
    assert {k.name: graph.get(k).blocking for k in features.check_keys} == {"field_health": False, "volume": True}
    assert graph.get(key("returns")).parent_keys == {one_key, key("returns/model")}
    assert "basket_family_daily" in {job.name for job in defs.jobs or []}


def test_tables_filled_elsewhere_are_external_and_observed(tmp_path: Path) -> None:
    from dataclasses import replace

    tables = {role: replace(table, load=None) for role, table in Shop(tmp_path).tables().items()}
    shop = Shop(tmp_path)
    defs = shop.definitions(shop.model(train=None, predict=None, **tables))
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    assert not graph.get(key("shop/features")).is_materializable
    assert graph.get(key("basket/performance")).is_materializable
    assert {sensor.name for sensor in defs.sensors or []} == {
        "basket_external_tables",
        "basket_freshness",
        "basket_alerts",
    }


def test_an_asset_of_the_user_is_watched_in_place(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    partitions = shop.definitions().resolve_asset_graph().get(key("shop/features")).partitions_def

    @dg.asset(key=["warehouse", "baskets"], partitions_def=partitions)
    def baskets() -> None:
        """The user's own."""

    defs = dg.Definitions.merge(
        dg.Definitions(assets=[baskets]), shop.definitions(keys={"shop.features": ["warehouse", "baskets"]})
    )
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    own = graph.get(key("warehouse/baskets"))
    assert {k.name for k in own.check_keys} >= {"field_health", "drift"}
    assert own.key in graph.get(key("shop/predictions")).parent_keys


def test_mistakes_are_named_when_definitions_are_made() -> None:
    with pytest.raises(SpecError, match="at least one"):
        build_definitions([], "duckdb:///w.duckdb")


def test_a_key_for_an_unknown_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no table of any model"):
        Shop(tmp_path).definitions(keys={"shop.feature": "x"})
