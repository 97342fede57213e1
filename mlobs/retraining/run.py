"""One retraining from request to remembered outcome: policy's exclusions, training, promotion, the re-pinned reference."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlobs.errors import TrainingError
from mlobs.retraining.challenger import Outcome, train_and_decide
from mlobs.retraining.policy import decide
from mlobs.retraining.situation import situation
from mlobs.spec import Model, Retraining

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
    progress: Callable[[str], None] | None = None,
) -> Outcome:
    """Train a challenger and promote or refuse it, then remember the version and, if promoted, re-pin the reference.

    Whoever asks has decided that it is time; only data faults are looked at once more, since data may have broken since.
    A run killed before the alias moves leaves the champion as it was; one killed after it is finished by the next run.

    Args:
        trigger: what called for it (`Decision.trigger`); `reason` in words.
        progress: called with one line before each step.

    Raises:
        TrainingError: the policy holds because of data faults, or the user's functions failed.
        DataError, WarehouseError, TrackingError: nothing to train on, or a store failed; the champion is untouched.
    """
    history = monitoring.history
    decision = decide(model.retraining or Retraining(), situation(model, history, now, running=False, manual=True))
    if decision.answer == "hold":
        raise TrainingError(f"model {model.name!r} is not trained: {decision.reason}")
    _finish(monitoring, tracking, model, now)
    outcome = train_and_decide(
        model,
        monitoring.engine,
        tracking,
        now,
        excluded=decision.excluded,
        cause=trigger,
        reason=reason,
        progress=progress,
    )
    history.save_version(model.name, outcome.version.version, now, _known(outcome, trigger, reason))
    if outcome.promoted:
        monitoring.pin_reference(model, outcome.version.version, outcome.windows, now)
        history.record_promotion(model.name, outcome.version.version, now, "mlobs", outcome.reason)
    return outcome


def _finish(monitoring: Monitoring, tracking: Tracking, model: Model, now: datetime) -> None:
    """What a run that was killed after promotion left undone: history learns of the champion that serves."""
    champion = tracking.champion(model.name)
    known = monitoring.history.champion(model.name)
    if champion is None or (known is not None and known.version == champion.version):
        return
    info: dict[str, Any] = {"cv_error": champion.cv_error, "baseline": champion.baseline}
    if champion.window is not None:
        info |= {"window_start": champion.window.start.isoformat(), "window_end": champion.window.end.isoformat()}
        windows = list(champion.window.split(model.features.cadence))
        monitoring.pin_reference(model, champion.version, windows, now)
    at = champion.trained_at or now
    monitoring.history.save_version(model.name, champion.version, at, {k: v for k, v in info.items() if v is not None})
    monitoring.history.record_promotion(model.name, champion.version, at, "mlobs", "found in the registry as champion")


def _known(outcome: Outcome, trigger: str, reason: str) -> dict[str, Any]:
    """What history keeps of a version, as plain values."""
    training, comparison = outcome.training, outcome.comparison
    known = {
        "trigger": trigger,
        "cause": reason,
        "promoted": outcome.promoted,
        "verdict": outcome.reason,
        "window_start": training.window.start.isoformat(),
        "window_end": training.window.end.isoformat(),
        "fingerprint": training.fingerprint,
        "rows": training.rows,
        "metric": training.metric,
        "cv_error": training.cv_error,
        "baseline": training.baseline,
        "fit_seconds": training.fit_seconds,
        "score_seconds": training.score_seconds,
        "params": dict(training.params),
        "metrics": dict(training.metrics),
        "importances": dict(training.importances),
        "excluded": [window.key for window in training.excluded],
        "run_id": outcome.version.run_id,
    }
    if comparison is not None:
        known |= {
            "champion_error": comparison.champion_error,
            "challenger_error": comparison.challenger_error,
            "improvement": comparison.improvement.value,
            "improvement_low": comparison.low,
            "improvement_high": comparison.high,
            "compared_windows": [window.key for window in comparison.windows],
        }
    return known
