"""Declarations: checked when they are made, with errors that name the place and the mend; stable fingerprints."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest

import mlobs
from mlobs.errors import SpecError
from mlobs.spec import DEFAULT_MONITORS


def table(name="features", **changes):
    return mlobs.Table(**{"name": name, "key": "id", "time": "at", **changes})


def model(**changes):
    given = {
        "name": "delay",
        "task": "regression",
        "features": table(fields=["origin", "temp"]),
        "predictions": table("predictions"),
        "actuals": table("actuals"),
        "prediction": "predicted",
        "actual": "delay",
    }
    return mlobs.Model(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": " "}, "a name must be a non-empty text"),
        ({"time": ""}, "table 'features': time"),
        ({"key": ()}, "at least one key column"),
        ({"fields": ["a", "a"]}, "'a' is declared twice"),
        ({"fields": ["origin"], "segments": ["orign"]}, "did you mean 'origin'"),
        ({"segments": ["a", "b", "c"]}, "at most 2 segment fields, got 3"),
        ({"false_alarms_per_month": 0}, "must be above 0"),
        ({"false_alarms_per_month": float("nan")}, "must be above 0"),
        ({"cadence": timedelta(0)}, "positive length"),
        ({"start": "2013-01-02", "end": "2013-01-01"}, "must be after start"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        table(**changes)


def test_an_unknown_kind_is_refused_with_the_nearest_one():
    with pytest.raises(SpecError, match="did you mean 'numeric'"):
        mlobs.Field("temp", "numerc")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "arrival delay"}, "letters, digits and _ only"),
        ({"task": "regresion"}, "did you mean 'regression'"),
        ({"predictions": table("predictions", key="other")}, "joined on one key"),
        ({"predictions": table("predictions", cadence=timedelta(hours=1))}, "another cadence"),
        ({"actuals": table("predictions")}, "'predictions' is declared twice"),
        ({"inputs": ["tmp"]}, "did you mean 'temp'"),
        ({"train": 3}, "a function of a frame or an unfitted scikit-learn estimator, got 3"),
        ({"train": dict}, "unfitted scikit-learn estimator, got <class 'dict'>"),
        ({"monitors": (mlobs.Drift(), mlobs.Drift())}, "'drift' is declared twice"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(SpecError, match=message):
        model(**changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlobs.Drift(floor=-0.1), "floor must be 0 or more"),
        (lambda: mlobs.Drift(windows=0), "windows must be at least 1"),
        (lambda: mlobs.Volume(on="feature"), "did you mean 'features'"),
        (lambda: mlobs.Accuracy(relative=None, min_skill=None), "set at least one limit"),
        (lambda: mlobs.Accuracy(min_coverage=2), r"lie in \[0, 1\]"),
        (lambda: mlobs.Retraining(folds=1), "folds must be at least 2"),
        (lambda: mlobs.Retraining(confidence=1), r"lie in \[.5, 1\)"),
        (lambda: mlobs.Retraining(cooldown=timedelta(-1)), "can't be negative"),
    ],
)
def test_a_monitor_or_policy_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(SpecError, match=message):
        make()


def test_unknown_field_names_come_with_the_nearest_one():
    with pytest.raises(SpecError, match="did you mean 'temp'"):
        table(fields=["origin", "temp"]).field("tmp")


def test_names_become_fields_and_a_single_key_a_tuple():
    made = table(fields=["origin", mlobs.Field("temp", "numeric")], schema="raw")
    assert [f.name for f in made.fields] == ["origin", "temp"]
    assert (made.keys, made.id, made.path) == (("id",), "raw.features", ("raw", "features"))


def test_every_default_monitor_is_one_check():
    assert [m.check for m in DEFAULT_MONITORS] == [
        "field_health", "drift", "freshness", "volume", "mix", "schema", "accuracy",
    ]  # fmt: skip


def test_monitors_run_on_the_roles_they_name():
    checks = {role: [m.check for m in model().monitors_on(role)] for role in model().tables}
    assert checks == {
        "features": ["field_health", "drift", "freshness", "volume", "mix", "schema"],
        "predictions": ["field_health", "drift", "schema"],
        "actuals": ["freshness", "volume", "schema"],
    }


def test_fingerprints_ignore_words_and_code_but_not_meaning():
    plain = table(fields=["temp"])
    assert replace(plain, description="warm or cold", load=pd.DataFrame).fingerprint == plain.fingerprint
    assert table(fields=[mlobs.Field("temp", "text")]).fingerprint != plain.fingerprint
    assert model(monitors=(mlobs.Accuracy(maximum=30),)).fingerprint != model().fingerprint
