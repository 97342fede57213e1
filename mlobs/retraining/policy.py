"""Retrain, hold or wait? A pure function of the declared policy and plain facts; touches neither database nor clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mlobs.spec import Retraining
from mlobs.windows import Window

Answer = Literal["retrain", "hold", "wait"]
Trigger = Literal["", "initial", "manual", "shadow", "accuracy", "estimate", "drift", "schedule", "external"]

BUDGET_PERIOD = timedelta(days=30)


@dataclass(frozen=True, order=True)
class Fault:
    """A data fault: a live `error` verdict on a table upstream of the model, in one window."""

    window: Window
    table: str
    reason: str = ""


@dataclass(frozen=True)
class Situation:
    """All that the decision rests on, as plain data; `situation()` gathers it.

    Attributes:
        model: the model's name.
        now: data time of the decision.
        champion: the deployed version, "" if there is none.
        running: a training run is under way.
        manual: a person asked for it.
        external: why an outside signal asks for it, "" if none does; `signal` is the time of its row.
        shadow: the version that is watched in shadow, "" if none is; `shadow_until` the end of its last window, `shadow_over`
            whether the labels of that are mature.
        failures: consecutive newest mature windows of the champion whose accuracy check failed.
        failure: the newest of these in words.
        estimates: consecutive newest windows whose estimated accuracy failed; `estimate` is the newest in words, and
            `estimated` the newest window estimated.
        drift_windows: consecutive newest windows in which an important feature drifted; `drift` says which.
        judged: the newest window judged; names the cause.
        faults: data faults upstream within the would-be training window.
        newest: the newest windows of the would-be training set, oldest first, at least `hold_windows` of them if there are.
        trained: data times of earlier trainings, oldest first.
        new_labels: labelled rows since the last training.
    """

    model: str
    now: datetime
    champion: str = ""
    running: bool = False
    manual: bool = False
    external: str = ""
    signal: datetime | None = None
    shadow: str = ""
    shadow_until: datetime | None = None
    shadow_over: bool = False
    failures: int = 0
    failure: str = ""
    estimates: int = 0
    estimate: str = ""
    estimated: Window | None = None
    drift_windows: int = 0
    drift: str = ""
    judged: Window | None = None
    faults: tuple[Fault, ...] = ()
    newest: tuple[Window, ...] = ()
    trained: tuple[datetime, ...] = ()
    new_labels: int = 0


@dataclass(frozen=True)
class Decision:
    """The answer, and why.

    Attributes:
        answer: `retrain`, `hold` (the data is broken) or `wait`.
        reason: one sentence for a person.
        trigger: what called for training, "" when nothing did.
        excluded: faulty windows that the training set leaves out.
        cause: identifies this request; the same evaluation of the same facts has the same cause, so a sensor may use
            it as a run key.
    """

    answer: Answer
    reason: str
    trigger: Trigger = ""
    excluded: tuple[Window, ...] = ()
    cause: str = ""


def decide(policy: Retraining, situation: Situation) -> Decision:
    """What to do now. Order: a run under way, a challenger in shadow, no trigger, broken data, cooldown, budget, too few new
    labels, retrain.

    A manual request passes cooldown, budget and the count of new labels, but no data fault: mark a fault as expected if
    the data is right after all. The first training of a model passes them too.

    >>> from mlobs.windows import Window
    >>> day = Window.day("2013-06-20")
    >>> s = Situation("m", day.end, champion="1", failures=3, failure="mae 31 is above 29", judged=day, new_labels=2000)
    >>> decide(Retraining(failures=3), s).answer
    'retrain'
    """
    trigger, why = _trigger(policy, situation)
    if situation.running:
        return Decision("wait", "a training run is already under way", trigger)
    if situation.shadow and trigger not in ("manual", "shadow"):
        until = f"{situation.shadow_until:%Y-%m-%d %H:%M} UTC" if situation.shadow_until else "its labels are mature"
        return Decision("wait", f"version {situation.shadow} is watched in shadow until {until}", trigger)
    if not trigger:
        return Decision("wait", why)
    cause = cause_of(situation.model, trigger, _identity(trigger, situation))
    held, excluded = _faults(policy, situation)
    if held:
        names = _listed([f"{fault.table} in {fault.window}" for fault in held])
        where = f"the newest {policy.hold_windows} windows of training data"
        reason = f"{why}, but {where} hold data faults ({names}): repair the data first"
        return Decision("hold", reason, trigger, excluded, cause)
    if trigger not in ("manual", "initial", "shadow"):
        waiting = _waiting(policy, situation)
        if waiting:
            return Decision("wait", f"{why}, but {waiting}", trigger, excluded, cause)
    reason = why
    if excluded and trigger != "shadow":
        reason += f"; trained without the faulty windows {_listed([str(w) for w in excluded])}"
    return Decision("retrain", reason, trigger, excluded, cause)


def _trigger(policy: Retraining, s: Situation) -> tuple[Trigger, str]:
    """The strongest trigger and its reason; no trigger and why not."""
    if s.manual:
        return "manual", "asked for by hand"
    if s.shadow and s.shadow_over:
        return "shadow", f"version {s.shadow} has been watched in shadow: it is compared with the champion once more"
    if not s.champion and not s.trained:
        return "initial", "the model has no version yet"
    if s.failures >= policy.failures:
        return "accuracy", f"accuracy failed in the newest {_windows(s.failures)}: {s.failure}"
    if policy.on_estimate and s.estimates >= policy.failures:
        return "estimate", f"estimated accuracy failed in the newest {s.estimates} windows, before labels: {s.estimate}"
    if policy.on_drift and s.drift_windows >= policy.failures:
        return "drift", f"important features drifted in the newest {s.drift_windows} windows: {s.drift}"
    if s.external:
        return "external", s.external
    if policy.every is not None and s.trained and s.now - s.trained[-1] >= policy.every:
        return (
            "schedule",
            f"the last training was on {s.trained[-1]:%Y-%m-%d}, and one is due every {_length(policy.every)}",
        )
    if s.failures:
        return (
            "",
            f"accuracy failed in the newest {_windows(s.failures)} of the {policy.failures} that call for training: {s.failure}",
        )
    return "", "nothing calls for training"


def cause_of(model: str, trigger: str, identity: str) -> str:
    """What names the cause of a run, in tags and run keys."""
    return f"{model}:{trigger}:{identity}"


def _identity(trigger: Trigger, s: Situation) -> str:
    """What names the cause: the row that asks, the version in shadow, the newest window judged, else the day."""
    if trigger == "external" and s.signal is not None:
        return s.signal.isoformat()
    if trigger == "shadow":
        return s.shadow
    window = s.estimated if trigger == "estimate" else s.judged
    return window.key if window else s.now.date().isoformat()


def _faults(policy: Retraining, s: Situation) -> tuple[list[Fault], tuple[Window, ...]]:
    """Faults that hold, and the older windows that are left out instead."""
    newest = s.newest[len(s.newest) - policy.hold_windows :] if policy.hold_windows else ()
    since = min((w.start for w in newest), default=None)
    held = sorted(f for f in s.faults if since is not None and f.window.end > since)
    older = sorted({f.window for f in s.faults} - {f.window for f in held})
    return held, tuple(older)


def _waiting(policy: Retraining, s: Situation) -> str:
    if s.trained and s.now - s.trained[-1] < policy.cooldown:
        until = s.trained[-1] + policy.cooldown
        return f"the last training was on {s.trained[-1]:%Y-%m-%d}: cooldown until {until:%Y-%m-%d}"
    recent = [t for t in s.trained if s.now - t < BUDGET_PERIOD]
    if len(recent) >= policy.monthly_budget:
        return f"{len(recent)} of {policy.monthly_budget} trainings in 30 days are used up"
    if s.new_labels < policy.min_new_labels:
        return f"only {s.new_labels} labels came since the last training, of at least {policy.min_new_labels}"
    return ""


def _length(length: timedelta) -> str:
    """A length of time as a person says it: whole days where they fit."""
    return f"{length.days} days" if length % timedelta(days=1) == timedelta(0) else str(length)


def _windows(count: int) -> str:
    return f"{count} mature window" + ("" if count == 1 else "s")


def _listed(names: Sequence[str], most: int = 3) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more
