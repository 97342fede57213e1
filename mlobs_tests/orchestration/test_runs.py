"""Real runs on a real instance: a morning, a fault, its repair, backfills, training; DuckDB, history and MLflow on disk."""

from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetRecordsFilter

from mlobs.history import History
from mlobs_tests.orchestration.conftest import Morning

FEATURES, PREDICTIONS = dg.AssetKey(["shop", "features"]), dg.AssetKey(["shop", "predictions"])
PERFORMANCE = dg.AssetKey(["basket", "performance"])
DAY = "2024-02-01"


def rows(morning: Morning, sql: str) -> list[tuple[object, ...]]:
    import duckdb

    with duckdb.connect(str(morning.shop.folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.sql(sql).fetchall()


def metadata(morning: Morning, key: dg.AssetKey, partition: str) -> dict[str, object]:
    wanted = AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
    (record,) = morning.instance.fetch_materializations(wanted, limit=1).records
    assert record.asset_materialization is not None
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_a_morning_lands_checks_predicts_and_scores(morning: Morning) -> None:
    morning.at("2024-02-02")
    morning.replay.run("basket_daily", partition=DAY, assets=[FEATURES, PREDICTIONS])
    mature, current = morning.tick("daily_schedule").runs
    assert (mature.partition, current.partition) == (DAY, "2024-02-02")
    assert mature.success, mature.failures
    assert current.success, current.failures
    checks = {(e.asset_key.path[-1], e.check_name, e.partition) for e in current.evaluations}
    assert checks >= {("features", "field_health", "2024-02-02"), ("predictions", "schema", "2024-02-02")}
    assert len(current.evaluations) == 9
    assert {(e.check_name, e.partition) for e in mature.evaluations} >= {("accuracy", DAY), ("volume", DAY)}
    assert all(e.target_materialization_data is not None for e in (*mature.evaluations, *current.evaluations))
    assert rows(morning, "select count(*), min(model_version) from shop.predictions where \"at\" >= '2024-02-02'") == [
        (150, "1")
    ]
    landed = metadata(morning, FEATURES, "2024-02-02")
    assert (landed["dagster/partition_row_count"], landed["dagster/row_count"]) == (150, 33 * 150)
    assert metadata(morning, PREDICTIONS, "2024-02-02")["model version"] == "1"
    assert metadata(morning, PERFORMANCE, DAY)["mae"] == pytest.approx(4, abs=1.5)


def test_the_same_morning_asks_for_nothing_twice(morning: Morning) -> None:
    assert [run.success for run in morning.tick("daily_schedule").runs] == [True, True]
    again = morning.tick("daily_schedule")
    assert (again.runs, len(again.repeated)) == ((), 2)


def test_a_fault_blocks_prediction_in_this_run_and_in_later_ones(morning: Morning) -> None:
    morning.shop.say(faults={DAY: "negative"})
    *_, run = morning.tick("daily_schedule").runs
    assert not run.success
    (broken,) = [e for e in run.evaluations if e.check_name == "field_health"]
    assert not broken.passed
    assert broken.severity is dg.AssetCheckSeverity.ERROR
    failing = broken.metadata["failing"]
    assert isinstance(failing, dg.TableMetadataValue)
    assert ("amount", "negative_rate") in {(r.data["field"], r.data["metric"]) for r in failing.records}
    picture = broken.metadata["picture"]
    assert isinstance(picture, dg.MarkdownMetadataValue)
    assert "data:image/svg+xml;base64," in str(picture.md_str)
    alone = morning.replay.run("basket_daily", partition=DAY, assets=[PREDICTIONS])
    assert not alone.success
    assert "makes no predictions on broken data: shop.features in 2024-02-01" in alone.failures[0]
    assert rows(morning, "select count(*) from information_schema.tables where table_name = 'predictions'") == [(0,)]


def test_the_corrected_delivery_is_recomputed_and_predicted_once(morning: Morning) -> None:
    morning.shop.say(faults={DAY: "negative"})
    morning.tick("daily_schedule")
    assert morning.tick("redelivery").skipped == "no corrected delivery of a broken window"
    morning.shop.say(faults={})
    (run,) = morning.tick("redelivery").runs
    assert run.success, run.failures
    assert run.tags["mlobs/reason"].startswith("corrected delivery of shop.features in 2024-02-01:")
    assert all(e.passed for e in run.evaluations if e.check_name == "field_health")
    assert rows(morning, "select count(*) from shop.predictions") == [(150,)]
    assert morning.tick("redelivery").runs == ()


def test_a_late_delivery_is_landed_when_it_comes(morning: Morning) -> None:
    morning.shop.say(faults={DAY: "not ready"})
    *_, run = morning.tick("daily_schedule").runs
    assert not run.success
    assert "load for window 2024-02-01 failed: FileNotFoundError: no delivery yet" in run.failures[0]
    morning.at("2024-02-02")
    morning.tick("daily_schedule")
    assert morning.tick("redelivery").runs == ()
    morning.shop.say(faults={})
    (late,) = morning.tick("redelivery").runs
    assert late.success, late.failures
    assert late.partition == DAY


def test_a_missing_column_is_a_failed_check_not_a_crash(morning: Morning) -> None:
    morning.shop.say(faults={DAY: "missing column"})
    *_, run = morning.tick("daily_schedule").runs
    failed = {e.check_name for e in run.evaluations if not e.passed}
    assert "schema" in failed
    assert not any("Traceback" in words for words in run.failures)


def test_half_of_the_rows_missing_fails_volume(morning: Morning) -> None:
    morning.shop.say(faults={DAY: "half"})
    *_, run = morning.tick("daily_schedule").runs
    (volume,) = [e for e in run.evaluations if e.check_name == "volume" and e.asset_key == FEATURES]
    assert not volume.passed


def test_checks_alone_take_their_partition_from_the_tag(morning: Morning) -> None:
    morning.tick("daily_schedule")
    wanted = dg.AssetCheckKey(FEATURES, "volume")
    run = morning.replay.run("basket_checks", partition=DAY, assets=[], checks=[wanted])
    assert run.success, run.failures
    assert [(e.check_name, e.partition) for e in run.evaluations] == [("volume", DAY)]


def test_a_run_without_a_partition_says_what_it_needs(morning: Morning) -> None:
    run = morning.replay.run("basket_checks", checks=[dg.AssetCheckKey(FEATURES, "volume")], assets=[])
    assert run.failures == (
        "this run has no partition: launch it with a partition, or a check alone with the tag"
        " dagster/partition=<partition key>",
    )


def test_a_backfill_states_every_partition_in_one_run(prepared: Path) -> None:
    with dg.DagsterInstance.from_ref(dg.DagsterInstance.local_temp(str(prepared / "dagster")).get_ref()) as instance:
        check = dg.AssetCheckKey(FEATURES, "volume")
        records = instance.event_log_storage.get_asset_check_execution_history(check, limit=100)
        assert sorted(r.partition or "" for r in records) == [f"2024-01-{day:02}" for day in range(1, 32)]
        assert {r.status.value for r in records} == {"SUCCEEDED"}
        learning = [r for r in records if r.evaluation and r.evaluation.description.startswith("learning")]
        assert {"2024-01-01", "2024-01-02"} <= {r.partition for r in learning}
        assert len(instance.get_materialized_partitions(FEATURES)) == 31


def test_a_range_of_predictions_leaves_out_the_faulty_window_and_says_so(morning: Morning) -> None:
    morning.at("2024-02-03", faults={"2024-02-02": "negative"})
    morning.replay.run("basket_backfill", partition="2024-02-01", through="2024-02-03")
    run = morning.replay.run(
        "basket_daily", partition="2024-02-01", through="2024-02-03", assets=[PREDICTIONS], checks=[]
    )
    assert not run.success
    assert "shop.features in 2024-02-02" in run.failures[0]
    assert morning.instance.get_materialized_partitions(PREDICTIONS) == {"2024-02-01", "2024-02-03"}
    assert rows(morning, 'select distinct "at"::date::text from shop.predictions order by 1') == [
        ("2024-02-01",),
        ("2024-02-03",),
    ]


def test_training_says_what_it_decided(morning: Morning) -> None:
    (record,) = morning.instance.fetch_materializations(dg.AssetKey(["basket", "model"]), limit=1).records
    assert record.asset_materialization is not None
    said = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert (said["version"], said["decision"], said["trigger"]) == ("1", "promoted", "manual")
    assert said["cross-validated mae"] == pytest.approx(4, abs=1.5)
    (data,) = morning.instance.fetch_materializations(dg.AssetKey(["basket", "training_set"]), limit=1).records
    assert data.asset_materialization is not None
    assert data.asset_materialization.metadata["dagster/row_count"].value == 31 * 150


def test_without_a_champion_predictions_say_how_to_get_one(tmp_path: Path, open_morning) -> None:  # type: ignore[no-untyped-def]
    fresh = open_morning(tmp_path)
    fresh.at(DAY)
    run = fresh.replay.run("basket_daily", partition=DAY, assets=[FEATURES, PREDICTIONS])
    assert run.failures == (
        "model 'basket' has no champion yet: run the job basket_retrain to train the first version",
    )


def test_verdicts_are_remembered_under_the_run(morning: Morning) -> None:
    *_, run = morning.tick("daily_schedule").runs
    history = History(f"sqlite:///{morning.shop.folder}/history.db")
    stored = history.verdicts("shop.features", detector="volume")
    history.close()
    assert stored[-1].verdict.window.key == DAY
    assert stored[-1].run_id == run.run_id
