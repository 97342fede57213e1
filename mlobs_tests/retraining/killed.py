"""A retraining in a process of its own that kills itself with SIGKILL at a stated step: nothing is tidied up, as in a power cut."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient

from mlobs.engines import connect
from mlobs.history import History
from mlobs.monitor import Monitoring
from mlobs.retraining import challenger
from mlobs.retraining.challenger import Outcome
from mlobs.retraining.run import retrain
from mlobs.tracking import Tracking
from mlobs_tests.retraining.flights import day, declared, land, rows

CAUSE = "delays:accuracy:2013-02-04"

STEPS: dict[str, tuple[Any, str, str, int]] = {
    # step -> where it is called, its name, before or after which call of it
    "before the fit": (challenger, "compare", "after", 1),
    "after the fit": (challenger, "importances", "before", 1),
    "a run was opened": (MlflowClient, "create_run", "after", 1),
    "its figures were logged": (MlflowClient, "log_batch", "after", 1),
    "its model was stored": (MlflowClient, "log_artifacts", "after", 1),
    "the run was finished": (MlflowClient, "set_terminated", "after", 1),
    "the version was registered": (MlflowClient, "create_model_version", "after", 1),
    "it is the challenger": (Tracking, "log_training", "after", 1),
    "the version was remembered": (History, "save_version", "after", 1),
    "the promotion was noted": (Tracking, "_note", "after", 1),
    "the alias was moved": (MlflowClient, "set_registered_model_alias", "after", 2),
    "the promotion was settled": (Tracking, "promote", "after", 1),
    "the promotion was remembered": (History, "record_promotion", "after", 1),
    "the reference was pinned": (Monitoring, "pin_reference", "after", 1),
}


def world(folder: Path) -> tuple[Monitoring, Tracking]:
    """The small world of `flights.py` on files, so that one process finds what another left."""
    engine = connect(f"duckdb:///{folder}/warehouse.duckdb")
    monitoring = Monitoring([declared()], engine, History(f"sqlite:///{folder}/history.db"))
    return monitoring, Tracking(f"sqlite:///{folder}/mlflow.db")


def prepare(folder: Path) -> None:
    """Forty days of which the last fifteen are of another world, and a version that was trained before."""
    monitoring, tracking = world(folder)
    (model,) = monitoring.models
    land(monitoring.engine, model, *rows(40, change=25))
    retrain(monitoring, tracking, model, day(21).start, cause="delays:first")


def retrained(folder: Path) -> Outcome:
    """The retraining that the change calls for."""
    monitoring, tracking = world(folder)
    (model,) = monitoring.models
    return retrain(
        monitoring, tracking, model, day(36).start, trigger="accuracy", reason="accuracy failed", cause=CAUSE
    )


def dies(folder: Path, step: str) -> None:
    """The same, killed at the step."""
    place, name, when, number = STEPS[step]
    real: Callable[..., Any] = getattr(place, name)
    calls = iter(range(1, 1_000))

    def deadly(*args: Any, **kwargs: Any) -> Any:
        last = next(calls) == number
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*args, **kwargs)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(place, name, deadly)
    retrained(folder)
