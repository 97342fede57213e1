"""Runs, versions and aliases in a real MLflow store: what is logged, served, rolled back, and what is refused."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mlobs.errors import TrackingError
from mlobs.expectation import learn
from mlobs.predictions import Predicted
from mlobs.tracking import Tracking, Training, Version
from mlobs.windows import DAY, Window, instant
from mlobs_tests.accuracy.declared import model_of

APRIL, MAY, JUNE = instant("2013-04-01"), instant("2013-05-01"), instant("2013-06-01")
X = np.arange(40.0).reshape(-1, 1)
Y = X[:, 0] * 2 + 1


def training(at: datetime = APRIL, **changes: Any) -> Training:
    made = Training(
        window=Window("2013-01-01", at),
        fingerprint="abc",
        rows=40,
        at=at,
        metric="mae",
        cv_error=1.5,
        baseline=3.0,
        params={"depth": 3},
        metrics={"cv_rmse": 2.0, "cv_r2": float("nan")},
        folds=[{"mae": 1.0, "r2": float("nan")}, {"mae": 2.0, "r2": 0.5}],
        importances={"hour of day": 0.7},
        fit_seconds=0.25,
        cause=f"m:accuracy:{at - DAY:%Y-%m-%d}",
        reason="accuracy failed",
    )
    return replace(made, **changes)


def linear(slope: float = 2.0) -> Any:
    return LinearRegression().fit(X, Y * slope)


def promoted(tracking: Tracking, at: datetime, slope: float = 2.0) -> Version:
    version = tracking.log_training("m", linear(slope), training(at))
    return tracking.promote(version, by="mlobs", reason="better", at=at)


def test_an_empty_store_knows_nothing(tracking: Tracking) -> None:
    assert tracking.champion("m") is None
    assert tracking.challenger("m") is None
    assert tracking.versions("m") == []
    assert tracking.compare("m").empty


def test_a_training_becomes_a_run_and_a_challenger(tracking: Tracking, store: Path) -> None:
    version = tracking.log_training("m", linear(), training())
    assert (version.version, version.aliases) == ("1", ("challenger",))
    assert (version.window, version.trained_at) == (Window("2013-01-01", "2013-04-01"), APRIL)
    assert (version.cv_error, version.baseline) == (1.5, 3.0)
    run = tracking.client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"depth": "3", "estimator": "LinearRegression"}
    logged = run.data.metrics
    assert {
        name: logged[name] for name in ("cv_mae", "cv_rmse", "fit_seconds", "training_rows", "importance.hour of day")
    } == {
        "cv_mae": 1.5,
        "cv_rmse": 2.0,
        "fit_seconds": 0.25,
        "training_rows": 40.0,
        "importance.hour of day": 0.7,
    }
    assert "cv_r2" not in logged
    assert [(m.step, m.value) for m in tracking.client.get_metric_history(version.run_id, "fold.mae")] == [
        (0, 1.0),
        (1, 2.0),
    ]
    assert run.data.tags["mlobs.fingerprint"] == "abc"
    assert run.data.tags["mlobs.package.scikit-learn"]
    assert json.loads(run.data.tags["mlobs.importances"]) == {"hour of day": 0.7}
    assert logged["model_bytes"] > 100
    assert Path(version.source.removeprefix("file://")).is_relative_to(store.parent / "mlartifacts")


def test_the_estimator_comes_back_as_it_was(tracking: Tracking) -> None:
    fitted = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=5, loss="absolute_error")).fit(X, Y)
    version = tracking.log_training("m", fitted, training())
    assert np.array_equal(tracking.load(version).predict(X), fitted.predict(X))


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_what_is_expected_of_its_accuracy_comes_back_as_it_was(tracking: Tracking, task: Any) -> None:
    generator = np.random.default_rng(1)
    frame = pd.DataFrame({"x": generator.normal(0, 1, 2000), "kind": generator.choice(["u", "v", None], 2000)})
    said = Predicted(generator.random(2000), {})
    truth = (generator.random(2000) < 1 / (1 + np.exp(-2 * frame["x"]))).to_numpy(dtype=float)
    learned = learn(model_of(task), frame, truth, said)
    assert learned is not None
    loaded = tracking.load_expectation(tracking.log_training("m", linear(), training(), learned))
    assert loaded is not None
    assert loaded.kind == {"binary": "varying", "regression": "loss"}[task]
    assert np.array_equal(loaded.of(frame, said), learned.of(frame, said))


def test_a_pipeline_that_fills_gaps_comes_back(tracking: Tracking) -> None:
    fitted = make_pipeline(SimpleImputer(), LinearRegression()).fit(X, Y)
    assert np.array_equal(tracking.load(tracking.log_training("m", fitted, training())).predict(X), fitted.predict(X))


def test_mlflow_itself_can_load_the_version(tracking: Tracking) -> None:
    version = promoted(tracking, APRIL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn

        loaded = mlflow.sklearn.load_model(version.source)
    assert loaded.predict(X) == pytest.approx(Y * 2)


def test_promotion_moves_the_alias_and_writes_down_who_when_and_why(tracking: Tracking) -> None:
    first, second = promoted(tracking, APRIL), promoted(tracking, MAY)
    champion = tracking.champion("m")
    assert champion is not None
    assert (first.version, second.version, champion.version, champion.aliases) == ("1", "2", "2", ("champion",))
    assert tracking.challenger("m") is None
    audit = {n: champion.tags[n] for n in ("promoted_at", "promoted_by", "promoted_because", "replaced")}
    assert audit == {
        "promoted_at": "2013-05-01T00:00:00+00:00",
        "promoted_by": "mlobs",
        "promoted_because": "better",
        "replaced": "1",
    }


def test_a_refused_challenger_leaves_the_champion(tracking: Tracking) -> None:
    promoted(tracking, APRIL)
    version = tracking.refuse(tracking.log_training("m", linear(), training(MAY)), reason="no better", at=MAY)
    champion = tracking.champion("m")
    assert champion is not None
    assert champion.version == "1"
    assert (version.aliases, version.tags["refused_because"]) == ((), "no better")
    assert tracking.challenger("m") is None


def test_rollback_returns_to_the_version_before(tracking: Tracking) -> None:
    promoted(tracking, APRIL, slope=2.0)
    promoted(tracking, MAY, slope=5.0)
    back = tracking.rollback("m", by="ann", at=JUNE, reason="complaints")
    assert (back.version, back.aliases, back.tags["promoted_by"], back.tags["replaced"]) == (
        "1",
        ("champion",),
        "ann",
        "2",
    )
    assert tracking.load(back).predict(X) == pytest.approx(Y * 2)
    assert tracking.rollback("m", by="ann", at=JUNE, to="2").version == "2"


def test_rollback_without_an_earlier_champion_says_so(tracking: Tracking) -> None:
    promoted(tracking, APRIL)
    with pytest.raises(TrackingError, match="no earlier champion to roll back to"):
        tracking.rollback("m", by="ann", at=MAY)
    with pytest.raises(TrackingError, match="can't look up version 9 of model 'm'"):
        tracking.rollback("m", by="ann", at=MAY, to="9")


def test_versions_and_their_comparison(tracking: Tracking) -> None:
    promoted(tracking, APRIL)
    tracking.refuse(
        tracking.log_training("m", linear(), training(MAY, params={"depth": 4}, fingerprint="def")),
        reason="no better",
        at=MAY,
    )
    assert [(v.version, v.aliases) for v in tracking.versions("m")] == [("1", ("champion",)), ("2", ())]
    columns = ["version", "aliases", "status", "by", "because", "changed", "rows", "cv_error", "fit_seconds"]
    assert tracking.compare("m")[columns].to_dict("records") == [
        {
            "version": "2", "aliases": "", "status": "refused", "by": "", "because": "no better",
            "changed": "depth: 3 -> 4; data", "rows": 40, "cv_error": 1.5, "fit_seconds": 0.25,
        },
        {
            "version": "1", "aliases": "champion", "status": "champion", "by": "mlobs", "because": "better",
            "changed": "", "rows": 40, "cv_error": 1.5, "fit_seconds": 0.25,
        },
    ]  # fmt: skip


class Mine:
    """An estimator of our own, with plain state."""

    def __init__(self, value: float) -> None:
        self.value = value

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), self.value)


def test_types_that_nobody_vouched_for_are_neither_saved_nor_loaded(store: Path) -> None:
    name = f"{Mine.__module__}.Mine"
    plain, trusting = Tracking(f"sqlite:///{store}"), Tracking(f"sqlite:///{store}", trusted=[name])
    with pytest.raises(
        TrackingError, match=r"holds types that nobody vouched for: .*Mine; if they are yours, name them"
    ):
        plain.log_training("m", Mine(3.0), training())
    assert plain.versions("m") == []
    version = trusting.log_training("m", Mine(3.0), training())
    with pytest.raises(TrackingError, match="version 1 of model 'm' holds types that nobody vouched for"):
        plain.load(version)
    assert trusting.load(version).predict([0]) == [3.0]


def test_functions_are_not_trusted_for_their_module(tracking: Tracking) -> None:
    import os

    with pytest.raises(TrackingError, match=r"nobody vouched for: .*system"):
        tracking.log_training("m", FunctionTransformer(os.system), training())


def test_objects_that_only_pickle_could_store_are_refused(tracking: Tracking) -> None:
    with pytest.raises(TrackingError, match=r"can't be stored without pickle|nobody vouched for"):
        tracking.log_training("m", (n for n in range(3)), training())


def test_an_alias_deleted_by_hand_is_an_error_not_a_missing_champion(tracking: Tracking) -> None:
    promoted(tracking, APRIL)
    tracking.client.delete_registered_model_alias("m", "champion")
    with pytest.raises(
        TrackingError, match=r"the alias 'champion' is gone from the registry, though version 1 was promoted"
    ):
        tracking.champion("m")
    tracking.client.set_registered_model_alias("m", "champion", "1")
    assert tracking.champion("m") is not None


def test_missing_artifacts_are_named(tracking: Tracking, store: Path) -> None:
    version = promoted(tracking, APRIL)
    shutil.rmtree(store.parent / "mlartifacts")
    with pytest.raises(TrackingError, match=r"its file MLmodel is missing .* roll back"):
        tracking.load(version)


def test_a_store_that_was_moved_still_serves(tracking: Tracking, store: Path, tmp_path: Path) -> None:
    version = promoted(tracking, APRIL)
    del tracking
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(store, moved / "mlflow.db")
    shutil.move(store.parent / "mlartifacts", moved / "mlartifacts")
    there = Tracking(f"sqlite:///{moved / 'mlflow.db'}")
    assert there.load(there.version("m", version.version)).predict(X) == pytest.approx(Y * 2)


def test_a_locked_store_is_an_error_with_a_mend_and_the_champion_stays(
    tracking: Tracking, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(tracking, APRIL)
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")
    with sqlite3.connect(store, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match=r"locked.*try again"):
            tracking.log_training("m", linear(), training(MAY))
        other.execute("ROLLBACK")
    champion = tracking.champion("m")
    assert champion is not None
    assert champion.version == "1"
    assert [v.version for v in tracking.versions("m")] == ["1"]


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database at all, but long enough to be read as a header" * 40)
    with pytest.raises(TrackingError, match=r"MLflow store sqlite:///.*mlflow.db"):
        Tracking(f"sqlite:///{tmp_path / 'mlflow.db'}").champion("m")


def test_a_server_that_is_down_is_named_without_its_password() -> None:
    with pytest.raises(TrackingError, match=r"http://ann:\*\*\*@127.0.0.1:9"):
        Tracking("http://ann:secret@127.0.0.1:9").champion("m")


def test_mlflow_keeps_quiet_and_its_loggers_stay_as_they_were(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    level = logging.getLogger("alembic").level
    promoted(Tracking(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"), APRIL)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("alembic").level == level


@pytest.mark.parametrize("step", ["log_batch", "log_artifacts", "create_model_version", "set_registered_model_alias"])
def test_a_run_that_breaks_at_any_step_leaves_the_champion_and_can_be_run_again(
    tracking: Tracking, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(tracking, APRIL)

    def broken(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tracking.client, step, broken)
        with pytest.raises(KeyboardInterrupt):
            tracking.log_training("m", linear(), training(MAY))
    champion = tracking.champion("m")
    assert champion is not None
    assert champion.version == "1"
    again = promoted(tracking, MAY)
    assert again.aliases == ("champion",)


def test_a_cause_has_one_run_and_one_version_however_often_it_is_begun(tracking: Tracking) -> None:
    first = tracking.log_training("m", linear(), training())
    left_open = tracking.client.create_run(
        tracking.client.get_run(first.run_id).info.experiment_id, tags={"mlobs.cause": training().cause}
    )
    again = tracking.log_training("m", linear(), training())
    assert (again.version, again.run_id, again.aliases) == ("1", first.run_id, ("challenger",))
    assert tracking.client.get_run(left_open.info.run_id).info.status == "KILLED"
    for other in ({"fingerprint": "def"}, {"params": {"depth": 4}}, {"cause": ""}, {"cause": ""}):
        tracking.log_training("m", linear(), training(**other))
    assert [version.version for version in tracking.versions("m")] == ["1", "2", "3", "4", "5"]
