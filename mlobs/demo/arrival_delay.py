"""The demo's model: JetBlue's arrival delay in minutes, from what is known before departure."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from mlobs.alerts import Route
from mlobs.demo.clock import ReplayClock
from mlobs.demo.story import Source
from mlobs.project import Project
from mlobs.spec import Accuracy, Drift, Field, FieldHealth, Freshness, Mix, Model, Retraining, Schema, Table, Volume

YEAR = ("2013-01-01", "2014-01-01")
CATEGORIES = ("origin", "dest", "part_of_day")
FIELDS = (
    Field("origin", "categorical", "airport of departure"),
    Field("dest", "categorical", "airport of arrival"),
    Field("part_of_day", "categorical", "morning until 11, afternoon until 17, evening; local time"),
    Field("distance", "numeric", "great-circle distance", unit="mi"),
    Field("hour", "numeric", "scheduled hour of departure, local time", unit="h"),
    Field("weekday", "numeric", "0 is Monday"),
    Field("scheduled_minutes", "numeric", "arrival clock minus departure clock", unit="min"),
    Field("temp", "numeric", "last hourly observation at the origin", unit="°F"),
    Field("dewp", "numeric", "dew point", unit="°F"),
    Field("humid", "numeric", "relative humidity", unit="%"),
    Field("wind_dir", "numeric", "wind direction", unit="°"),
    Field("wind_speed", "numeric", "wind speed", unit="mph"),
    Field("precip", "numeric", "precipitation in the hour", unit="in"),
    Field("pressure", "numeric", "sea-level pressure", unit="mbar"),
    Field("visib", "numeric", "visibility", unit="mi"),
    Field("peak_wind_12h", "numeric", "highest wind speed observed in the last 12 hours", unit="mph"),
    Field("minutes_since_weather_observation", "numeric", "age of the observation, never negative", unit="min"),
)
OWNERS = ("team:delays",)
RECEIVER = "MLOBS_DEMO_ALERTS"
"""Environment variable with the URL that alerts go to (any Apprise URL); without it they are only recorded."""


def train(frame: pd.DataFrame) -> Any:
    """Gradient-boosted trees on absolute error, scikit-learn's settings; about half a second on 25,000 rows."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    trees = HistGradientBoostingRegressor(
        loss="absolute_error", categorical_features=list(range(len(CATEGORIES))), random_state=2013
    )
    pipeline = make_pipeline(make_column_transformer((encode, list(CATEGORIES)), remainder="passthrough"), trees)
    return pipeline.fit(frame[inputs()], frame["arr_delay"])


def predict(estimator: Any, frame: pd.DataFrame) -> Any:
    """Predicted arrival delays in minutes, shape (len(frame),)."""
    return estimator.predict(frame[inputs()])


def inputs() -> list[str]:
    """The features, categories first."""
    return [*CATEGORIES, *(field.name for field in FIELDS if field.name not in CATEGORIES)]


def model(source: Source) -> Model:
    """The declaration; `source` delivers its features and actuals."""
    start, end = YEAR
    common: dict[str, Any] = {"key": "flight_id", "time": "scheduled_at", "start": start, "end": end, "owners": OWNERS}
    features = Table(
        "features", schema="flights", fields=FIELDS, segments=("origin",), load=source.features,
        description="One row a scheduled JetBlue flight from New York: what is known before it departs.", **common,
    )  # fmt: skip
    actuals = Table(
        "actuals", schema="flights",
        fields=(Field("arr_delay", "numeric", unit="min"), Field("late", "boolean"), Field("cancelled", "boolean")),
        load=source.actuals, description="How late each flight arrived, known a day later.", **common,
    )  # fmt: skip
    predictions = Table(
        "predictions", schema="arrival_delay", fields=(Field("predicted_delay", "numeric", unit="min"),),
        description="What the champion predicted for each flight, and which version it was.", **common,
    )  # fmt: skip
    return Model(
        name="arrival_delay",
        task="regression",
        features=features,
        predictions=predictions,
        actuals=actuals,
        prediction="predicted_delay",
        actual="arr_delay",
        monitors=(
            FieldHealth(), Drift(), Freshness(), Volume(), Mix(), Schema(),
            Accuracy(maturity=timedelta(hours=6)),  # the last flights of a day land within six hours
        ),
        train=train,
        predict=predict,
        # watched on as many days as its accuracy is judged on: the days that called for it were chosen by failure
        retraining=Retraining(shadow=14),
        description="Arrival delay of JetBlue flights from New York, in minutes.",
        owners=OWNERS,
    )  # fmt: skip


def models(source: Source) -> tuple[Model, ...]:
    """Both models of the demo: they share the table of features and that of actuals."""
    from mlobs.demo import late_arrival

    first = model(source)
    return first, late_arrival.model(first.features, first.actuals)


def project(folder: Path | str | None = None, clock: Callable[[], datetime] | None = None) -> Project:
    """The demo as a project below `folder` (by default what MLOBS_DEMO says, else `demo_output`)."""
    root = Path(folder or os.environ.get("MLOBS_DEMO") or "demo_output").absolute()
    now = clock or ReplayClock(root / "clock.json")
    routes = (Route(name="demo", url_env=RECEIVER),) if os.environ.get(RECEIVER) else ()
    return Project(
        models=models(Source(now)),
        warehouse="duckdb:///warehouse.duckdb",
        history="sqlite:///history.db",
        tracking="sqlite:///mlflow.db",
        routes=routes,
        report_dir="report",
        clock=now,
        root=root,
    )
