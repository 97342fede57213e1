"""MLflow's surroundings: its telemetry off, its chatter kept to itself, its errors turned into `TrackingError`s."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from mlobs.addresses import shown, without_secrets
from mlobs.errors import TrackingError

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7 retries mean minutes until a server that is down is reported
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "OMP_WAIT_POLICY": "PASSIVE",  # on busy cores scikit-learn's spinning threads made a fit of .7 s take 5 to 28 s
}
"""Environment variables that are set where they aren't, before MLflow and scikit-learn are first imported."""


@contextlib.contextmanager
def speaking(uri: str, doing: str) -> Iterator[None]:
    """Turn MLflow's and the database's errors into a `TrackingError`; keep MLflow quiet meanwhile.

    Raises:
        TrackingError: says what couldn't be done, in which store, why, and the mend.
    """
    try:
        with quiet():
            yield
    except TrackingError:
        raise
    except Exception as error:
        if not _from_store(error):
            raise
        raise TrackingError(
            f"can't {doing} in the MLflow store {shown(uri)}: {without_secrets(_first_line(error), uri)}; {_mend(error)}"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """MLflow without telemetry, migration logs and deprecation warnings of its own, for the time of a call."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    names = (
        "alembic",
        "alembic.runtime.migration",
        "mlflow",
        "mlflow.store.db.utils",
        "mlflow.utils.environment",
        "mlflow.sklearn",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _from_store(error: Exception) -> bool:
    root = type(error).__module__.split(".")[0]
    return root in ("mlflow", "sqlalchemy", "sqlite3", "alembic", "requests", "urllib3") or isinstance(error, OSError)


def _mend(error: Exception) -> str:
    text = str(error).lower()
    if "locked" in text:
        return "another process holds it; try again when that is done"
    if "not found" in text or "does_not_exist" in text:
        return "check the name and version with `mlobs versions`"
    if "out of date" in text or "can't locate revision" in text or "upgrade" in text:
        return "it was written by another version of MLflow: `mlflow db upgrade` moves it forward"
    return "check that the store is up and that you may write to it"


def _first_line(error: Exception) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return next((line for line in lines if not line.startswith("(raised as a result of")), lines[0])[:300]


def sqlite_path(uri: str) -> Path | None:
    return Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None
