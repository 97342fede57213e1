"""Model files without pickle: what may be stored in a skops file, and what may be loaded from one.

A file is loaded only if every type in it is known to skops, is a class that scikit-learn itself defines, or was stated by
the user.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from mlobs.errors import TrackingError
from mlobs.expectation import Expectation
from mlobs.tracking.quiet import quiet

FILE, EXPECTATION = "model.skops", "expectation.skops"
_VOUCHED = ("functools.partial", "sklearn.utils.validation.check_array")
"""What scikit-learn's own estimators hold beside classes (gradient boosting keeps a partial of `check_array`). A partial
only calls what is named in the file as well, and so has been looked at by itself."""
_REQUIREMENTS = ("scikit-learn", "skops", "numpy", "pandas")


def save(estimator: Any, folder: Path, trusted: Collection[str]) -> int:
    """Write the estimator into `folder` in MLflow's scikit-learn flavour; returns the bytes of the model file.

    Raises:
        TrackingError: it holds types that nobody vouched for, or state that only pickle could store.
    """
    import skops.io

    kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
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
            pip_requirements=[f"{name}=={metadata.version(name)}" for name in _REQUIREMENTS],
        )
    return (folder / FILE).stat().st_size


def load(file: Path, trusted: Collection[str], what: str) -> Any:
    """The estimator in a skops file.

    Raises:
        TrackingError: the file holds types that nobody vouched for; `what` names it in the message.
    """
    import skops.io

    with quiet():
        found = skops.io.get_untrusted_types(file=file)
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
    unknown = sorted(t for t in found if not (t in trusted or t in _VOUCHED or _is_sklearn_class(t)))
    if unknown:
        raise TrackingError(
            f"{what} holds types that nobody vouched for: {', '.join(unknown)}; if they are yours, name them in"
            " Tracking(trusted=[...])"
        )


def _is_sklearn_class(name: str) -> bool:
    """Whether a type named in a skops file is a class that scikit-learn itself defines (a function is not)."""
    module, _, attribute = name.rpartition(".")
    if module.split(".")[0] != "sklearn":
        return False
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return isinstance(found, type) and found.__module__.split(".")[0] == "sklearn"
