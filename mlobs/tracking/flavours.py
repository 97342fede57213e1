"""The MLflow flavours in which a model is stored and loaded, by formats that hold data and no code; nothing is unpickled.

| model | MLflow flavour | file |
|---|---|---|
| scikit-learn estimators and pipelines, XGBoost's and LightGBM's estimators among them | `sklearn` | `model.skops` |
| `xgboost.Booster` | `xgboost` | `model.ubj` |
| `lightgbm.Booster` | `lightgbm` | `model.lgb` |
| `onnx.ModelProto` | `onnx` | `model.onnx` |

Loaded are these, and what others registered in the same formats (`model.json` and `model.ubj` of XGBoost's estimators,
LightGBM's as skops). Whatever is stored as pickle, cloudpickle or joblib, or as code (`pyfunc`), is refused unread.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from mlobs.errors import TrackingError
from mlobs.estimators import kind_of, said
from mlobs.tracking import files
from mlobs.tracking.quiet import quiet

DESCRIPTION = "MLmodel"
_XGBOOST = ("XGBModel", "XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
_SAFE = (
    "return or register a scikit-learn estimator as skops (mlflow.sklearn.log_model(..., serialization_format='skops')), a"
    " Booster of XGBoost or LightGBM, or an ONNX model"
)


def save(model: Any, folder: Path, trusted: Collection[str]) -> int:
    """Write the model into `folder` in its flavour; returns the bytes of the model file.

    Raises:
        TrackingError: it holds types that nobody vouched for, or state that only pickle could store.
    """
    kind = kind_of(model)
    if kind == "xgboost.core.Booster":
        import mlflow.xgboost

        with quiet():
            mlflow.xgboost.save_model(model, str(folder), model_format="ubj", pip_requirements=_pinned("xgboost"))
    elif kind == "lightgbm.basic.Booster":
        import mlflow.lightgbm

        with quiet():
            mlflow.lightgbm.save_model(model, str(folder), pip_requirements=_pinned("lightgbm"))
    elif kind.startswith("onnx.") and kind.endswith(".ModelProto"):
        import mlflow.onnx

        requirements = _pinned("onnx", "onnxruntime")
        with quiet():
            mlflow.onnx.save_model(model, str(folder), save_as_external_data=False, pip_requirements=requirements)
    else:
        files.save(model, folder, trusted, _pinned("scikit-learn", "skops", "xgboost", "lightgbm"))
    return _stored(folder, "")[1].stat().st_size


def load(folder: Path, trusted: Collection[str], what: str) -> Any:
    """The model in an MLflow model folder, read by its own library and never by pickle; `what` names it in messages.

    Raises:
        TrackingError: files are missing or damaged, the format isn't one of those above, the library isn't installed, or
            the file holds types that nobody vouched for.
    """
    flavour, file, kind = _stored(folder, what)
    if (flavour, file.suffix) in (("sklearn", ".skops"), ("lightgbm", ".skops")):
        return files.load(file, trusted, what)
    read = _READERS.get((flavour, file.suffix))
    if read is None:
        raise TrackingError(
            f"{what} is stored as {file.name} in MLflow's flavour {flavour!r}, which can hold code; nothing is unpickled or"
            f" run to load it: {_SAFE}"
        )
    try:
        with quiet():
            return read(file, kind)
    except TrackingError:
        raise
    except ImportError as error:
        raise TrackingError(f"{what} needs the package {flavour} to be loaded: install it ({error})") from error
    except Exception as error:
        raise TrackingError(
            f"{what}: its file {file.name} is no {flavour} model that can be read ({said(error)}): restore it, or roll back to"
            " another version"
        ) from error


def _xgboost(file: Path, kind: str) -> Any:
    import xgboost

    name = kind.rpartition(".")[2] or "Booster"
    if name not in ("Booster", *_XGBOOST):
        raise TrackingError(f"{file} is said to hold a {kind}, which is no model of xgboost: register it anew")
    found = getattr(xgboost, name)()
    found.load_model(str(file))
    return found


def _lightgbm(file: Path, kind: str) -> Any:
    return import_module("lightgbm").Booster(model_file=str(file))


def _onnx(file: Path, kind: str) -> Any:
    onnx = import_module("onnx")
    found = onnx.load(str(file))
    onnx.checker.check_model(found)
    return found


_READERS = {
    ("xgboost", ".ubj"): _xgboost,
    ("xgboost", ".json"): _xgboost,
    ("lightgbm", ".lgb"): _lightgbm,
    ("onnx", ".onnx"): _onnx,
}
"""(flavour, ending of the file) -> what reads it; skops apart."""


def _stored(folder: Path, what: str) -> tuple[str, Path, str]:
    """(flavour, model file, the model's class if it is stated) that MLflow's description of a model folder names.

    Raises:
        TrackingError: the description or the file is missing, or it names nothing that could be loaded.
    """
    import yaml

    missing = "; restore the artifacts folder, or roll back to another version"
    try:
        described = yaml.safe_load((folder / DESCRIPTION).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise TrackingError(f"{what}: its file {DESCRIPTION} is missing or damaged in {folder}{missing}") from error
    flavours = described.get("flavors", {}) if isinstance(described, dict) else {}
    native = [name for name in flavours if name != "python_function"]
    if not native:
        loader = flavours.get("python_function", {}).get("loader_module", "none")
        raise TrackingError(
            f"{what} is stored only as Python code or pickle (pyfunc, loader {loader}), which would run when loaded: {_SAFE}"
        )
    flavour = next((name for name in native if name in ("sklearn", "xgboost", "lightgbm", "onnx")), native[0])
    stated = flavours[flavour]
    name = str(stated.get("pickled_model") or stated.get("data") or "")
    file = folder / Path(name).name
    if not name or not file.exists():
        raise TrackingError(f"{what}: its file {name or 'of the model'} is missing in {folder}{missing}")
    return flavour, file, str(stated.get("model_class") or "")


def _pinned(*names: str) -> list[str]:
    """The requirements of a model: those of the named packages that are installed, with numpy and pandas."""
    found = []
    for name in (*names, "numpy", "pandas"):
        for distribution in (name, f"{name}-cpu"):
            try:
                found.append(f"{distribution}=={metadata.version(distribution)}")
                break
            except metadata.PackageNotFoundError:
                continue
    return found
