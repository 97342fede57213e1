"""Every session in docs/cli.md is run as it stands, in order, by real processes in one folder."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from mlobs_tests.cli.conftest import ROOT, spawn
from mlobs_tests.cli.test_help import COMMANDS

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def sessions(page: str) -> list[tuple[str, list[str]]]:
    """(command, expected lines) of every ```console block, in order."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page, flags=re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(line)
    return found


def test_every_command_has_an_example_on_the_page():
    assert [name for name in COMMANDS if f"mlobs {name}" not in PAGE] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_sessions_print_what_the_page_says(tmp_path: Path):
    folder = tmp_path
    for command, expected in sessions(PAGE):
        words = shlex.split(command, comments=True)
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        assert words[0] == "mlobs", command
        if "$OPEN" in words:
            words[words.index("$OPEN")] = open_incident(folder)
        status = int(re.search(r"# status (\d)", command).group(1)) if "# status" in command else 0
        done = spawn(folder, *words[1:], COLUMNS="200")
        assert done.returncode == status, f"$ {command}\n{done.stdout}\n{done.stderr}"
        for line in expected:
            pattern = ".*".join(re.escape(part.strip()) for part in line.split("..."))
            assert re.search(pattern, done.stdout), f"$ {command}\nno line {line!r} in\n{done.stdout}"


def open_incident(folder: Path) -> str:
    listed = json.loads(spawn(folder, "incidents", "--json").stdout)
    known = json.loads(spawn(folder, "incidents", "--all", "--json").stdout)
    active = [i["id"] for i in listed] or [i["id"] for i in known if i["state"] == "acknowledged"]
    return str(active[0])
