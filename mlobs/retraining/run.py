"""One retraining from request to re-pinned reference; also finishes what a killed run left undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from mlobs.monitor import pin_note
from mlobs.retraining.challenger import Outcome, train_and_decide
from mlobs.retraining.policy import cause_of
from mlobs.retraining.shadow import conclude, concluded, trained_on, watched
from mlobs.spec import Model
from mlobs.windows import instant

if TYPE_CHECKING:
    from mlobs.history import History, StoredVersion
    from mlobs.monitor import Monitoring
    from mlobs.tracking import Tracking, Version


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
    A run killed before the alias moves leaves the champion as it was; what one killed later left undone is done first. Run
    again for the same cause, it takes up the version that was registered, and trains nothing if that is the champion by now.

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
    champion = finish(monitoring, tracking, model, now)
    done = _done(monitoring.history, tracking, model, champion, trigger, cause) if champion else None
    if done is not None:
        return done
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


def _done(
    history: History, tracking: Tracking, model: Model, champion: Version, trigger: str, cause: str
) -> Outcome | None:
    """The outcome of this very training or time in shadow, if a run that was killed has come to it."""
    if trigger == "shadow":
        named = [v for v in history.versions(model.name) if cause == cause_of(model.name, trigger, v.version)]
        stored = named[0] if named else _known(history, champion)
        done = stored is not None and "won" in stored.info and watched(history, model) is None
    else:
        stored = _known(history, champion)
        done = cause != "" and champion.tags.get("cause") == cause
    if stored is None or not done or "fingerprint" not in stored.info:
        return None
    windows, training = trained_on(model, stored)
    version = tracking.version(model.name, stored.version)
    return Outcome(version, bool(stored.info["promoted"]), stored.info["verdict"], training, windows)


def _known(history: History, version: Version) -> StoredVersion | None:
    return next((v for v in history.versions(version.model) if v.version == version.version), None)


def finish(monitoring: Monitoring, tracking: Tracking, model: Model, now: datetime) -> Version | None:
    """Make history and reference agree with the registry, whose champion serves; returns it, None when there is none.

    They differ when a run was killed between moving the alias and remembering it, or when somebody moved the alias by hand.
    """
    champion = tracking.champion(model.name)
    if champion is None:
        return None
    champion = tracking.settle(champion)
    history = monitoring.history
    known, noted = history.champion(model.name), _noted(history, champion, now)
    if known is None or known.version != champion.version:
        if _known(history, champion) is None:
            info = {"cv_error": champion.cv_error, "baseline": champion.baseline}
            if champion.window is not None:
                info |= {
                    "window_start": champion.window.start.isoformat(),
                    "window_end": champion.window.end.isoformat(),
                }
            facts = {name: value for name, value in info.items() if value is not None}
            history.save_version(model.name, champion.version, champion.trained_at or now, facts)
        history.record_promotion(model.name, champion.version, *noted)
    stored = _known(history, champion)
    if stored is not None and stored.info.get("shadow"):
        history.save_version(model.name, stored.version, stored.at, concluded(stored, True, noted[2], noted[0]))
    note = pin_note(model, champion.version)
    if champion.window is not None and all(pin.note != note for pin in history.references(model.features.id)):
        windows = list(champion.window.split(model.features.cadence))
        monitoring.pin_reference(model, champion.version, windows, now)
    return champion


def _noted(history: History, champion: Version, now: datetime) -> tuple[datetime, str, str]:
    """When, by whom and why it was promoted: as the version's tags say, unless history knows of that promotion already.

    Then somebody has moved the alias back to it by hand.
    """
    tags = champion.tags
    if "promoted_at" in tags:
        noted = instant(tags["promoted_at"]), tags["promoted_by"], tags["promoted_because"]
        known = {(p.at, p.by, p.reason) for p in history.promotions(champion.model) if p.version == champion.version}
        if noted not in known:
            return noted
    return now, "mlobs", "found in the registry as the champion"
