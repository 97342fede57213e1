"""A project on a file system that can't be written: what only reads works, what writes says so in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlobs_tests.cli.conftest import environment

NOW = ("--now", "2024-03-21T06:00")
LOOKS = {
    "doctor": ("doctor",),
    "validate": ("validate",),
    "status": ("status", *NOW),
    "incidents": ("incidents",),
    "one incident": ("incidents", "1"),
    "versions": ("versions", "delivery_time", *NOW),
    "profile": ("profile", "orders", "--window", "2024-03-20", "--field", "courier_wait_min"),
    "explain-sql": ("explain-sql", "orders", "--window", "2024-03-20"),
    "mutes": ("mute", "--list"),
}
WRITES = {
    "check": ("check", "orders", "--window", "2024-03-20", *NOW),
    "backfill": ("backfill", "orders", "--from", "2024-03-20", "--to", "2024-03-20", *NOW),
    "ack": ("ack", "1", "--by", "ann"),
    "expected": ("expected", "1", "--by", "ann"),
    "mute": ("mute", "orders", "--until", "2024-04-15", "--by", "ann", *NOW),
    "report": ("report", *NOW),
}
Told = tuple[int, str, str]
PROGRAM = """
import json, sys
from typer.testing import CliRunner
from mlobs.cli import app
told = {}
for name, arguments in json.load(sys.stdin).items():
    done = CliRunner().invoke(app, arguments, prog_name="mlobs")
    told[name] = done.exit_code, done.stdout, done.stderr
json.dump(told, sys.stdout)
"""


def told(folder: Path, commands: dict[str, tuple[str, ...]], *prefix: str) -> dict[str, Told]:
    """(status, stdout, stderr) of each command, run in `folder` by one process."""
    done = subprocess.run(
        [*prefix, sys.executable, "-c", PROGRAM],
        cwd=folder,
        input=json.dumps(commands),
        env=environment(COLUMNS="200"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name: tuple(said) for name, said in json.loads(done.stdout.splitlines()[-1]).items()}


MOUNT = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && cd "$PWD" && shift && exec "$@"'


@contextmanager
def read_only(folder: Path, place: Path) -> Iterator[Callable[[dict[str, tuple[str, ...]]], dict[str, Told]]]:
    """Runs commands in `folder` while `place` can't be written: a read-only mount for root, permissions for others."""
    if os.geteuid() != 0:
        for inside in (place, *place.rglob("*")):
            inside.chmod(0o555 if inside.is_dir() else 0o444)
        yield lambda commands: told(folder, commands)
        for inside in (place, *place.rglob("*")):
            inside.chmod(0o755 if inside.is_dir() else 0o644)
        return
    prefix = ("unshare", "--mount", "sh", "-c", MOUNT, "mount", str(place))
    if subprocess.run([*prefix, "true"], cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip("root can write everywhere, and may not mount anything read-only here")
    yield lambda commands: told(folder, commands, *prefix)


@pytest.fixture(scope="module")
def still(shop: Path, tmp_path_factory: pytest.TempPathFactory):
    """Runs commands in a copy of the shop that can't be written."""
    folder = tmp_path_factory.mktemp("still") / "shop"
    shutil.copytree(shop, folder)
    with read_only(folder, folder) as run:
        yield run


def test_what_only_reads_says_the_same_as_on_a_folder_that_can_be_written(still, shop):
    found, writable = still(LOOKS), told(shop, LOOKS)
    known = [name for name in LOOKS if name != "doctor"]
    assert {name: found[name] for name in known} == {name: writable[name] for name in known}
    assert [found[name][0] for name in known] == [0] * len(known)


def test_doctor_names_what_can_be_written_no_more(still):
    status, out, _ = still({"doctor": ("doctor", "--json")})["doctor"]
    states = {one["what"]: (one["state"], one["detail"]) for one in json.loads(out)}
    assert status == 1
    assert states["warehouse"][0] == "ok"
    assert states["history"][0] == "broken"
    assert "readonly database; it can't be written" in states["history"][1]
    assert "is not writable" in states["report folder"][1]


def test_what_writes_says_what_cannot_be_written_and_the_mend(still):
    for name, (status, out, complaint) in still(WRITES).items():
        assert (name, status, out) == (name, 2, "")
        assert complaint.startswith("error: ")
        assert any(said in complaint.lower() for said in ("read-only", "readonly")), complaint
        assert any(mend in complaint for mend in ("choose another", "check the path")), complaint


def test_a_report_of_it_can_be_written_elsewhere(still, tmp_path):
    status, _, _ = still({"report": ("report", "--output", str(tmp_path / "pages"), *NOW)})["report"]
    assert (status, sorted(p.name for p in (tmp_path / "pages").iterdir())) == (0, ["delivery_time.html", "index.html"])


@pytest.mark.timeout(600)
def test_versions_that_can_only_be_read_are_read_and_not_trained_in_vain(shop, tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(shop, folder)
    module = folder / "monitoring.py"
    module.write_text(module.read_text().replace("sqlite:///data/mlflow.db", "sqlite:///store/mlflow.db"))
    train = {"train": ("train", "delivery_time", "--now", "2024-03-18T06:00")}
    assert told(folder, train)["train"][0] == 0
    commands = {
        "status": ("status", *NOW),
        "versions": ("versions", "delivery_time", *NOW),
        "report": ("report", "--output", str(tmp_path / "pages"), *NOW),
        "predictions": ("backfill", "delivery_time", "--from", "2024-03-18", "--to", "2024-03-18", *NOW),
        "doctor": ("doctor", "--json"),
        "rollback": ("rollback", "delivery_time", "--to", "1", "--yes", "--by", "ann"),
        **train,
    }
    with read_only(folder, folder / "store") as run:
        found = run(commands)
    assert {name: found[name][0] for name in commands} == dict.fromkeys(commands, 0) | {
        "doctor": 1,
        "rollback": 2,
        "train": 2,
    }
    tracking = next(one for one in json.loads(found["doctor"][1]) if one["what"] == "tracking")
    assert (tracking["state"], "mlflow.db is read-only" in tracking["detail"]) == ("broken", True)
    refused = "in the MLflow store sqlite:///"
    assert found["rollback"][2].startswith(f"error: can't promote version 1 of model 'delivery_time' {refused}")
    assert found["train"][2].startswith(f"error: can't log a training of model 'delivery_time' {refused}"), "said first"
