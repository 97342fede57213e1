"""Models of each flavour come back as they were; a pickle, planted or honest, is refused before a byte of it runs."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlobs.errors import TrackingError
from mlobs.tracking import Tracking
from mlobs_tests.tracking.test_versions import APRIL, X, Y, promoted, training


def xgboost_booster() -> Any:
    xgboost = pytest.importorskip("xgboost")
    return xgboost.train({"max_depth": 2}, xgboost.DMatrix(X, Y), 3)


def xgboost_pipeline() -> Any:
    return make_pipeline(StandardScaler(), pytest.importorskip("xgboost").XGBRegressor(n_estimators=3)).fit(X, Y)


def lightgbm_booster() -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.train({"verbose": -1, "min_data_in_leaf": 2}, lightgbm.Dataset(X, Y), 3)


def lightgbm_estimator() -> Any:
    return pytest.importorskip("lightgbm").LGBMRegressor(n_estimators=3, min_child_samples=2, verbose=-1).fit(X, Y)


def onnx_line() -> Any:
    onnx = pytest.importorskip("onnx")
    make, number = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        [make.make_node("Mul", ["x", "slope"], ["y"])],
        "line",
        [make.make_tensor_value_info("x", number, [None, 1])],
        [make.make_tensor_value_info("y", number, [None, 1])],
        [make.make_tensor("slope", number, [1], [2.0])],
    )
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9)


def said_by(model: Any) -> Any:
    if type(model).__name__ == "ModelProto":
        session = pytest.importorskip("onnxruntime").InferenceSession(model.SerializeToString())
        return session.run(None, {"x": X.astype(np.float32)})[0]
    if type(model).__module__ == "xgboost.core":
        return model.predict(pytest.importorskip("xgboost").DMatrix(X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM was fitted on an array, whose columns it names
        return model.predict(X)


@pytest.mark.parametrize(
    ("make", "file"),
    [
        (xgboost_booster, "model.ubj"),
        (xgboost_pipeline, "model.skops"),
        (lightgbm_booster, "model.lgb"),
        (lightgbm_estimator, "model.skops"),
        (onnx_line, "model.onnx"),
    ],
)
def test_a_model_of_each_flavour_comes_back_as_it_was(tracking: Tracking, make: Callable[[], Any], file: str) -> None:
    model = make()
    version = tracking.log_training("m", model, training())
    folder = Path(version.source.removeprefix("file://"))
    assert [path.name for path in folder.glob("model.*")] == [file]
    assert tracking.client.get_run(version.run_id).data.metrics["model_bytes"] == (folder / file).stat().st_size
    assert np.array_equal(said_by(tracking.load(version)), said_by(model))


def registered(tracking: Tracking, folder: Path) -> Any:
    """A version that somebody else registered: MLflow model files and no run."""
    tracking.client.create_registered_model("theirs")
    made = tracking.client.create_model_version("theirs", folder.as_uri())
    tracking.client.set_registered_model_alias("theirs", "champion", made.version)
    champion = tracking.champion("theirs")
    assert champion is not None
    return champion


def test_xgboost_estimators_that_others_registered_are_loaded(tracking: Tracking, tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    import mlflow.xgboost

    fitted = xgboost.XGBRegressor(n_estimators=3).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.xgboost.save_model(fitted, str(tmp_path / "theirs"), pip_requirements=["xgboost"])
    loaded = tracking.load(registered(tracking, tmp_path / "theirs"))
    assert type(loaded).__name__ == "XGBRegressor"
    assert np.array_equal(loaded.predict(X), fitted.predict(X))
    assert tracking.compare("theirs")["aliases"].tolist() == ["champion"]


class Planted:
    """Runs code when it is unpickled: it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("file", ["model.skops", "model.ubj", "model.lgb", "model.onnx"])
def test_a_pickle_planted_in_place_of_a_model_file_is_refused_unread(
    tracking: Tracking, file: str, tmp_path: Path
) -> None:
    makers = {"model.ubj": xgboost_booster, "model.lgb": lightgbm_booster, "model.onnx": onnx_line}
    model = makers.get(file, lambda: LinearRegression().fit(X, Y))()
    version = tracking.log_training("m", model, training())
    mark = tmp_path / "was here"
    (Path(version.source.removeprefix("file://")) / file).write_bytes(pickle.dumps(Planted(mark)))
    with pytest.raises(TrackingError, match=rf"version 1 of model 'm': its file {file} is no .*roll back"):
        tracking.load(version)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Planted(mark)))  # noqa: S301
    assert mark.exists(), "the planted pickle does nothing, so the test shows nothing"


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            "sklearn: {pickled_model: model.pkl, serialization_format: cloudpickle}",
            "stored as model.pkl in MLflow's flavour 'sklearn', which can hold code",
        ),
        (
            "lightgbm: {data: model.pkl, model_class: lightgbm.sklearn.LGBMClassifier}",
            "stored as model.pkl in MLflow's flavour 'lightgbm'",
        ),
        ("pytorch: {data: model.pkl}", "stored as model.pkl in MLflow's flavour 'pytorch'"),
        (
            "python_function: {loader_module: mlflow.pyfunc.model, python_model: model.pkl}",
            r"only as Python code or pickle \(pyfunc, loader mlflow.pyfunc.model\)",
        ),
    ],
)
def test_flavours_that_would_unpickle_are_refused_with_a_mend(
    tracking: Tracking, tmp_path: Path, described: str, message: str
) -> None:
    folder, mark = tmp_path / "theirs", tmp_path / "was here"
    folder.mkdir()
    (folder / "MLmodel").write_text(f"flavors:\n  {described}\n")
    (folder / "model.pkl").write_bytes(pickle.dumps(Planted(mark)))
    with pytest.raises(TrackingError, match=message) as raised:
        tracking.load(registered(tracking, folder))
    assert "serialization_format='skops'" in str(raised.value)
    assert not mark.exists()


def test_a_description_that_names_another_class_runs_nothing_of_it(tracking: Tracking, tmp_path: Path) -> None:
    version = tracking.log_training("m", xgboost_booster(), training())
    description = Path(version.source.removeprefix("file://")) / "MLmodel"
    description.write_text(description.read_text().replace("xgboost.core.Booster", "subprocess.Popen"))
    with pytest.raises(TrackingError, match=r"said to hold a subprocess.Popen, which is no model of xgboost"):
        tracking.load(version)


def test_a_planted_expectation_is_refused_unread(tracking: Tracking, tmp_path: Path) -> None:
    version = promoted(tracking, APRIL)
    mark = tmp_path / "was here"
    planted = Path(version.source.removeprefix("file://")) / "expectation.skops"
    planted.write_bytes(pickle.dumps(Planted(mark)))
    with pytest.raises(
        TrackingError, match=r"the expected accuracy of version 1 of model 'm': its file expectation.skops"
    ):
        tracking.load_expectation(version)
    assert not mark.exists()
