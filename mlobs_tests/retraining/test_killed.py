"""A training run killed (SIGKILL) at any step leaves the champion serving; run again, it finishes the job. Nothing is done twice."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest

from mlobs_tests.retraining.killed import CAUSE, STEPS, dies, prepare, retrained, world

pytestmark = pytest.mark.slow

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["mlobs_tests.retraining.killed"])

MOVED = {
    "the alias was moved",
    "the promotion was settled",
    "the promotion was remembered",
    "the reference was pinned",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step(step: str, prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    shutil.copytree(prepared, folder)
    process = PROCESSES.Process(target=dies, args=(folder, step))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL

    monitoring, tracking = world(folder)
    history, (model,) = monitoring.history, monitoring.models
    served = tracking.champion("delays")
    assert served is not None
    assert served.version == ("2" if step in MOVED else "1")
    assert tracking.load(served) is not None

    for _ in range(2):  # the run that finishes the job, and one that finds nothing left to do
        outcome = retrained(folder)
        assert (outcome.version.version, outcome.promoted) == ("2", True)
        assert outcome.reason.startswith("promoted: mae")
        first, second = tracking.versions("delays")
        assert (first.aliases, second.aliases) == ((), ("champion",))
        assert (second.tags["cause"], second.tags["replaced"]) == (CAUSE, "1")
        assert tracking.load(second) is not None
        assert tracking.client.get_registered_model("delays").tags["mlobs.champion"] == "2"
        runs = tracking.client.search_runs(["1"])
        of_cause = [run for run in runs if run.data.tags["mlobs.cause"] == CAUSE]
        assert [run.info.run_id for run in of_cause if run.info.status == "FINISHED"] == [second.run_id]
        assert {run.info.status for run in of_cause} <= {"FINISHED", "KILLED"}
        audit = [(p.version, p.at, p.by, p.reason) for p in history.promotions("delays")]
        assert [version for version, *_ in audit] == ["1", "2"]
        assert audit[1][1:] == (outcome.training.at, "mlobs", second.tags["promoted_because"])
        assert [(v.version, v.fate) for v in history.versions("delays")] == [("1", "promoted"), ("2", "promoted")]
        pinned = history.reference(model.features.id)
        assert pinned is not None
        assert pinned.version == "2"
    history.close()
