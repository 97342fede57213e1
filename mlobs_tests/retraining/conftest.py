"""A history and an MLflow store, all real and new for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlobs.history import History
from mlobs.tracking import Tracking


@pytest.fixture
def history() -> Iterator[History]:
    with History("sqlite://") as opened:
        yield opened


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Tracking(f"sqlite:///{path}").versions("none")
    return path


@pytest.fixture
def tracking(empty_store: Path, tmp_path: Path) -> Tracking:
    return Tracking(f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}")
