"""A small world to train in: a delay that follows the hour, until on a stated day the world changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from mlobs.engines import Engine
from mlobs.spec import Accuracy, Field, Model, Retraining, Table
from mlobs.windows import DAY, Window

START = Window.day("2013-01-01")
ROWS = 40


def day(n: int) -> Window:
    return START.shifted(n * DAY)


def train(frame: pd.DataFrame) -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(frame[["hour", "wind"]], frame["delay"])


def predict(estimator: Any, frame: pd.DataFrame) -> Any:
    return estimator.predict(frame[["hour", "wind"]])


def declared(train: Callable[..., Any] = train, predict: Callable[..., Any] = predict, **policy: Any) -> Model:
    common = {"key": "id", "time": "at", "start": START.start}
    settings = {"folds": 2, "holdout": 6, "min_new_labels": 0, "seed": 1} | policy
    return Model(
        name="delays",
        task="regression",
        features=Table("features", fields=(Field("hour"), Field("wind")), **common),
        predictions=Table("predictions", **common),
        actuals=Table("actuals", **common),
        prediction="guess",
        actual="delay",
        monitors=(Accuracy(maturity=timedelta(days=1), span=6),),
        train=train,
        predict=predict,
        retraining=Retraining(**settings),
    )


def rows(days: int, change: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and actuals of `days` days; from day `change` on the delay falls with the hour in place of rising."""
    generator = np.random.default_rng(3)
    n = days * ROWS
    number = np.arange(n) // ROWS
    at = (
        pd.Timestamp(START.start)
        + pd.to_timedelta(number, "D")
        + pd.to_timedelta(generator.integers(0, 1440, n), "min")
    )
    hour, wind = generator.uniform(0, 24, n), generator.uniform(0, 30, n)
    slope = np.where(number < (days if change is None else change), 2.0, -2.0)
    features = pd.DataFrame({"id": np.arange(n), "at": at, "hour": hour, "wind": wind})
    actuals = pd.DataFrame({"id": np.arange(n), "at": at, "delay": slope * hour + generator.normal(0, 3, n)})
    return features, actuals


def land(engine: Engine, model: Model, features: pd.DataFrame, actuals: pd.DataFrame) -> None:
    everything = Window("2012-01-01", "2015-01-01")
    engine.land(model.features, everything, features)
    engine.land(model.actuals, everything, actuals)
