"""The ways into Dagster that the README names load the definitions: `workspace.yaml` and `dg`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
        ("dg", "check", "defs"),
    ],
    ids=lambda c: c[0],
)
def test_definitions_load(command: tuple[str, ...], tmp_path: Path) -> None:
    program = Path(sys.executable).with_name(command[0])
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "MLOBS_DEMO": str(tmp_path / "demo")}
    run = subprocess.run(
        [str(program), *command[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    said = run.stdout + run.stderr
    assert run.returncode == 0, said
    assert "mlobs" in said if command[0] == "dagster" else "loaded successfully" in said
