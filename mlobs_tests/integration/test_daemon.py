"""A real dagster-daemon: exactly one retraining per failed evaluation, also across a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import pytest

from mlobs.orchestration.replay import Replay
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


def test_one_retraining_per_failed_evaluation_across_a_restart(
    folder: Path, daemon: Callable[[], AbstractContextManager[object]]
) -> None:
    shop = Shop(folder, **EAGER)
    shop.say(changed="2024-02-01")
    log = folder / "daemon.log"

    def retrainings() -> list[dg.DagsterRun]:
        return list(
            instance.get_runs(
                dg.RunsFilter(job_name="basket_retrain", tags={"dagster/sensor_name": "basket_retraining"})
            )
        )

    def finished(count: int) -> Callable[[], bool]:
        return lambda: len(runs := retrainings()) >= count and all(run.status in FINISHED for run in runs)

    with dg.DagsterInstance.from_config(str(folder / "dagster")) as instance:
        assert mornings(shop, instance, 1, 4) == 1
        with daemon():
            wait_for(finished(1), 300, "the first retraining", log)
            time.sleep(7)  # two more ticks
            assert len(retrainings()) == 1
        assert mornings(shop, instance, 5, 5) == 1, "one more failure while the daemon is down"
        with daemon():
            wait_for(finished(2), 300, "the second retraining", log)
            time.sleep(7)
            runs = retrainings()
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        assert len({run.tags["dagster/run_key"] for run in runs}) == 2
        assert {run.tags["mlobs/window"] for run in runs} == {"2024-02-03", "2024-02-04"}
