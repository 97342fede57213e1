"""Real processes on the prepared shop: its folder, its environment, and a daemon that is always stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlobs_tests.orchestration.conftest import prepared as prepared  # the session's prepared shop

ROOT = Path(__file__).parents[2]
DAGSTER_YAML = "telemetry: {enabled: false}\nconcurrency: {pools: {granularity: op, default_limit: 1}}\n"
WORKSPACE = "load_from:\n  - python_module: {module_name: mlobs_tests.integration.location, location_name: mlobs}\n"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared shop with an instance and a workspace for real processes."""
    copy = tmp_path / "shop"
    shutil.copytree(prepared, copy)
    (copy / "dagster" / "dagster.yaml").write_text(DAGSTER_YAML)
    (copy / "workspace.yaml").write_text(WORKSPACE)
    return copy


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """The environment of those processes."""
    return {
        **os.environ,
        "DAGSTER_HOME": str(folder / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLOBS_SHOP": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture
def daemon(folder: Path, environment: dict[str, str]) -> Callable[[], object]:
    """A context manager that runs a real dagster-daemon, and stops it and all its children at the end."""

    @contextmanager
    def running() -> Iterator[subprocess.Popen[bytes]]:
        command = [str(Path(sys.executable).parent / "dagster-daemon"), "run", "-w", str(folder / "workspace.yaml")]
        with (folder / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                yield process
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    pass
                finally:
                    _kill_group(process.pid)
                    process.wait()

    return running


def _kill_group(leader: int) -> None:
    """Whatever is left of the session that was started for the daemon."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for(condition: Callable[[], bool], seconds: float, what: str, log: Path) -> None:
    """Wait until the condition holds; fails with the end of the log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.5)
    said = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    pytest.fail(f"{what} did not happen within {seconds:.0f} s\n{said}")
