"""Train a challenger, compare it with the champion on windows that neither was fitted to, promote or refuse it.

Works on a training set in memory; effects are the user's own functions and the calls to tracking and history that it is
handed. Touches no Dagster.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlobs.errors import TrackingError, TrainingError
from mlobs.estimators import fit
from mlobs.expectation import Expectation, learn
from mlobs.metrics.accuracy import MIN_WINDOWS, Estimate, error, estimate_improvement, metrics, watched_error
from mlobs.predictions import Predicted, predicted
from mlobs.retraining.policy import decide
from mlobs.retraining.situation import situation
from mlobs.retraining.training_set import TIME, TrainingSet, build
from mlobs.spec import Model, Retraining
from mlobs.states.accuracy import AccuracyState
from mlobs.tracking import Tracking, Training, Version
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.engines import Engine
    from mlobs.history import History

BLOCKS = 2
"""Pieces in which the held-out windows are scored. The version that is deployed is fitted on these windows too, so its
recipe is judged as it will be used: shortly after its newest data."""

IMPORTANCE_ROWS = 2000
"""Rows of the newest data on which permutation importance is computed; more cost time and change little."""


@dataclass(frozen=True)
class Fold:
    """One time-ordered fold: trained on all before `test`, scored on it."""

    train_rows: int
    test: Window
    state: AccuracyState
    by_window: tuple[tuple[Window, AccuracyState], ...]
    rows: pd.DataFrame = field(repr=False, compare=False)
    predicted: Predicted = field(repr=False, compare=False)


@dataclass(frozen=True)
class Comparison:
    """Challenger against champion on the same windows.

    Attributes:
        windows: the windows both were scored on. The champion was fitted to none of them; the challenger's recipe was, for
            each piece of them, fitted to what lies before that piece.
        champion_error, challenger_error: errors in the watched metric over all of them.
        improvement: 1 - challenger error / champion error, with its standard error over windows.
        low, high: one-sided bounds of the improvement at the policy's confidence.
        promote: whether `low` exceeds the margin.
        reason: in words.
    """

    windows: tuple[Window, ...]
    metric: str
    champion_error: float
    challenger_error: float
    improvement: Estimate
    low: float
    high: float
    promote: bool
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What a training led to."""

    version: Version
    promoted: bool
    reason: str
    training: Training
    windows: tuple[Window, ...]
    comparison: Comparison | None = None
    folds: tuple[Fold, ...] = field(default=(), repr=False)


def naive_baseline(model: Model, actual: pd.Series) -> float | str:
    """The constant that the training data prefers: median for `mae`, mean for `rmse`, share of positives, commonest class."""
    if model.task == "multiclass":
        return str(actual.astype(str).value_counts().sort_index().idxmax())
    numbers = actual.astype(float)
    if model.task == "binary":
        return float(numbers.mean())
    metric = watched_error(model.task, model.accuracy.metric if model.accuracy else None)
    return float(numbers.mean() if metric == "rmse" else numbers.median())


def cross_validate(model: Model, data: TrainingSet, folds: int, length: int) -> list[Fold]:
    """Time-ordered folds over the newest windows: each is `length` windows, trained on all windows before it.

    With little history the folds become shorter, so that the first still trains on at least half of the windows.

    Raises:
        TrainingError: fewer than three windows, or a user function failed.
    """
    windows = data.windows
    if len(windows) < 3:
        raise TrainingError(
            f"model {model.name!r}: {len(windows)} labelled windows are too few to cross-validate on; at least 3 are needed"
        )
    folds = min(folds, len(windows) // 2)
    length = max(1, min(length, len(windows) // (2 * folds)))
    found = []
    for number in range(folds, 0, -1):
        end = len(windows) - (number - 1) * length
        tested, trained = windows[end - length : end], windows[: end - length]
        before = data.rows_in(trained)
        found.append(_fold(model, data, fit(model, before), before, tested))
    return found


def _fold(model: Model, data: TrainingSet, estimator: Any, before: pd.DataFrame, tested: Sequence[Window]) -> Fold:
    rows = data.rows_in(tested)
    made = predicted(model, estimator, rows)
    states = _by_window(model, data, rows, made, tested, naive_baseline(model, before[model.actual]))
    merged = AccuracyState.merge(model.task, (s for _, s in states))
    return Fold(len(before), tested[0].hull(tested[-1]), merged, tuple(states), rows, made)


def expectation(model: Model, folds: Sequence[Fold]) -> Expectation | None:
    """What the folds' out-of-sample predictions teach of the accuracy of a row (`expectation.py`)."""
    rows = pd.concat([fold.rows for fold in folds], ignore_index=True)
    values = np.concatenate([fold.predicted.values for fold in folds])
    classes = folds[0].predicted.probabilities
    chances = {name: np.concatenate([fold.predicted.probabilities[name] for fold in folds]) for name in classes}
    return learn(model, rows[list(model.input_names)], rows[model.actual].to_numpy(), Predicted(values, chances))


def score_windows(
    model: Model, data: TrainingSet, estimator: Any, windows: Sequence[Window], baseline: float | str | None
) -> list[tuple[Window, AccuracyState]]:
    """The accuracy of an estimator on each of the windows, from the rows of the training set."""
    rows = data.rows_in(windows)
    if rows.empty:
        return []
    return _by_window(model, data, rows, predicted(model, estimator, rows), windows, baseline)


def _by_window(
    model: Model,
    data: TrainingSet,
    rows: pd.DataFrame,
    made: Predicted,
    windows: Sequence[Window],
    baseline: float | str | None,
) -> list[tuple[Window, AccuracyState]]:
    numbers = ((rows[TIME] - pd.Timestamp(data.window.start)) // pd.Timedelta(data.cadence)).to_numpy()
    actual = rows[model.actual].to_numpy()
    found = []
    for window in windows:
        here = numbers == (window.start - data.window.start) // data.cadence
        if here.any():
            chances = {name: values[here] for name, values in made.probabilities.items()}
            state = AccuracyState.of_rows(model.task, actual[here], made.values[here], baseline, probabilities=chances)
            found.append((window, state))
    return found


def compare(
    policy: Retraining,
    metric: str,
    champion: Sequence[tuple[Window, AccuracyState]],
    challenger: Sequence[tuple[Window, AccuracyState]],
    *,
    confirming: bool = False,
) -> Comparison:
    """Paired by window: is the challenger's error lower by the margin, with the policy's one-sided confidence?

    Null hypothesis: improvement = 1 - challenger error / champion error <= margin. Statistic: t over windows, the standard
    error a delete-one-window jackknife of the ratio, so hard days weigh on both alike.

    Args:
        confirming: the confidence was shown before, on windows that called for the training; on these new ones, which
            nobody chose, the improvement itself must exceed the margin. To ask for the confidence twice would ask for more
            than the policy states.
    """
    old, new = dict(champion), dict(challenger)
    windows = tuple(sorted(set(old) & set(new)))
    least = min(MIN_WINDOWS, policy.holdout)
    pairs = [(new[w], old[w]) for w in windows]
    improvement = estimate_improvement(pairs, metric)
    half = improvement.bound(policy.confidence)
    low, high = improvement.value - half, improvement.value + half
    task = next(iter(old.values())).task if old else "regression"
    old_error = error(AccuracyState.merge(task, (old[w] for w in windows)), metric)
    new_error = error(AccuracyState.merge(task, (new[w] for w in windows)), metric)
    promote = len(windows) >= least and (improvement.value if confirming else low) > policy.margin
    kind = "new" if confirming else "held-out"
    said = f"{metric} {new_error:.3g} against the champion's {old_error:.3g} on {len(windows)} {kind} windows"
    if not windows:
        reason = "refused: no window has come since the champion's training to compare them on"
    elif len(windows) < least:
        reason = f"refused: {said}, at least {least} are needed to tell"
    else:
        sure = "" if confirming else f", at least {low:+.1%} with {policy.confidence:.0%} confidence"
        change = f"improvement {improvement.value:+.1%}{sure}"
        asked = f"a margin of {policy.margin:.0%} is asked for"
        reason = f"{'promoted' if promote else 'refused'}: {said} ({change}; {asked})"
    return Comparison(windows, metric, old_error, new_error, improvement, low, high, promote, reason)


def importances(
    model: Model, estimator: Any, frame: pd.DataFrame, metric: str, seed: int, repeats: int = 2
) -> dict[str, float]:
    """Permutation importance (Breiman 2001): the rise of the error when one input is shuffled, mean of `repeats` shuffles.

    In the metric's unit; 0 means that the input doesn't matter, below 0 that it misleads.
    """
    rows = frame.iloc[-IMPORTANCE_ROWS:]
    if rows.empty:
        return {}
    generator = np.random.default_rng(seed)
    actual = rows[model.actual].to_numpy()
    base = error(AccuracyState.of_rows(model.task, actual, predicted(model, estimator, rows).values), metric)
    names = list(model.input_names)
    found = {}
    for name in names:
        # All shuffles of one input in one call: a predict call has a fixed cost.
        shuffled = pd.concat([rows] * repeats, ignore_index=True)
        order = np.concatenate([generator.permutation(len(rows)) for _ in range(repeats)])
        shuffled[name] = rows[name].iloc[order].reset_index(drop=True)
        made = predicted(model, estimator, shuffled)
        state = AccuracyState.of_rows(model.task, np.tile(actual, repeats), made.values)
        found[name] = error(state, metric) - base
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def train_and_decide(
    model: Model,
    engine: Engine,
    history: History,
    tracking: Tracking,
    now: datetime,
    *,
    trigger: str = "manual",
    reason: str = "",
    cause: str = "",
    by: str = "mlobs",
    progress: Callable[[str], None] | None = None,
) -> Outcome:
    """One training from data to decision; the champion's alias moves last, and only if the challenger is better.

    Training set as of `now` -> time-ordered cross-validation -> comparison with the champion on the newest `holdout` mature
    windows, out of sample for both -> fit on all windows (`refit`; else on those before the held-out ones) -> run and
    version in MLflow with alias `challenger` -> promotion, refusal or a time in shadow -> remembered in history. The
    caller then pins the reference anew (`Outcome.windows`) if it was promoted.

    A run killed at any step leaves the champion as it was; running again does the whole again.

    Args:
        now: data time; nothing later is looked at.
        trigger, reason, cause: from the `Decision` that called for it.
        by: who is written down for the promotion.
        progress: called with one line before each step.

    Raises:
        TrainingError: data faults cover the newest training data, or the user's functions failed.
        DataError, WarehouseError: no training data.
        TrackingError: MLflow's store failed, or the champion can't be loaded.
    """
    policy = model.retraining or Retraining()
    metric = watched_error(model.task, model.accuracy.metric if model.accuracy else None)
    say = progress or _silent
    decision = decide(policy, situation(model, history, now, running=False, manual=True))
    if decision.answer == "hold":
        raise TrainingError(f"model {model.name!r}: training is held: {decision.reason}")
    champion = tracking.champion(model.name)
    say("building the training set")
    data = build(engine, model, now, decision.excluded)
    say(f"cross-validating on {len(data.frame)} rows of {len(data.windows)} windows")
    folds = cross_validate(model, data, policy.folds, policy.holdout)
    validated = AccuracyState.merge(model.task, (f.state for f in folds))
    comparison, score_seconds = None, 0.0
    held = _held_out(policy, data, champion)
    if champion is not None:
        say(f"comparing with champion version {champion.version} on {len(held)} windows")
        started = time.perf_counter()
        serving = score_windows(model, data, tracking.load(champion), held, None)
        score_seconds = time.perf_counter() - started
        comparison = compare(policy, metric, serving, _trial(model, data, folds, held, BLOCKS if policy.refit else 1))
    kept = data.windows if policy.refit or not held else tuple(w for w in data.windows if w < held[0])
    rows = data.rows_in(kept)
    say(f"fitting on {len(kept)} windows")
    started = time.perf_counter()
    estimator = fit(model, rows)
    fit_seconds = time.perf_counter() - started
    baseline = naive_baseline(model, rows[model.actual])
    training = Training(
        window=Window(data.window.start, kept[-1].end),
        fingerprint=data.fingerprint,
        rows=len(rows),
        at=now,
        metric=metric,
        cv_error=error(validated, metric),
        baseline=baseline,
        params={
            "task": model.task,
            "inputs": ", ".join(model.input_names),
            "seed": policy.seed,
            "folds": len(folds),
            **_estimator_params(estimator),
        },
        metrics={**{f"cv_{name}": value for name, value in metrics(validated).items()}, **_compared(comparison)},
        folds=[metrics(f.state) for f in folds],
        importances=importances(model, estimator, rows, metric, policy.seed),
        excluded=data.excluded,
        fit_seconds=fit_seconds,
        score_seconds=score_seconds,
        cause=cause,
        reason=reason or trigger,
    )
    say("logging to MLflow")
    version = tracking.log_training(model.name, estimator, training, expectation(model, folds))
    better = comparison is None or comparison.promote
    shadow = training.window.end + policy.shadow * model.features.cadence
    watched, promoted = better and comparison is not None and policy.shadow > 0, better
    verdict = comparison.reason if comparison else "promoted: the first version of the model"
    if watched:
        promoted = False
        verdict = (
            f"shadow: {verdict.removeprefix('promoted: ')}; watched on the windows until {shadow:%Y-%m-%d %H:%M} UTC"
        )
    info = _info(training, version, comparison, promoted, verdict, trigger)
    info |= {"shadow": shadow.isoformat() if watched else ""}
    for other in history.versions(model.name):
        if other.info.get("shadow"):  # a training by hand takes its place
            history.save_version(model.name, other.version, other.at, {**other.info, "shadow": ""})
    history.save_version(model.name, version.version, now, info)
    if promoted:
        version = tracking.promote(version, by=by, reason=verdict, at=now)
        history.record_promotion(model.name, version.version, now, by, verdict)
    elif not watched:
        version = tracking.refuse(version, reason=verdict, at=now)
    return Outcome(version, promoted, verdict, training, kept, comparison, tuple(folds))


def _trial(
    model: Model, data: TrainingSet, folds: Sequence[Fold], held: Sequence[Window], blocks: int
) -> list[tuple[Window, AccuracyState]]:
    """The challenger's recipe on the held-out windows: in `blocks` pieces, each fitted on all that lies before it.

    Cross-validation has scored the first piece already when its newest fold begins with it.
    """
    found: list[tuple[Window, AccuracyState]] = []
    size = max(1, math.ceil(len(held) / blocks))
    for start in range(0, len(held), size):
        block = list(held[start : start + size])
        scored = [pair for pair in folds[-1].by_window if pair[0] in block]
        if folds[-1].test.start != block[0].start or len(scored) < len(block):
            before = [w for w in data.windows if w < block[0]]
            scored = score_windows(model, data, fit(model, data.rows_in(before)), block, None) if before else []
        found += scored
    return found


def _info(
    training: Training, version: Version, comparison: Comparison | None, promoted: bool, verdict: str, trigger: str
) -> dict[str, Any]:
    """What history remembers of a version, as plain values."""
    return {
        "window_start": training.window.start.isoformat(),
        "window_end": training.window.end.isoformat(),
        "fingerprint": training.fingerprint,
        "rows": training.rows,
        "excluded": [w.key for w in training.excluded],
        "metric": training.metric,
        "cv_error": training.cv_error,
        "baseline": training.baseline,
        "params": {name: str(value) for name, value in training.params.items()},
        "metrics": dict(training.metrics),
        "importances": dict(training.importances),
        "fit_seconds": training.fit_seconds,
        "score_seconds": training.score_seconds,
        "run_id": version.run_id,
        "trigger": trigger,
        "cause": training.cause,
        "reason": training.reason,
        "promoted": promoted,
        "verdict": verdict,
        "champion_error": comparison.champion_error if comparison else None,
        "challenger_error": comparison.challenger_error if comparison else None,
    }


def _silent(line: str) -> None:
    """Progress that nobody listens to."""


def _held_out(policy: Retraining, data: TrainingSet, champion: Version | None) -> tuple[Window, ...]:
    """The newest `holdout` windows that the champion wasn't trained on; none when there is no champion."""
    if champion is None:
        return ()
    if champion.window is None:
        raise TrackingError(
            f"version {champion.version} of model {champion.model!r} doesn't say what data it was trained on: tag it with"
            " mlobs.window_start and mlobs.window_end, so that it is compared on other data"
        )
    unseen = [w for w in data.windows if w.start >= champion.window.end]
    return tuple(unseen[-policy.holdout :])


def _compared(comparison: Comparison | None) -> dict[str, float]:
    if comparison is None:
        return {}
    return {
        "holdout_champion": comparison.champion_error,
        "holdout_challenger": comparison.challenger_error,
        "holdout_improvement": comparison.improvement.value,
        "holdout_improvement_low": comparison.low,
        "holdout_windows": len(comparison.windows),
    }


def _estimator_params(estimator: Any) -> dict[str, str]:
    """A scikit-learn estimator's own plain settings (those of a pipeline's steps included)."""
    try:
        found = estimator.get_params(deep=True)
    except (AttributeError, TypeError):
        return {}
    plain = {
        n: v
        for n, v in found.items()
        if isinstance(v, (str, int, float, bool)) and not (isinstance(v, float) and math.isnan(v))
    }
    return {f"model.{name}": str(value) for name, value in sorted(plain.items())[:60]}
