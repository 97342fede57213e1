"""The command line before anything runs: quick, helpful, and without Dagster."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys

import pytest

from mlobs_tests.cli.conftest import PROGRAM, environment, spawn

COMMANDS = (
    *("init", "demo", "doctor", "validate", "status", "report", "incidents", "versions", "profile", "explain-sql"),
    *("check", "backfill", "train", "rollback", "ack", "expected", "mute"),
)


def test_help_lists_every_command_in_the_order_of_work(tmp_path):
    done = spawn(tmp_path, "--help")
    assert done.returncode == 0
    assert re.findall(r"^│ ([a-z-]+) {2,}[A-Z]", done.stdout, flags=re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run, tmp_path, command):
    told = run(tmp_path, command, "--help")
    assert told.exit_code == 0
    assert f"mlobs {command}" in told.output.split("Example")[1]
    assert "--json" in told.output


def test_help_takes_little_time_and_imports_nothing_heavy(tmp_path):
    heavy = ("pandas", "numpy", "dagster", "mlflow", "sklearn", "bokeh", "sqlalchemy", "duckdb", "scipy")
    told = f"import sys, json; from mlobs.cli import app; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert json.loads(done.stdout) == []
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 1.0, f"{spent:.2f} s of CPU"


def test_commands_do_not_import_dagster(shop):
    program = (
        f"import sys; sys.argv[1:] = ['status']\ntry:\n    {PROGRAM}\nexcept SystemExit as left:\n    code = left.code"
    )
    program += "\nprint('dagster' in sys.modules, code)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=shop, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False 0"


def test_version(run, tmp_path):
    from mlobs import __version__

    assert run(tmp_path, "--version").output == f"mlobs {__version__}\n"


def test_an_unknown_command_names_the_nearest(tmp_path):
    done = spawn(tmp_path, "statsu")
    assert done.returncode == 2
    assert "Did you mean 'status'?" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_completion(tmp_path, shell):
    done = spawn(tmp_path, "--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert done.returncode == 0
    assert "_MLOBS_COMPLETE" in done.stdout


def test_output_that_is_piped_has_no_colour_and_on_a_terminal_it_has(shop):
    assert "\x1b[" not in spawn(shop, "incidents").stdout
    assert "\x1b[" in spawn(shop, "incidents", FORCE_COLOR="1").stdout
