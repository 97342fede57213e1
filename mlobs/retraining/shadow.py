"""A challenger in shadow: it has won on past windows and must win on new ones, which nobody chose, before it serves.

Nothing is served or stored while it waits: what it would have said follows from the features, which are kept; when its
windows are mature both versions are scored on them. Touches what a training touches.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlobs.errors import TrainingError
from mlobs.metrics.accuracy import watched_error
from mlobs.retraining.challenger import Outcome, compare, score_windows
from mlobs.retraining.training_set import build
from mlobs.spec import Model, Retraining
from mlobs.tracking import Tracking, Training
from mlobs.windows import Window, instant

if TYPE_CHECKING:
    from mlobs.engines import Engine
    from mlobs.history import History, StoredVersion


def watched(history: History, model: Model) -> StoredVersion | None:
    """The version that is in shadow; None when none is."""
    return next((v for v in reversed(history.versions(model.name)) if v.info.get("shadow")), None)


def conclude(
    model: Model, engine: Engine, history: History, tracking: Tracking, now: datetime, *, by: str = "mlobs"
) -> Outcome:
    """Compare the version in shadow with the champion on the windows since its training; promote or refuse it.

    A run killed at any step leaves the champion serving and the version in shadow; running again does the whole again.

    Raises:
        TrainingError: no version is in shadow.
        DataError, WarehouseError, TrackingError: data or store failed; the champion is untouched.
    """
    policy = model.retraining or Retraining()
    stored = watched(history, model)
    champion = tracking.champion(model.name)
    if stored is None or champion is None:
        raise TrainingError(f"model {model.name!r}: no version is watched in shadow")
    version = tracking.version(model.name, stored.version)
    since, until = instant(stored.info["window_end"]), instant(stored.info["shadow"])
    data = build(engine, model, now, since=since)
    windows = [w for w in data.windows if w.end <= until]
    comparison = compare(
        policy,
        watched_error(model.task, model.accuracy.metric if model.accuracy else None),
        score_windows(model, data, tracking.load(champion), windows, None),
        score_windows(model, data, tracking.load(version), windows, None),
        confirming=True,
    )
    verdict = f"{comparison.reason}, watched in shadow"
    info = concluded(stored, comparison.promote, verdict, now)
    if comparison.promote:
        version = tracking.promote(version, by=by, reason=verdict, at=now)
        history.save_version(model.name, version.version, stored.at, info)
        history.record_promotion(model.name, version.version, now, by, verdict)
    else:
        version = tracking.refuse(version, reason=verdict, at=now)
        history.save_version(model.name, version.version, stored.at, info)
    windows_trained, training = trained_on(model, stored)
    return Outcome(version, comparison.promote, verdict, training, windows_trained, comparison)


def concluded(stored: StoredVersion, promoted: bool, verdict: str, at: datetime) -> dict[str, Any]:
    """What history remembers of a version when its time in shadow is over."""
    won = {"won": stored.info["verdict"], "decided": at.isoformat()}
    return {**stored.info, "shadow": "", "promoted": promoted, "verdict": verdict, **won}


def trained_on(model: Model, stored: StoredVersion) -> tuple[tuple[Window, ...], Training]:
    """The windows that a version was trained on, and its training, as history knows them."""
    info = stored.info
    trained = Window(info["window_start"], info["window_end"])
    windows = tuple(w for w in trained.split(model.features.cadence) if w.key not in set(info["excluded"]))
    return windows, Training(
        trained,
        info["fingerprint"],
        info["rows"],
        stored.at,
        info["metric"],
        info["cv_error"],
        info["baseline"],
        metrics=info["metrics"],
        importances=info["importances"],
        fit_seconds=info["fit_seconds"],
        score_seconds=info["score_seconds"],
        reason=info["reason"],
    )
