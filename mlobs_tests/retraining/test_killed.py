"""A training run killed (SIGKILL) at any step leaves the champion serving; run again, it finishes the job. Nothing is done twice."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest

from mlobs_tests.retraining.killed import CAUSE, CONCLUSION, STEPS, concluded, dies, prepare, retrained, watch, world

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


def killed(prepared: Path, folder: Path, step: str, in_shadow: bool = False) -> None:
    """A copy of the prepared world, in which a process was killed at the step."""
    shutil.copytree(prepared, folder)
    process = PROCESSES.Process(target=dies, args=(folder, step, in_shadow))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step(step: str, prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    killed(prepared, folder, step)
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


@pytest.fixture(scope="module")
def in_shadow(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folders = {lasting: tmp_path_factory.mktemp("shadow") for lasting in (True, False)}
    for lasting, folder in folders.items():
        watch(folder, lasting)
    return folders


@pytest.mark.parametrize(
    ("step", "wins"),
    [(step, step != "the refusal was noted") for step in CONCLUSION]
    + [("both were compared", False), ("the decision was remembered", False)],
)
def test_killed_at_the_end_of_a_time_in_shadow(
    step: str, wins: bool, in_shadow: dict[bool, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "world"
    killed(in_shadow[wins], folder, step, in_shadow=True)
    monitoring, tracking = world(folder, shadow=5)
    history, (model,) = monitoring.history, monitoring.models
    moved = wins and (step in MOVED or step == "the decision was remembered")
    served = tracking.champion("delays")
    assert served is not None
    assert served.version == ("2" if moved else "1")

    for _ in range(2):  # the run that finishes the job, and one that finds nothing left to do
        outcome = concluded(folder)
        assert (outcome.version.version, outcome.promoted) == ("2", wins)
        assert outcome.reason.startswith("promoted: mae" if wins else "refused: mae")
        assert outcome.reason.endswith("watched in shadow")
        first, second = tracking.versions("delays")
        assert (first.aliases, second.aliases) == (((), ("champion",)) if wins else (("champion",), ()))
        assert len(tracking.client.search_runs(["1"])) == 2
        audit = [(p.version, p.at, p.reason) for p in history.promotions("delays")]
        assert [version for version, *_ in audit] == (["1", "2"] if wins else ["1"])
        if wins:
            assert audit[1][2] == second.tags["promoted_because"] == outcome.reason
        found = {v.version: v for v in history.versions("delays")}
        assert [v.fate for v in found.values()] == ["promoted", "promoted" if wins else "refused"]
        assert found["2"].info["won"].startswith("shadow: mae")
        pinned = history.reference(model.features.id)
        assert pinned is not None
        assert pinned.version == ("2" if wins else "1")
    history.close()
