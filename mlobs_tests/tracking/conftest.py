"""A real MLflow store in SQLite, copied from one made once since making its tables takes two seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlobs.tracking import Tracking


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Tracking(f"sqlite:///{path}").versions("none")
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))


@pytest.fixture
def tracking(store: Path) -> Tracking:
    return Tracking(f"sqlite:///{store}")
