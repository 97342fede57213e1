"""Real dagster-daemons: exactly one retraining per failed evaluation, across a restart, with two racing, one killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import pytest

from mlobs.orchestration.replay import Replay
from mlobs.tracking import Tracking
from mlobs_tests.integration.conftest import wait_for
from mlobs_tests.integration.eager import EAGER
from mlobs_tests.orchestration.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def mornings(shop: Shop, instance: dg.DagsterInstance, first: int, last: int) -> int:
    """Mornings in this process; how many accuracy evaluations failed."""
    replay, failed = Replay(shop.definitions(), instance), 0
    for day in range(first, last + 1):
        shop.say(now=f"2024-02-{day:02}T06:00")
        for run in replay.tick("basket_daily_schedule").runs:
            failed += sum(e.check_name == "accuracy" and not e.passed for e in run.evaluations)
    return failed


def retrainings(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    sensor = dg.RunsFilter(job_name="basket_retrain", tags={"dagster/sensor_name": "basket_retraining"})
    return list(instance.get_runs(sensor))


def finished(instance: dg.DagsterInstance, count: int) -> Callable[[], bool]:
    """Whether that many retrainings have come to their end, and no other is under way."""
    return lambda: len(runs := retrainings(instance)) >= count and all(run.status in FINISHED for run in runs)


def test_one_retraining_per_failed_evaluation_across_a_restart(
    folder: Path, daemon: Callable[[], AbstractContextManager[object]]
) -> None:
    shop = Shop(folder, **EAGER)
    shop.say(changed="2024-02-01")
    log = folder / "daemon.log"

    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        assert mornings(shop, instance, 1, 4) == 1
        with daemon():
            wait_for(finished(instance, 1), 300, "the first retraining", log)
            time.sleep(7)  # two more ticks
            assert len(retrainings(instance)) == 1
        assert mornings(shop, instance, 5, 5) == 1, "one more failure while the daemon is down"
        with daemon():
            wait_for(finished(instance, 2), 300, "the second retraining", log)
            time.sleep(7)
            runs = retrainings(instance)
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        assert len({run.tags["dagster/run_key"] for run in runs}) == 2
        assert {run.tags["mlobs/window"] for run in runs} == {"2024-02-03", "2024-02-04"}


def test_two_daemons_that_race_retrain_once_per_cause_also_when_one_is_killed(
    folder: Path, daemon: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]
) -> None:
    shop = Shop(folder, **EAGER)
    shop.say(changed="2024-02-01")
    log = folder / "daemon.log"
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}")
    before = len(tracking.versions("basket"))
    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        with daemon() as first, daemon():
            assert mornings(shop, instance, 1, 4) == 1, "one failure, and both daemons see it"
            wait_for(finished(instance, 1), 400, "the first retraining", log)
            time.sleep(7)  # two more ticks of each
            assert len(retrainings(instance)) == 1
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
            with daemon():
                assert mornings(shop, instance, 5, 5) == 1, "one more, seen by the one that is left and by a new one"
                wait_for(finished(instance, 2), 400, "the second retraining", log)
                time.sleep(7)
        runs = retrainings(instance)
        keys = [run.tags["dagster/run_key"] for run in runs]
    assert "Another SENSOR daemon is still sending heartbeats" in log.read_text(), "the two never ran side by side"
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
    assert len(set(keys)) == 2
    assert len(tracking.versions("basket")) == before + 2, "each run has trained once"
