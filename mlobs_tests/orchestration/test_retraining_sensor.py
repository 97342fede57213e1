"""The retraining sensor: one run per failed evaluation, hold and wait with a reason, decisions remembered."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlobs.history import History
from mlobs.orchestration.replay import Tick
from mlobs.orchestration.sensors import Failure, Memory
from mlobs.spec import Signal
from mlobs_tests.orchestration.conftest import Morning
from mlobs_tests.orchestration.shop import Shop

FIRST = Failure(7, "basket/performance:accuracy", "2024-02-05", "run-a", 100.0)
SECOND = Failure(5, "basket/performance:accuracy", "2024-02-06", "run-b", 160.0)  # planned earlier, evaluated later


def test_memory_sees_each_failure_once_whatever_the_order_of_ids() -> None:
    memory, fresh = Memory().noting([FIRST])
    assert (fresh, memory.pending) == ([FIRST], FIRST)
    memory, fresh = memory.noting([FIRST, SECOND])
    assert (fresh, memory.pending) == ([SECOND], SECOND)
    memory, fresh = replace(memory, pending=None).noting([FIRST, SECOND])
    assert (fresh, memory.pending) == ([], None)


def test_memory_survives_its_cursor() -> None:
    memory = Memory(160.0, (7, 5), SECOND, "wait")
    assert Memory.read(memory.write()) == memory
    assert Memory.read(None) == Memory()
    assert json.loads(Memory().write())["pending"] is None


def days(morning: Morning, first: int, last: int, **script: object) -> list[Tick]:
    """Mornings of February, one after the other; what the retraining sensor said on each."""
    ticks = []
    for day in range(first, last + 1):
        morning.at(f"2024-02-{day:02}", **script)
        morning.tick("daily_schedule")
        ticks.append(morning.tick("retraining"))
    return ticks


@pytest.fixture
def changed(morning: Morning) -> Morning:
    """The world changes on the first of February."""
    morning.shop.say(changed="2024-02-01")
    return morning


def test_nothing_failed_nothing_asked(morning: Morning) -> None:
    (tick,) = days(morning, 1, 1)
    assert (tick.runs, tick.skipped) == ((), "no failed accuracy evaluation of basket waits for an answer")


def test_lasting_failure_retrains_once_and_then_waits(changed: Morning) -> None:
    ticks = days(changed, 1, 8)
    runs = [run for tick in ticks for run in tick.runs]
    assert len(runs) == 1
    (run,) = runs
    assert run.success, run.failures
    assert run.job == "basket_retrain"
    assert run.tags["mlobs/trigger"] == "accuracy"
    assert run.tags["mlobs/reason"].startswith("accuracy failed in the newest 2 mature windows")
    assert run.tags["mlobs/check"] == "basket/performance:accuracy"
    assert run.tags["dagster/run_key"].startswith("basket:")
    assert run.tags["dagster/sensor_name"] == "basket_retraining"
    asked = next(number for number, tick in enumerate(ticks) if tick.runs)
    assert ticks[asked - 1].skipped.startswith("wait: accuracy failed in the newest 1 mature window of the 2")
    assert changed.tick("retraining").runs == ()
    history = History(f"sqlite:///{changed.shop.folder}/history.db")
    decisions = history.decisions("basket")
    history.close()
    assert [d.answer for d in decisions].count("retrain") == 1
    assert decisions[0].at.year == 2024


def test_a_data_fault_holds_until_it_is_repaired(changed: Morning) -> None:
    days(changed, 1, 4)
    held = days(changed, 5, 6, faults={"2024-02-05": "negative"})
    assert held[-1].runs == ()
    assert held[-1].skipped.startswith("hold: accuracy failed")
    assert "shop.features in 2024-02-05" in held[-1].skipped
    changed.shop.say(faults={})
    assert [run.success for run in changed.tick("redelivery").runs] == [True]
    assert [run.success for run in changed.tick("retraining").runs] == [True]


def test_a_lost_cursor_asks_for_no_second_run(
    prepared: Path, tmp_path: Path, open_morning: Callable[..., Morning]
) -> None:
    import shutil

    folder = tmp_path / "eager"
    shutil.copytree(prepared, folder)
    eager = open_morning(folder, cooldown=timedelta(0), monthly_budget=99, failures=1)
    eager.shop.say(changed="2024-02-01")
    ticks = days(eager, 1, 6)
    runs = [run for tick in ticks for run in tick.runs]
    assert len({run.tags["dagster/run_key"] for run in runs}) == len(runs) > 0
    eager.replay._save_cursor("basket_retraining", None, 0.0)
    again = eager.tick("retraining")
    assert again.runs == ()


def asked(morning: Morning, folder: Path, sensor: str = "basket_retraining") -> list[str]:
    """The run keys that another daemon, with the same cursor and instance, would ask for now; it launches nothing."""
    import dagster as dg

    other = Morning(Shop(folder, **morning.shop.policy), morning.instance).replay
    context = dg.build_sensor_context(
        instance=morning.instance,
        cursor=morning.replay.cursor(sensor),
        repository_def=other.repository,
        sensor_name=sensor,
    )
    with context:
        found = other.repository.get_sensor_def(sensor).evaluate_tick(context)
    return [str(request.run_key) for request in found.run_requests or []]


def test_of_two_daemons_that_race_one_asks(changed: Morning) -> None:
    first: list[str] = []
    for day in range(1, 7):
        changed.at(f"2024-02-{day:02}")
        changed.tick("daily_schedule")
        first = asked(changed, changed.shop.folder)
        if first:
            break
    assert len(first) == 1
    assert asked(changed, changed.shop.folder) == [], "the other daemon has claimed the cause"
    waiting = changed.tick("retraining")
    assert waiting.runs == ()
    assert waiting.skipped.startswith("another daemon is asking for this run: accuracy failed")


def test_a_run_whose_process_was_killed_stops_training_for_six_hours_and_not_for_ever(changed: Morning) -> None:
    import dagster as dg

    from mlobs.orchestration.sensors import SILENCE, is_running

    job = changed.replay.repository.get_job("basket_retrain")
    run = changed.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    changed.instance.report_engine_event("the step begins, and then the process is killed", run)
    begun = changed.instance.get_records_for_run(run.run_id).records[-1].timestamp
    killed = datetime.fromtimestamp(begun, UTC)
    assert is_running(changed.instance, "basket_retrain", killed + SILENCE - timedelta(minutes=1))
    assert not is_running(changed.instance, "basket_retrain", killed + SILENCE + timedelta(seconds=1))
    assert not is_running(changed.instance, "another_job", killed)


def reopened(prepared: Path, tmp_path: Path, open_morning: Callable[..., Morning], **policy: object) -> Morning:
    import shutil

    folder = tmp_path / "other"
    shutil.copytree(prepared, folder)
    return open_morning(folder, **policy)


def test_the_floor_of_the_schedule_trains_a_model_that_is_well(
    prepared: Path, tmp_path: Path, open_morning: Callable[..., Morning]
) -> None:
    morning = reopened(prepared, tmp_path, open_morning, every=timedelta(days=5))
    assert [len(tick.runs) for tick in days(morning, 3, 7)] == [0, 0, 0, 1, 0]


def test_a_row_of_others_trains_once_and_says_why(
    prepared: Path, tmp_path: Path, open_morning: Callable[..., Morning]
) -> None:
    import duckdb

    morning = reopened(
        prepared, tmp_path, open_morning, signal=Signal("ops.requests", "at", "why"), cooldown=timedelta(0)
    )
    assert days(morning, 1, 1)[0].skipped == "wait: nothing calls for training"
    with duckdb.connect(str(morning.shop.folder / "warehouse.duckdb")) as connection:
        connection.execute("create schema ops")
        connection.execute(
            "create table ops.requests as select timestamp '2024-02-02 05:00' as at, 'new prices' as why"
        )
    ticks = days(morning, 2, 3)
    (run,) = [run for tick in ticks for run in tick.runs]
    assert run.success, run.failures
    assert run.tags["mlobs/trigger"] == "external"
    assert run.tags["mlobs/reason"] == "a row of 2024-02-02 05:00 UTC in ops.requests asks for training: new prices"
    assert run.tags["dagster/run_key"] == "basket:external:2024-02-02T05:00:00+00:00"
