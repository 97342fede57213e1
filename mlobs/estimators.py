"""How a user's model is trained and asked: by functions of theirs, or as the scikit-learn estimator or booster that it is.

Calls the user's code and nothing else; knows the declaration, no warehouse. What is returned is checked in `predictions.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mlobs.errors import MlobsError, TrainingError
from mlobs.spec import Model

BOOSTERS = ("xgboost.core.Booster", "lightgbm.basic.Booster")
"""Types that aren't scikit-learn estimators and yet say how to ask them."""


def fit(model: Model, frame: pd.DataFrame) -> Any:
    """The user's `train` on the inputs and the actual of `frame`; an estimator is cloned, so no fit knows of another.

    An estimator is fitted on the inputs as they are and on the actual as a number (regression), 0 or 1 (`binary`) or a
    text (`multiclass`).

    Raises:
        TrainingError: it raised, or returned None.
    """
    if model.train is None:
        raise TrainingError(f"model {model.name!r} has no train function: give Model(train=...)")
    rows = frame[[*model.input_names, model.actual]].reset_index(drop=True)
    try:
        estimator = model.train(rows) if callable(model.train) else _fitted(model, rows)
    except MlobsError:
        raise
    except Exception as failure:
        raise TrainingError(f"model {model.name!r}: train raised {said(failure)} on {len(rows)} rows") from failure
    if estimator is None:
        raise TrainingError(f"model {model.name!r}: train returned None: return the fitted estimator")
    return estimator


def ask(model: Model, estimator: Any, rows: pd.DataFrame) -> Any:
    """What the model says of the rows: the user's `predict`, or else the estimator's own method for the task.

    That is `predict` for regression and for multiclass without declared probabilities, the probability of class 1 of
    `predict_proba` for binary, and `predict_proba` in the declared order of classes for multiclass with them; a class that
    the training data lacked gets 0. A booster of XGBoost or LightGBM is asked for what its objective gives.

    Raises:
        TrainingError: the estimator has no such method, or knows a class that isn't declared.
    """
    if model.predict is not None:
        return model.predict(estimator, rows)
    if kind_of(estimator) in BOOSTERS:
        return _boosted(estimator, rows)
    names = [name for name, _ in model.probabilities]
    method = "predict_proba" if model.task == "binary" or names else "predict"
    if not hasattr(estimator, method):
        raise TrainingError(
            f"model {model.name!r}: a {kind_of(estimator)} has no {method}, which a {model.task} model is asked for: give"
            " Model(predict=...)" + (", or calibrate it (CalibratedClassifierCV)" if method == "predict_proba" else "")
        )
    found = getattr(estimator, method)(rows)
    if method == "predict":
        return found
    return _in_order(model, np.asarray(found), [_label(c) for c in estimator.classes_], names or ["1"])


def kind_of(estimator: Any) -> str:
    """The full name of an object's type."""
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def said(failure: Exception) -> str:
    """The first line of an error, with its type."""
    lines = str(failure).strip().splitlines()
    return f"{type(failure).__name__}: {lines[0]}" if lines else type(failure).__name__


def _fitted(model: Model, rows: pd.DataFrame) -> Any:
    from sklearn.base import clone

    actual = rows[model.actual]
    target: Any = actual.astype(str if model.task == "multiclass" else float)
    if model.task == "binary":
        target = target.astype(int)
    return clone(model.train).fit(rows[list(model.input_names)], target)


def _boosted(estimator: Any, rows: pd.DataFrame) -> Any:
    if kind_of(estimator) == "lightgbm.basic.Booster":
        return estimator.predict(rows)
    import xgboost

    return estimator.predict(xgboost.DMatrix(rows, enable_categorical=True))


def _in_order(model: Model, chances: Any, known: list[str], wanted: list[str]) -> Any:
    """Probabilities of shape (n_rows,) for one wanted class, else (n_rows, n_classes) in the wanted order."""
    extra = sorted(set(known) - set(wanted) - ({"0"} if model.task == "binary" else set()))
    if extra:
        mend = (
            "train it on 0 and 1, or give Model(predict=...)"
            if model.task == "binary"
            else "name them in Model(probabilities=...), or leave them out in train"
        )
        raise TrainingError(f"model {model.name!r}: it knows classes that aren't declared ({', '.join(extra)}): {mend}")
    columns = {name: chances[:, place] for place, name in enumerate(known)}
    found = [columns.get(name, np.zeros(len(chances))) for name in wanted]
    return found[0] if model.task == "binary" else np.column_stack(found)


def _label(value: Any) -> str:
    """A class as the declaration writes it; 1, 1.0 and True are the same."""
    if isinstance(value, (bool, np.bool_, float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)
