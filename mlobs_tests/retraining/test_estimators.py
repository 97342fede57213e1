"""A model given as a bare scikit-learn estimator, pipeline or booster is trained and asked as its task needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from mlobs.engines import Engine, connect
from mlobs.errors import TrainingError
from mlobs.estimators import fit
from mlobs.history import History
from mlobs.monitor import Monitoring
from mlobs.predictions import predicted
from mlobs.retraining.run import retrain
from mlobs.spec import Accuracy, Field, Model, Table
from mlobs.tracking import Tracking
from mlobs.windows import DAY
from mlobs_tests.retraining.flights import day, declared, land, rows

GENERATOR = np.random.default_rng(5)
X = pd.DataFrame({"hour": GENERATOR.uniform(0, 24, 400), "wind": GENERATOR.uniform(0, 30, 400)})


def model(task: Any, train: Any, probabilities: Any = (), predict: Any = None) -> Model:
    common = {"key": "id", "time": "at"}
    return Model(
        "m",
        task,
        features=Table("features", fields=(Field("hour"), Field("wind")), **common),
        predictions=Table("predictions", **common),
        actuals=Table("actuals", **common),
        prediction="said",
        actual="true",
        probabilities=probabilities,
        monitors=(Accuracy(maturity=DAY),),
        train=train,
        predict=predict,
    )


def trained(declared: Model, actual: Any) -> tuple[Any, Any]:
    estimator = fit(declared, X.assign(true=actual, leak=actual))
    return estimator, predicted(declared, estimator, X)


def test_regression_is_asked_for_its_predictions_on_the_inputs_alone() -> None:
    estimator, found = trained(model("regression", LinearRegression()), 2 * X["hour"] - X["wind"])
    assert list(estimator.feature_names_in_) == ["hour", "wind"]
    assert found.values == pytest.approx(2 * X["hour"] - X["wind"])


@pytest.mark.parametrize("late", [lambda m: m, lambda m: m.astype(int), lambda m: m.astype(object)])
def test_binary_is_asked_for_the_probability_of_class_one(late: Any) -> None:
    estimator, found = trained(
        model("binary", make_pipeline(StandardScaler(), LogisticRegression())), late(X["hour"] > 12)
    )
    assert np.array_equal(found.values, estimator.predict_proba(X)[:, 1])
    assert found.values[X["hour"] > 20].min() > 0.9


def test_multiclass_with_probabilities_has_them_in_the_declared_order_and_zero_for_a_class_never_seen() -> None:
    sizes = np.where(X["hour"] < 8, "small", "large")
    names = {"large": "p_large", "none": "p_none", "small": "p_small"}
    estimator, found = trained(model("multiclass", HistGradientBoostingClassifier(max_iter=5), names), sizes)
    assert list(found.probabilities) == ["large", "none", "small"]
    assert np.array_equal(found.probabilities["large"], estimator.predict_proba(X)[:, 0])
    assert not found.probabilities["none"].any()
    assert (found.values == estimator.predict(X)).all()


def test_multiclass_without_probabilities_is_asked_for_labels() -> None:
    estimator, found = trained(model("multiclass", LinearSVC()), np.where(X["hour"] < 8, "small", "large"))
    assert (found.values == estimator.predict(X)).all()


def test_what_an_estimator_lacks_is_said_with_a_mend() -> None:
    with pytest.raises(TrainingError, match=r"LinearSVC has no predict_proba.*CalibratedClassifierCV"):
        trained(model("binary", LinearSVC()), X["hour"] > 12)
    with pytest.raises(TrainingError, match=r"classes that aren't declared \(small\): name them in"):
        trained(model("multiclass", LogisticRegression(), {"large": "p"}), np.where(X["hour"] < 8, "small", "large"))
    with pytest.raises(TrainingError, match=r"train raised ValueError: could not convert string to float"):
        trained(model("regression", LinearRegression()), X["hour"].astype(str) + "x")

    def words(frame: pd.DataFrame) -> Any:
        return LogisticRegression().fit(frame[["hour", "wind"]], np.where(frame["true"], "yes", "no"))

    with pytest.raises(TrainingError, match=r"classes that aren't declared \(no, yes\): train it on 0 and 1"):
        trained(model("binary", words), X["hour"] > 12)


def test_every_fit_is_a_clone_so_that_none_knows_of_another() -> None:
    given = RandomForestRegressor(n_estimators=3, random_state=1)
    first, _ = trained(model("regression", given), X["hour"])
    second, _ = trained(model("regression", given), X["wind"])
    assert first is not second
    assert not hasattr(given, "estimators_")


def test_boosters_are_asked_for_what_their_objective_gives() -> None:
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")

    def by_xgboost(frame: pd.DataFrame) -> Any:
        return xgboost.train(
            {"objective": "binary:logistic"}, xgboost.DMatrix(frame[["hour", "wind"]], frame["true"]), 3
        )

    def by_lightgbm(frame: pd.DataFrame) -> Any:
        data = lightgbm.Dataset(frame[["hour", "wind"]], frame["true"])
        return lightgbm.train({"objective": "binary", "verbose": -1}, data, 3)

    for train in (by_xgboost, by_lightgbm):
        _, found = trained(model("binary", train), X["hour"] > 12)
        assert found.values[X["hour"] > 13].min() > 0.5 > found.values[X["hour"] < 11].max()


@pytest.fixture
def engine() -> Iterator[Engine]:
    opened = connect("duckdb:///:memory:")
    yield opened
    opened.close()


def test_a_pipeline_goes_the_whole_way_from_training_over_comparison_to_stored_predictions(
    engine: Engine, history: History, tracking: Tracking
) -> None:
    declaration = replace(declared(), train=make_pipeline(StandardScaler(), LinearRegression()), predict=None)
    land(engine, declaration, *rows(40, change=25))
    monitoring = Monitoring([declaration], engine, history)
    retrain(monitoring, tracking, declaration, day(21).start)
    outcome = retrain(monitoring, tracking, declaration, day(36).start)
    assert outcome.promoted
    champion = tracking.champion("delays")
    assert champion is not None
    assert champion.version == "2"
    landed = monitoring.predict(declaration, day(36), champion.version, tracking.load(champion), day(37).start)
    assert landed.rows == 40
    assert tracking.client.get_run(champion.run_id).data.params["estimator"] == "Pipeline"
