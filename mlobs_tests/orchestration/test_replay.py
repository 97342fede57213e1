"""Runs in this process on a real instance: what the daemon and the UI find there afterwards."""

from pathlib import Path

import dagster as dg

from mlobs.orchestration.fast_storage import fast_storage
from mlobs.orchestration.replay import Replay
from mlobs_tests.orchestration.conftest import QUIET


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def thing(context: dg.AssetExecutionContext) -> None:
    if context.partition_key == "b":
        raise dg.Failure(description="b is broken", allow_retries=False)


thing_job = dg.define_asset_job("thing_job", selection="thing", executor_def=dg.in_process_executor)


@dg.sensor(job=thing_job, minimum_interval_seconds=1)
def watcher(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    count = int(context.cursor or 0)
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key="once", partition_key="a")], cursor=str(count + 1))


DEFS = dg.Definitions(assets=[thing], jobs=[thing_job], sensors=[watcher])


def test_run_says_why_it_failed() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = Replay(DEFS, instance).run("thing_job", partition="b")
        assert (run.success, run.failures, run.partition) == (False, ("b is broken",), "b")


def test_ticks_keep_cursor_and_run_keys_in_the_instance(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=QUIET) as instance:
        replay = Replay(DEFS, instance)
        (run,) = replay.tick("watcher").runs
        assert run.tags["dagster/run_key"] == "once"
        assert replay.tick("watcher").repeated == ("once",)
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=QUIET) as instance:
        later = Replay(DEFS, instance)
        assert later.cursor("watcher") == "2"
        assert later.tick("watcher").repeated == ("once",)
        origin = later._origin("watcher")
        ticks = instance.get_ticks(origin.get_id(), origin.get_selector().get_id())
        assert [list(tick.run_ids) for tick in ticks] == [[run.run_id]]


def test_fast_storage_writes_what_dagster_reads(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=QUIET) as instance:
        with fast_storage(instance):
            runs = [Replay(DEFS, instance).run("thing_job", partition="a") for _ in range(6)]
        after = Replay(DEFS, instance).run("thing_job", partition="a")
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=QUIET) as instance:
        assert instance.get_runs_count() == 7
        for run in (*runs, after):
            events = [entry.dagster_event_type for entry in instance.all_logs(run.run_id)]
            assert dg.DagsterEventType.RUN_SUCCESS in events
        assert instance.get_materialized_partitions(dg.AssetKey("thing")) == {"a"}
    folder = tmp_path / "history" / "runs"
    assert {path.stem for path in folder.glob("*.db")} == {"index", *(run.run_id for run in (*runs, after))}


def test_fast_storage_leaves_other_storages_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance, fast_storage(instance):
        assert Replay(DEFS, instance).run("thing_job", partition="a").success
