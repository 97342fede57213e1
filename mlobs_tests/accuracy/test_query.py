"""Predictions and actuals to states, in a real warehouse: literal rows, literal sums; then scikit-learn on the raw rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlglot
from sklearn import metrics as reference
from sqlglot import exp

from mlobs.engines import Engine
from mlobs.engines.forms import DIALECTS, Forms
from mlobs.errors import DataError, WarehouseError
from mlobs.metrics.accuracy import metrics
from mlobs.profiling.accuracy import accuracy_query, measure_accuracy, measure_accuracy_windows
from mlobs.states.accuracy import AccuracyState
from mlobs_tests.accuracy.declared import DAY_ONE, DAY_TWO, model_of

NOON = "2013-04-01T12:00"
Scene = Callable[..., Engine]


def test_three_rows_one_of_them_without_a_label(scene: Scene) -> None:
    model = model_of("regression")
    engine = scene(
        model,
        [("a", NOON, "JFK", "1", 10.0), ("b", NOON, "JFK", "1", 4.0), ("c", NOON, "EWR", "1", 1.0)],
        [("a", NOON, 7.0), ("b", NOON, 5.0), ("c", NOON, None)],
    )
    found = measure_accuracy(engine, model, DAY_ONE, {"1": 6.0})
    assert list(found) == ["1"]
    assert list(found["1"]) == ["", "origin=EWR", "origin=JFK"]
    whole = found["1"][""]
    assert (whole.predictions, whole.labelled, whole.coverage) == (3, 2, pytest.approx(2 / 3))
    assert dict(whole.sums) == {
        "error": 2.0,
        "abs_error": 4.0,
        "squared_error": 10.0,
        "actual": 12.0,
        "abs_actual": 12.0,
        "actual_m2": 2.0,
        "relative_error": pytest.approx(3 / 7 + 1 / 5),
        "relative_rows": 2.0,
        "naive_rows": 2.0,
        "naive_abs_error": 2.0,
        "naive_squared_error": 2.0,
        "naive_error_covered": 4.0,
        "naive_squared_covered": 10.0,
        "expected_rows": 0.0,
        "expected_abs_error": 0.0,
    }
    assert found["1"]["origin=EWR"] == AccuracyState("regression", predictions=1)
    assert found["1"]["origin=JFK"] == whole + AccuracyState("regression", predictions=-1)
    alone = measure_accuracy_windows(engine, model, [DAY_ONE], {"1": 6.0}, segments=False)
    assert alone == {DAY_ONE: {"1": {"": whole}}}


def test_nothing_predicted_is_nothing_measured(scene: Scene) -> None:
    model = model_of("regression")
    engine = scene(model, [("a", NOON, "JFK", "1", 10.0)], [("a", NOON, 7.0)])
    assert measure_accuracy(engine, model, DAY_TWO, {}) == {}


def test_a_prediction_counts_in_its_own_window_whenever_its_label_came(scene: Scene) -> None:
    model = model_of("regression")
    engine = scene(model, [("a", NOON, "JFK", "1", 10.0)], [("a", "2013-04-02T09:00", 7.0)])
    found = measure_accuracy_windows(engine, model, [DAY_ONE, DAY_TWO], {})
    assert list(found) == [DAY_ONE]
    assert found[DAY_ONE]["1"][""].labelled == 1


def test_windows_are_half_open(scene: Scene) -> None:
    model = model_of("regression")
    rows = [("a", "2013-04-01T00:00", "JFK", "1", 1.0), ("b", "2013-04-02T00:00", "JFK", "1", 1.0)]
    engine = scene(model, rows, [("a", NOON, 1.0), ("b", NOON, 1.0)])
    found = measure_accuracy_windows(engine, model, [DAY_ONE, DAY_TWO], {})
    assert {w.key: s["1"][""].predictions for w, s in found.items()} == {"2013-04-01": 1, "2013-04-02": 1}


def test_labels_without_a_prediction_are_not_counted(scene: Scene) -> None:
    model = model_of("regression")
    engine = scene(model, [("a", NOON, "JFK", "1", 1.0)], [("a", NOON, 1.0), ("z", NOON, 99.0)])
    assert measure_accuracy(engine, model, DAY_ONE, {})["1"][""].predictions == 1


def test_the_newest_known_label_of_a_key_counts(scene: Scene) -> None:
    model = model_of("regression")
    labels = [("a", "2013-04-01T13:00", 4.0), ("a", "2013-04-01T15:00", 7.0), ("a", "2013-04-01T16:00", None)]
    state = measure_accuracy(scene(model, [("a", NOON, "JFK", "1", 10.0)], labels), model, DAY_ONE, {})["1"][""]
    assert (state["abs_error"], state.labelled, state.predictions, state.duplicates) == (3.0, 1, 1, 2)


def test_two_versions_that_score_the_same_key_are_kept_apart(scene: Scene) -> None:
    model = model_of("regression")
    rows = [("a", NOON, "JFK", "1", 10.0), ("a", NOON, "JFK", "2", 8.0)]
    found = measure_accuracy(scene(model, rows, [("a", NOON, 7.0)]), model, DAY_ONE, {"1": 0.0, "2": 6.0})
    states = {v: (s[""]["abs_error"], s[""]["naive_abs_error"]) for v, s in found.items()}
    assert states == {"1": (3.0, 7.0), "2": (1.0, 1.0)}


@pytest.mark.parametrize(
    ("task", "guess", "truth", "counts"),
    [
        ("regression", math.nan, 1.0, (1, 1, 0, 0)),
        ("regression", math.inf, 1.0, (1, 1, 0, 0)),
        ("regression", None, 1.0, (1, 1, 0, 0)),
        ("regression", 1.0, math.nan, (1, 0, 0, 0)),
        ("binary", 1.5, 1.0, (1, 1, 0, 0)),
        ("binary", -0.1, 1.0, (1, 1, 0, 0)),
        ("binary", 0.5, 2.0, (1, 0, 1, 0)),
        ("binary", 0.0, 1.0, (1, 0, 0, 1)),
        ("binary", 1.0, 0.0, (1, 0, 0, 1)),
    ],
)
def test_rows_that_cannot_be_used_are_counted_apart(
    scene: Scene, task: Any, guess: Any, truth: Any, counts: tuple[int, int, int, int]
) -> None:
    model = model_of(task)
    rows = [("a", NOON, "JFK", "1", guess), ("b", "2013-04-02T12:00", "JFK", "1", 0.5)]
    engine = scene(model, rows, [("a", NOON, truth), ("b", NOON, 1.0)])
    state = measure_accuracy(engine, model, DAY_ONE, {"1": 0.5})["1"][""]
    assert (state.predictions, state.unusable, state.unreadable, state.labelled) == counts
    assert all(math.isfinite(v) for v in state.sums.values())


@pytest.mark.parametrize("truth", [True, False])
def test_boolean_labels(scene: Scene, truth: bool) -> None:
    model = model_of("binary")
    engine = scene(model, [("a", NOON, "JFK", "1", 0.8)], [("a", NOON, truth)])
    state = measure_accuracy(engine, model, DAY_ONE, {"1": 0.25})["1"][""]
    assert state["log_loss"] == pytest.approx(-math.log(0.8 if truth else 0.2))
    assert state["naive_log_loss"] == pytest.approx(-math.log(0.25 if truth else 0.75))


def test_classes_never_seen_before_are_errors_not_faults(scene: Scene) -> None:
    model = model_of("multiclass")
    engine = scene(
        model,
        [("a", NOON, "JFK", "1", "red"), ("b", NOON, "JFK", "1", "blue")],
        [("a", NOON, "red"), ("b", NOON, "mauve")],
    )
    state = measure_accuracy(engine, model, DAY_ONE, {"1": "red"})["1"][""]
    assert dict(state.cells) == {("red", "red"): (1, 0.0), ("mauve", "blue"): (1, 0.0)}
    assert (state["errors"], state["naive_errors"]) == (1.0, 1.0)


def test_integer_classes_match_float_ones(scene: Scene) -> None:
    model = model_of("multiclass")
    engine = scene(model, [("a", NOON, "JFK", "1", 3.0)], [("a", NOON, 3)])
    assert measure_accuracy(engine, model, DAY_ONE, {})["1"][""]["errors"] == 0.0


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_labels_of_the_wrong_type_are_named(scene: Scene, task: Any) -> None:
    model = model_of(task)
    engine = scene(model, [("a", NOON, "JFK", "1", 0.5)], [("a", NOON, "late")])
    with pytest.raises(
        DataError, match=r"column 'truth' of actuals table 'actuals' is (VARCHAR|TEXT|STRING|string|text)"
    ):
        measure_accuracy(engine, model, DAY_ONE, {})


def test_a_missing_column_is_named_with_the_nearest(scene: Scene) -> None:
    model = model_of("regression")
    engine = scene(model, [("a", NOON, "JFK", "1", 0.5)], [("a", NOON, 1.0)])
    with pytest.raises(DataError, match=r"no column 'gues' .* did you mean 'guess'"):
        measure_accuracy(engine, replace(model, prediction="gues"), DAY_ONE, {})


def test_a_missing_table_is_an_error_of_the_warehouse(scene: Scene) -> None:
    model = model_of("regression")
    engine = scene(model, [("a", NOON, "JFK", "1", 0.5)], [("a", NOON, 1.0)])
    with pytest.raises(WarehouseError, match="guesses"):
        measure_accuracy(engine, replace(model, predictions=replace(model.predictions, name="guesses")), DAY_ONE, {})


def test_hostile_versions_segments_and_classes_are_only_values(scene: Scene) -> None:
    model = model_of("multiclass")
    evil = "'; DROP TABLE predictions; --"
    engine = scene(model, [("a", NOON, evil, evil, evil)], [("a", NOON, evil)])
    found = measure_accuracy(engine, model, DAY_ONE, {evil: evil})
    assert found[evil][f"origin={evil}"].cells == {(evil, evil): (1, 0.0)}


@pytest.fixture(params=[1, 7, 400])
def raw(request: pytest.FixtureRequest) -> pd.DataFrame:
    generator = np.random.default_rng(5)
    n = request.param
    logit = generator.normal(0, 2, n)
    probability = 1 / (1 + np.exp(-logit))
    return pd.DataFrame(
        {
            "id": [f"k{i}" for i in range(n)],
            "at": pd.to_datetime("2013-04-01", utc=True) + pd.to_timedelta(np.arange(n) % 47, "h"),
            "origin": generator.choice(["JFK", "EWR"], n),
            "number": generator.normal(1e6, 30, n),
            "estimate": generator.normal(1e6, 30, n),
            "probability": probability,
            "label": (generator.random(n) < probability).astype(float),
            "class": generator.choice(list("abc"), n),
            "said": generator.choice(list("abc"), n),
        }
    )


def _measured(scene: Scene, raw: pd.DataFrame, task: Any, guess: str, truth: str, baseline: Any) -> AccuracyState:
    model = model_of(task)
    rows = [(r["id"], r["at"], r["origin"], "1", r[guess]) for _, r in raw.iterrows()]
    engine = scene(model, rows, [(r["id"], r["at"], r[truth]) for _, r in raw.iterrows()])
    found = measure_accuracy_windows(engine, model, [DAY_ONE, DAY_TWO], {"1": baseline})
    segments = [s for by in found.values() for name, s in by["1"].items() if name]
    whole = AccuracyState.merge(task, (by["1"][""] for by in found.values()))
    parts = AccuracyState.merge(task, segments)
    assert {c: n for c, (n, _) in parts.cells.items()} == {c: n for c, (n, _) in whole.cells.items()}
    for name, value in whole.sums.items():
        assert parts[name] == pytest.approx(value, rel=1e-9)
    memory = AccuracyState.of_rows(task, raw[truth], raw[guess], baseline)
    assert {c: n for c, (n, _) in memory.cells.items()} == {c: n for c, (n, _) in whole.cells.items()}
    for name, value in whole.sums.items():
        assert memory[name] == pytest.approx(value, rel=1e-9, abs=1e-9)
    return whole


def test_regression_agrees_with_scikit_learn(scene: Scene, raw: pd.DataFrame) -> None:
    found = metrics(_measured(scene, raw, "regression", "estimate", "number", 1e6))
    y, p = raw["number"], raw["estimate"]
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(y, p))
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(y, p))
    assert found["bias"] == pytest.approx((p - y).mean())
    assert found["mape"] == pytest.approx(reference.mean_absolute_percentage_error(y, p))
    assert found["naive_mae"] == pytest.approx((y - 1e6).abs().mean())
    if len(raw) > 1:
        assert found["r2"] == pytest.approx(reference.r2_score(y, p), rel=1e-6)
    for name, q in (("median_abs_error", 0.5), ("p90_abs_error", 0.9)):
        exact = np.quantile((p - y).abs(), q, method="inverted_cdf")
        assert found[name] == pytest.approx(exact, rel=0.0445)


def test_binary_agrees_with_scikit_learn(scene: Scene, raw: pd.DataFrame) -> None:
    found = metrics(_measured(scene, raw, "binary", "probability", "label", 0.4))
    y, p = raw["label"], raw["probability"]
    assert found["log_loss"] == pytest.approx(reference.log_loss(y, p, labels=[0, 1]))
    assert found["brier"] == pytest.approx(reference.brier_score_loss(y, p))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y, p >= 0.5))
    assert found["skill"] == pytest.approx(
        1 - reference.log_loss(y, p, labels=[0, 1]) / reference.log_loss(y, np.full(len(y), 0.4), labels=[0, 1])
    )
    if y.nunique() > 1:
        assert found["f1"] == pytest.approx(reference.f1_score(y, p >= 0.5))
        assert found["precision"] == pytest.approx(reference.precision_score(y, p >= 0.5))
        assert found["recall"] == pytest.approx(reference.recall_score(y, p >= 0.5))
        assert abs(found["roc_auc"] - reference.roc_auc_score(y, p)) <= found["roc_auc_bound"] + 1e-12
        assert found["roc_auc_bound"] < 0.01
        assert abs(found["pr_auc"] - reference.average_precision_score(y, p)) <= found["pr_auc_bound"] + 1e-12
        assert found["pr_auc_bound"] < 0.05


def test_multiclass_agrees_with_scikit_learn(scene: Scene, raw: pd.DataFrame) -> None:
    state = _measured(scene, raw, "multiclass", "said", "class", "a")
    found = metrics(state)
    y, p = raw["class"], raw["said"]
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y, p))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(y, p, average="macro", zero_division=0))
    assert found["weighted_f1"] == pytest.approx(reference.f1_score(y, p, average="weighted", zero_division=0))


class Written:
    """An engine that only writes SQL, in any dialect; its tables are as declared."""

    def __init__(self, dialect: str, guess: str, truth: str) -> None:
        self.dialect, self.forms, self.guess, self.truth = dialect, Forms(dialect), guess, truth

    def columns(self, _: Any) -> dict[str, str]:
        types = {"id": "VARCHAR", "at": "TIMESTAMP", "origin": "VARCHAR", "model_version": "VARCHAR"}
        return types | {"guess": self.guess, "truth": self.truth}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("task", "guess", "truth"),
    [("regression", "FLOAT", "FLOAT"), ("binary", "FLOAT", "BOOLEAN"), ("multiclass", "VARCHAR", "VARCHAR")],
)
def test_the_query_can_be_written_and_read_back_in_every_dialect(
    dialect: str, task: Any, guess: str, truth: str
) -> None:
    model = model_of(task)
    baseline = "a" if task == "multiclass" else 0.5
    query = accuracy_query(Written(dialect, guess, truth), model, [DAY_ONE, DAY_TWO], {"1": baseline})  # type: ignore[arg-type]
    text = query.sql(dialect, identify=True)
    (read,) = sqlglot.parse(text, dialect=dialect)
    assert read is not None
    assert {table.name for table in read.find_all(exp.Table)} >= {"predictions", "actuals", "features"}
