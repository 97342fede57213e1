"""The demo's model: JetBlue's arrival delay in minutes, from what is known before departure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd

from mlobs.demo.tables import CATEGORIES, OWNERS, common, inputs
from mlobs.spec import Accuracy, Drift, Field, FieldHealth, Freshness, Mix, Model, Retraining, Schema, Table, Volume


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


def model(features: Table, actuals: Table) -> Model:
    """The declaration, on the tables of `tables.py`."""
    predictions = Table(
        "predictions", schema="arrival_delay", fields=(Field("predicted_delay", "numeric", unit="min"),),
        description="What the champion predicted for each flight, and which version it was.", **common(),
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
        retraining=Retraining(),
        description="Arrival delay of JetBlue flights from New York, in minutes.",
        owners=OWNERS,
    )  # fmt: skip
