"""Several projects in one process: each is what its own folder says, whatever was loaded before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlobs import project
from mlobs.project import load_project

MONITORING = """
import mlobs
from names import NAME
from parts.tables import TABLE

common = {{"key": "id", "time": "at", "start": "2024-01-01"}}
model = mlobs.Model(
    name=NAME,
    task="regression",
    features=mlobs.Table(TABLE, **common),
    predictions=mlobs.Table("predictions", **common),
    actuals=mlobs.Table("actuals", **common),
    prediction="predicted",
    actual="actual",
    inputs=["x"],
    train=lambda frame: __import__("late_{name}").WHOSE,
    predict=lambda estimator, frame: None,
)
project = mlobs.Project(models=[model])
"""


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch):
    """What these tests import is gone afterwards, and what they displaced is back."""
    monkeypatch.delenv("MLOBS_PROJECT", raising=False)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(project, "_FOLDERS", project._FOLDERS[:])
    before = dict(sys.modules)
    yield
    for name in [*sys.modules]:
        if name.partition(".")[0] in ("monitoring", "names", "parts", "late_ours", "late_theirs"):
            del sys.modules[name]
    sys.modules.update({name: module for name, module in before.items() if name not in sys.modules})


def written(folder: Path, name: str, setting: str = "monitoring:project") -> Path:
    """A project in files that are named like those of any other."""
    (folder / "parts").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(f'[tool.mlobs]\nproject = "{setting}"\n')
    (folder / "monitoring.py").write_text(MONITORING.format(name=name))
    (folder / "names.py").write_text(f"NAME = {name!r}\n")
    (folder / "parts" / "__init__.py").touch()
    (folder / "parts" / "tables.py").write_text(f"TABLE = 'table_of_{name}'\n")
    (folder / f"late_{name}.py").write_text(f"WHOSE = {name!r}\n")
    return folder


@pytest.mark.parametrize("setting", ["monitoring:project", "monitoring.py:project"])
def test_projects_with_modules_of_one_name_are_loaded_side_by_side_and_again(tmp_path: Path, setting: str) -> None:
    folders = {name: written(tmp_path / name, name, setting) for name in ("ours", "theirs")}
    found = [load_project(folder=folders[name]) for name in ("ours", "theirs", "ours", "theirs")]
    told = [(p.models[0].name, p.models[0].features.name, p.root) for p in found]
    ours = ("ours", "table_of_ours", folders["ours"])
    theirs = ("theirs", "table_of_theirs", folders["theirs"])
    assert told == [ours, theirs, ours, theirs]
    trained = [p.models[0].train for p in found]
    assert [train(None) for train in trained if train] == ["ours", "theirs", "ours", "theirs"]


def test_a_project_loaded_twice_is_imported_once(tmp_path: Path) -> None:
    folder = written(tmp_path / "ours", "ours")
    assert load_project(folder=folder).models[0] is load_project(folder=folder).models[0]


def test_a_project_inside_another_ones_folder_is_itself(tmp_path: Path) -> None:
    outer = written(tmp_path / "outer", "ours")
    inner = written(outer / "inner", "theirs")
    names = [load_project(folder=folder).models[0].name for folder in (outer, inner, outer)]
    assert names == ["ours", "theirs", "ours"]


def test_modules_that_no_project_brought_stay(tmp_path: Path) -> None:
    written(tmp_path / "ours", "ours")
    (tmp_path / "ours" / "json.py").write_text("raise AssertionError('the standard one is meant')\n")
    import json

    load_project(folder=written(tmp_path / "theirs", "theirs"))
    load_project(folder=tmp_path / "ours")
    assert sys.modules["json"] is json


def test_relative_places_stay_where_the_project_is_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "ours", "ours")
    monkeypatch.chdir(tmp_path)
    found = load_project(folder=Path("ours"))
    monkeypatch.chdir("/")
    assert found.placed("sqlite:///data/history.db") == f"sqlite:///{tmp_path}/ours/data/history.db"
