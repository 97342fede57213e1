"""Model files without pickle: what may be stored in a skops file, and what may be loaded from one.

A file is loaded only if every type in it is known to skops, is a class that scikit-learn itself defines, an estimator or
booster of XGBoost or LightGBM (which read their own formats), or was stated by the user.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mlobs.errors import TrackingError
from mlobs.estimators import BOOSTERS, kind_of
from mlobs.expectation import Expectation
from mlobs.tracking.quiet import quiet

EXPECTATION = "expectation.skops"
_VOUCHED = ("functools.partial", "sklearn.utils.validation.check_array", "collections.OrderedDict", "numpy.dtype")
"""What estimators hold beside classes of their own (scikit-learn's gradient boosting keeps a partial of `check_array`, its
imputer the dtype that it was fitted on). A partial only calls what is named in the file as well, and so has been looked at
by itself."""


def save(estimator: Any, folder: Path, trusted: Collection[str], requirements: Sequence[str]) -> None:
    """Write the estimator into `folder` in MLflow's scikit-learn flavour, as skops.

    Raises:
        TrackingError: it holds types that nobody vouched for, or state that only pickle could store.
    """
    import skops.io

    kind = kind_of(estimator)
    with quiet():
        try:
            found = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
        except Exception as error:
            raise TrackingError(
                f"a model of type {kind} can't be stored without pickle ({error}): return a scikit-learn estimator or"
                " pipeline, or an object whose state is made of plain values and arrays"
            ) from error
        _vouch(found, trusted, f"a model of type {kind}")
        import mlflow.sklearn

        mlflow.sklearn.save_model(
            estimator,
            str(folder),
            serialization_format="skops",
            skops_trusted_types=found,
            pip_requirements=list(requirements),
        )


def load(file: Path, trusted: Collection[str], what: str) -> Any:
    """The estimator in a skops file.

    Raises:
        TrackingError: the file is no skops file, or holds types that nobody vouched for; `what` names it in the message.
    """
    import skops.io

    with quiet():
        try:
            found = skops.io.get_untrusted_types(file=file)
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise TrackingError(
                f"{what}: its file {file.name} is no skops file ({error}), and nothing is unpickled: restore it, or roll back to"
                " another version"
            ) from error
        _vouch(found, trusted, what)
        return skops.io.load(file, trusted=found)


def save_expectation(expectation: Expectation, folder: Path) -> None:
    """Write what was learned of the model's accuracy beside the model."""
    import skops.io

    with quiet():
        skops.io.dump(vars(expectation), folder / EXPECTATION)


def load_expectation(folder: Path, what: str) -> Expectation | None:
    """What `save_expectation` wrote into the folder; None when nothing was.

    Raises:
        TrackingError: the file holds types that are not scikit-learn's own.
    """
    if not (folder / EXPECTATION).is_file():
        return None
    return Expectation(**load(folder / EXPECTATION, (), f"the expected accuracy of {what}"))


def _vouch(found: list[str], trusted: Collection[str], what: str) -> None:
    unknown = sorted(t for t in found if not (t in trusted or t in _VOUCHED or _is_known_class(t)))
    if unknown:
        raise TrackingError(
            f"{what} holds types that nobody vouched for: {', '.join(unknown)}; if they are yours, name them in"
            " Tracking(trusted=[...])"
        )


def _is_known_class(name: str) -> bool:
    """Whether a type named in a skops file is a class that scikit-learn defines, or a model of XGBoost or LightGBM.

    Functions are not, nor other classes of these packages.
    """
    module, _, attribute = name.rpartition(".")
    root = module.split(".")[0]
    if root not in ("sklearn", "xgboost", "lightgbm"):
        return False
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    if not isinstance(found, type) or found.__module__.split(".")[0] != root:
        return False
    if root == "sklearn":
        return True
    from sklearn.base import BaseEstimator

    return issubclass(found, BaseEstimator) or name in BOOSTERS
