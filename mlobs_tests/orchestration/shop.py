"""A small real pipeline for tests: a shop's baskets, DuckDB, history and MLflow in one folder, faults by a file.

`source.json` in the folder says which deliveries are faulty, from when on the world has changed, and what time it is,
so that other processes see the same.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlobs.orchestration import build_definitions
from mlobs.spec import (
    Accuracy,
    Drift,
    Field,
    FieldHealth,
    Freshness,
    Mix,
    Model,
    Retraining,
    Schema,
    Table,
    Volume,
)
from mlobs.windows import Window, instant

START = "2024-01-01"
ROWS = 150
NAME = "basket"


class Shop:
    """The shop in one folder: its declaration, and a source whose faults tests script."""

    def __init__(self, folder: Path, **policy: Any) -> None:
        self.folder = Path(folder)
        self.policy = {
            "failures": 2,
            "cooldown": timedelta(days=3),
            "min_new_labels": 0,
            "holdout": 5,
            "hold_windows": 3,
        }
        self.policy |= {"folds": 2, **policy}

    # What the source delivers

    @property
    def script(self) -> dict[str, Any]:
        file = self.folder / "source.json"
        return json.loads(file.read_text()) if file.exists() else {"now": START, "changed": None, "faults": {}}

    def say(self, **changes: Any) -> None:
        """Change the script: `now`, `changed` (day from which the world differs), `faults` (day -> fault)."""
        (self.folder / "source.json").write_text(json.dumps(self.script | changes))

    def clock(self) -> datetime:
        return instant(self.script["now"])

    def rows(self, window: Window) -> pd.DataFrame:
        generator = np.random.default_rng(int(window.start.timestamp()) // 3600)
        amount = 10.0 + generator.permutation(ROWS)  # the same values every day: nothing fails by chance
        changed = self.script["changed"]
        shift = 40.0 if changed and window.start >= instant(changed) else 0.0
        at = pd.Timestamp(window.start) + pd.to_timedelta(
            np.arange(ROWS) * window.length.total_seconds() / ROWS, unit="s"
        )
        return pd.DataFrame(
            {
                "id": [f"{window.key}-{n}" for n in range(ROWS)],
                "at": at.as_unit("us"),
                "amount": amount,
                "store": np.where(np.arange(ROWS) % 3, "north", "south"),
                "total": 2 * amount + shift + generator.permutation(np.linspace(-8, 8, ROWS)),
            }
        )

    def features(self, window: Window) -> pd.DataFrame:
        rows = self.rows(window)[["id", "at", "amount", "store"]]
        fault = self.script["faults"].get(window.key)
        if fault == "negative":
            rows.loc[:4, "amount"] = -1.0
        if fault == "half":
            rows = rows.iloc[: ROWS // 4]
        if fault == "missing column":
            rows = rows.drop(columns="amount")
        if fault == "not ready":
            raise FileNotFoundError("no delivery yet")
        return rows

    def actuals(self, window: Window) -> pd.DataFrame:
        return self.rows(window)[["id", "at", "total"]]

    # The declaration

    def tables(self) -> dict[str, Table]:
        common: dict[str, Any] = {"key": "id", "time": "at", "start": START, "owners": ("team:shop",)}
        return {
            "features": Table(
                "features",
                schema="shop",
                fields=(Field("amount", "numeric", "value of the basket", unit="EUR"), Field("store", "categorical")),
                segments=("store",),
                load=self.features,
                **common,
            ),
            "predictions": Table("predictions", schema="shop", fields=(Field("predicted", "numeric"),), **common),
            "actuals": Table(
                "actuals", schema="shop", fields=(Field("total", "numeric"),), load=self.actuals, **common
            ),
        }

    def model(self, **changes: Any) -> Model:
        declared: dict[str, Any] = {
            "name": NAME,
            "task": "regression",
            **self.tables(),
            "prediction": "predicted",
            "actual": "total",
            "inputs": ("amount",),
            "monitors": (
                FieldHealth(),
                Drift(windows=1),
                Freshness(),
                Volume(),
                Mix(),
                Schema(),
                Accuracy(maturity=timedelta(0), span=3, min_rows=50, relative=1.5),
            ),
            "train": train,
            "predict": predict,
            "retraining": Retraining(**self.policy),
            "owners": ("team:shop",),
        }
        return Model(**declared | changes)

    def definitions(self, *models: Model, **options: Any) -> Any:
        addresses = {
            "warehouse": f"duckdb:///{self.folder}/warehouse.duckdb",
            "history": f"sqlite:///{self.folder}/history.db",
            "tracking": f"sqlite:///{self.folder}/mlflow.db",
            "clock": self.clock,
        }
        return build_definitions(list(models) or [self.model()], **addresses | options)


def train(frame: pd.DataFrame) -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(frame[["amount"]], frame["total"])


def predict(estimator: Any, frame: pd.DataFrame) -> Any:
    return estimator.predict(frame[["amount"]])
