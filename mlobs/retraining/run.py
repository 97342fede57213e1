"""One retraining from request to re-pinned reference; also finishes what a killed run left undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from mlobs.monitor import pin_note
from mlobs.retraining.challenger import Outcome, train_and_decide
from mlobs.retraining.shadow import conclude
from mlobs.spec import Model

if TYPE_CHECKING:
    from mlobs.monitor import Monitoring
    from mlobs.tracking import Tracking


def retrain(
    monitoring: Monitoring,
    tracking: Tracking,
    model: Model,
    now: datetime,
    *,
    trigger: str = "manual",
    reason: str = "",
    cause: str = "",
    progress: Callable[[str], None] | None = None,
) -> Outcome:
    """Train a challenger, promote or refuse it (`train_and_decide`), and pin the reference to a promoted version's data.

    Whoever asks has decided that it is time; only data faults are looked at once more, since data may have broken since.
    A run killed before the alias moves leaves the champion as it was; what one killed later left undone is done first.

    Args:
        trigger: what called for it (`Decision.trigger`); `reason` in words, `cause` its identity. `shadow` trains nothing, but
            compares the version in shadow.
        progress: called with one line before each step.

    Raises:
        TrainingError: the policy holds because of data faults, or the user's functions failed.
        DataError, WarehouseError, TrackingError: nothing to train on, or a store failed; the champion is untouched.
        HistoryError, TrackingError: history or the MLflow store can't be written; said before anything is trained.
    """
    monitoring.history.check_writable()
    tracking.check_writable(f"log a training of model {model.name!r}")
    finish(monitoring, tracking, model, now)
    model = monitoring.settled(model, now, otherwise=model.features.cadence)
    if trigger == "shadow":
        outcome = conclude(model, monitoring.engine, monitoring.history, tracking, now)
    else:
        outcome = train_and_decide(
            model, monitoring.engine, monitoring.history, tracking, now,
            trigger=trigger, reason=reason, cause=cause, progress=progress,
        )  # fmt: skip
    if outcome.promoted:
        monitoring.pin_reference(model, outcome.version.version, outcome.windows, now)
    return outcome


def finish(monitoring: Monitoring, tracking: Tracking, model: Model, now: datetime) -> None:
    """Make history and reference agree with the registry, whose champion serves.

    They differ when a run was killed between moving the alias and remembering it, or when somebody moved the alias by hand.
    """
    champion = tracking.champion(model.name)
    if champion is None:
        return
    history = monitoring.history
    known = history.champion(model.name)
    if known is None or known.version != champion.version:
        if champion.version not in {version.version for version in history.versions(model.name)}:
            info = {"cv_error": champion.cv_error, "baseline": champion.baseline}
            if champion.window is not None:
                info |= {
                    "window_start": champion.window.start.isoformat(),
                    "window_end": champion.window.end.isoformat(),
                }
            facts = {name: value for name, value in info.items() if value is not None}
            history.save_version(model.name, champion.version, champion.trained_at or now, facts)
        history.record_promotion(model.name, champion.version, now, "mlobs", "found in the registry as the champion")
    note = pin_note(model, champion.version)
    if champion.window is not None and all(pin.note != note for pin in history.references(model.features.id)):
        windows = list(champion.window.split(model.features.cadence))
        monitoring.pin_reference(model, champion.version, windows, now)
