"""The house stays livable: imports run one way, `import mlobs` is light, the wheel works alone, words match the package."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mlobs

ROOT = Path(__file__).parents[2]


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_run_one_way():
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_mlobs_is_light():
    code = (
        "import time, sys, json; start = time.process_time(); import mlobs; spent = time.process_time() - start;"
        "heavy = [m for m in ('dagster', 'mlflow', 'sklearn', 'bokeh', 'apprise') if m in sys.modules];"
        "print(json.dumps([spent, heavy]))"
    )
    spent, heavy = json.loads(python(code))
    assert heavy == []
    assert spent < 0.5


def test_the_notebook_path_needs_neither_dagster_nor_mlflow():
    code = (
        "import sys, pandas as pd, mlobs;"
        "frame = pd.DataFrame({'x': [1.0, 2.0, 3.0]});"
        "reference = mlobs.Reference.learn(frame); mlobs.drift(reference, mlobs.profile(frame, reference=reference));"
        "print([m for m in ('dagster', 'mlflow', 'sklearn') if m in sys.modules])"
    )
    assert python(code).strip() == "[]"


def test_every_public_name_exists():
    assert sorted(mlobs.__all__) == sorted(name for name in dir(mlobs))
    assert all(getattr(mlobs, name) is not None for name in mlobs.__all__)


def test_an_unknown_name_comes_with_the_nearest_one():
    with pytest.raises(AttributeError, match="did you mean 'Reference'"):
        _ = mlobs.Refrence


def test_the_version_is_stated_once():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert mlobs.__version__ == declared


@pytest.mark.slow
def test_a_wheel_installs_into_an_empty_environment_and_imports(tmp_path):
    uv = Path(sys.executable).parent / "uv"
    run = {"check": True, "capture_output": True, "text": True}
    subprocess.run([uv, "build", "--wheel", "--quiet", "--out-dir", tmp_path, ROOT], **run)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env"], **run)
    inside = tmp_path / "env" / "bin" / "python"
    constraints = ROOT / ".ci" / "constraints.txt"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", inside, "-c", constraints, wheel], **run)
    done = subprocess.run([inside, "-c", "import mlobs; print(mlobs.Table.__module__)"], cwd=tmp_path, **run)
    assert done.stdout.strip() == "mlobs.spec"
    assert (
        subprocess.run([inside.parent / "mlobs", "--version"], cwd=tmp_path, **run).stdout.strip()
        == "mlobs " + mlobs.__version__
    )
