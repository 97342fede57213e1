"""Ctrl-C at any moment of a command's life: status 130, one line, no traceback. Real processes, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlobs_tests.cli.conftest import PROGRAM, environment

AT_IMPORT = """
import os, signal, sys
from importlib.abc import MetaPathFinder

class Finder(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv[1:] = {arguments!r}
{program}
"""


READY = f"""
import sys

told = []

def ready(event, arguments):
    if event == "import" and arguments[0] == "mlobs.cli" and not told:
        told.append(print("ready", flush=True))

sys.addaudithook(ready)
sys.argv[1:] = ["report", "--output", "elsewhere"]
{PROGRAM}
"""
"""Says `ready` when it begins to import."""


def stopped(status: int, said: str) -> str:
    """The last line on stderr; the status is that of an interruption, and there is no traceback."""
    assert (status, "Traceback" in said, "ignored in" in said) == (130, False, False), said
    return said.splitlines()[-1]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """A process's status and what it said on stderr, when it has ended."""
    with process:
        _, said = process.communicate(timeout=60)
    return process.returncode, said


def started(folder: Path, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "module",
    [
        "typer",
        "rich",
        "mlobs.cli.setup",
        "mlobs.project",
        "monitoring",
        "numpy",
        "pandas",
        "sqlalchemy",
        "mlobs.history",
        "mlobs.report.collect",
        "duckdb",
    ],
)
def test_while_a_module_is_imported(shop: Path, module: str) -> None:
    command = ["check", "orders", "--window", "2024-03-19"] if module == "duckdb" else ["status"]
    program = AT_IMPORT.format(module=module, arguments=command, program=PROGRAM)
    assert stopped(*ended(started(shop, "-c", program))).startswith("error: interrupted")


@pytest.mark.slow
def test_at_any_time_after_the_start(shop: Path) -> None:
    begun = time.perf_counter()
    whole = started(shop, "-m", "mlobs", "report", "--output", "elsewhere")
    whole.communicate(timeout=120)
    taken = time.perf_counter() - begun
    for part in range(10):
        for _ in range(8):
            process = started(shop, "-c", READY)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.7 * taken * part / 10)
            process.send_signal(signal.SIGINT)
            status, said = ended(process)
            if status != 0:
                break
            taken *= 0.8  # it had ended, since the machine is less busy than it was: that proves nothing
        assert stopped(status, said).startswith("error: interrupted"), f"part {part} of {taken:.1f} s"
    assert not list((shop / "elsewhere").glob("*.tmp*")), "nothing half-written"
