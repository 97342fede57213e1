"""A retraining in a process of its own that kills itself with SIGKILL at a stated step: nothing is tidied up, as in a power cut."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.tracking import MlflowClient

from mlobs.engines import connect
from mlobs.history import History
from mlobs.monitor import Monitoring
from mlobs.retraining import challenger, shadow
from mlobs.retraining.challenger import Outcome
from mlobs.retraining.run import retrain
from mlobs.tracking import Tracking
from mlobs_tests.retraining.flights import day, declared, land, rows

CAUSE = "delays:accuracy:2013-02-04"
SHADOW = "delays:shadow:2"

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


CONCLUSION: dict[str, tuple[Any, str, str, int]] = {
    "both were compared": (shadow, "compare", "after", 1),
    "the refusal was noted": (Tracking, "refuse", "after", 1),
    "the decision was remembered": (History, "save_version", "after", 1),
    "the alias was moved": (MlflowClient, "set_registered_model_alias", "after", 1),
    **{f"the promotion was {what}": STEPS[f"the promotion was {what}"] for what in ("noted", "settled", "remembered")},
    "the reference was pinned": STEPS["the reference was pinned"],
}


def world(folder: Path, **policy: Any) -> tuple[Monitoring, Tracking]:
    """The small world of `flights.py` on files, so that one process finds what another left."""
    engine = connect(f"duckdb:///{folder}/warehouse.duckdb")
    monitoring = Monitoring([declared(**policy)], engine, History(f"sqlite:///{folder}/history.db"))
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


def watch(folder: Path, lasting: bool) -> None:
    """Version 2 has won and is watched in shadow for five days, in which the change lasts or is over."""
    monitoring, tracking = world(folder, shadow=5)
    (model,) = monitoring.models
    features, actuals = rows(60, change=25)
    if not lasting:
        late = actuals["at"] >= pd.Timestamp(day(35).start)
        actuals.loc[late, "delay"] = rows(60)[1].loc[late, "delay"]
    land(monitoring.engine, model, features, actuals)
    retrain(monitoring, tracking, model, day(21).start, cause="delays:first")
    retrain(monitoring, tracking, model, day(36).start, trigger="accuracy", cause=CAUSE)


def concluded(folder: Path) -> Outcome:
    """The end of its time in shadow."""
    monitoring, tracking = world(folder, shadow=5)
    (model,) = monitoring.models
    return retrain(monitoring, tracking, model, day(41).start, trigger="shadow", cause=SHADOW)


def dies(folder: Path, step: str, in_shadow: bool = False) -> None:
    """The retraining, or the end of the time in shadow, killed at the step."""
    place, name, when, number = (CONCLUSION if in_shadow else STEPS)[step]
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
    (concluded if in_shadow else retrained)(folder)
