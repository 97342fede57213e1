"""A small project in a folder of its own, and the command line in this process or as a real one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mlobs.cli import app

PROGRAM = "from mlobs.__main__ import main; main()"
ROOT = Path(__file__).parents[2]


def environment(**given: str) -> dict[str, str]:
    """The environment of a command: no project from outside, no colour, this source tree."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("MLOBS_PROJECT", "COLUMNS", "FORCE_COLOR")
    }
    return kept | {"PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"} | given


def spawn(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`mlobs` as a real process in `folder`."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`mlobs` in this process, in a folder."""
    monkeypatch.delenv("MLOBS_PROJECT", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(folder: Path, *arguments: str) -> Result:
        monkeypatch.chdir(folder)
        return CliRunner().invoke(app, list(arguments), prog_name="mlobs")

    return invoke


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample project with its orders judged up to the day of the fault; tests only read it or add feedback."""
    folder = tmp_path_factory.mktemp("cli") / "shop"
    for arguments in (
        ("init", "shop", "--sample"),
        ("backfill", "orders", "--from", "2024-02-01", "--to", "2024-03-20", "--now", "2024-03-21T06:00"),
        ("backfill", "deliveries", "--from", "2024-02-01", "--to", "2024-03-20", "--now", "2024-03-21T06:00"),
    ):
        done = spawn(folder if folder.exists() else folder.parent, *arguments)
        assert done.returncode == 0, done.stderr
    return folder
