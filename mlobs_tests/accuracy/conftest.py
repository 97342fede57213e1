"""A warehouse with literal predictions and actuals, and models of the three tasks over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlobs.engines import Engine, connect
from mlobs.spec import Model
from mlobs_tests.accuracy.declared import BOTH


def moments(texts: list[str]) -> pd.Series:
    return pd.to_datetime(pd.Series(texts), utc=True)


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def engine(warehouse: Path) -> Iterator[Engine]:
    opened = connect(f"duckdb:///{warehouse}")
    yield opened
    opened.close()


@pytest.fixture
def fill(engine: Engine) -> Callable[..., Engine]:
    """Lands rows (id, at, origin, version, guess) and labels (id, at, truth)."""

    def land(model: Model, rows: list[tuple[Any, ...]], labels: list[tuple[Any, ...]]) -> Engine:
        table = pd.DataFrame(rows, columns=["id", "at", "origin", "model_version", "guess"])
        table["at"] = moments(list(table["at"]))
        truth = pd.DataFrame(labels, columns=["id", "at", "truth"])
        truth["at"] = moments(list(truth["at"]))
        features = table[["id", "at", "origin"]].drop_duplicates("id")
        engine.land(model.features, BOTH, features)
        keyed = table[["id", "at", "model_version", "guess"]]
        engine.land(model.predictions, BOTH, keyed)
        engine.land(model.actuals, BOTH, truth)
        return engine

    return land
