"""Is a model still good enough? Accuracy states of its newest mature windows to verdicts; pure, touches no database.

A limit is broken when the error lies above it and the excess is more than day-to-day variation explains: the standard
error comes from the variation between windows, since rows of one window share its weather.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime

from mlobs.detectors.ranges import expected_range
from mlobs.detectors.verdict import Range, Severity, Status, Verdict
from mlobs.metrics.accuracy import (
    MIN_WINDOWS,
    Estimate,
    error,
    estimate,
    estimate_skill,
    estimate_unseen,
    past_estimates,
    watched_error,
)
from mlobs.spec import Accuracy, Model
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window

CONFIDENCE = 0.95
"""One-sided confidence with which an error must exceed what it is compared with before a limit counts as broken."""

UNKNOWN = Range(-math.inf, math.inf, math.nan)


def performance_name(model: Model) -> str:
    """The name under which a model's accuracy verdicts are remembered (`Verdict.table`).

    It is the model's own, since one predictions table may serve several models.
    """
    return f"{model.name}.performance"


def judge_accuracy(
    model: Model,
    states: Sequence[tuple[Window, AccuracyState]],
    window: Window,
    now: datetime,
    cv_error: float | None,
    *,
    segment: str = "",
) -> list[Verdict]:
    """Verdicts on the accuracy of one model version (and segment) as of `window`, one per limit that is set.

    The newest `span` judgeable windows up to `window` are taken together. A limit fails as follows, with 95% one-sided
    confidence from a t interval over windows:

    - `maximum`: the error is above it, with that confidence.
    - `relative`: the error is above `relative` x `cv_error`, and with that confidence above `cv_error` itself.
    - `learned`: the error of the window itself is above the range that the version's earlier windows predict for it (which
      knows how windows vary, so no further confidence is asked for).
    - `min_skill`: 1 - error / naive error is below it, with that confidence (error and naive error paired by window).

    Args:
        states: (window, state) of one version and one segment, in any order; later windows than `window` are left out.
        window: the window under judgement.
        now: data time; it decides which windows are mature.
        cv_error: the version's cross-validated error in the watched metric; None switches the relative limit off.
        segment: "" or "field=value"; segments fail with severity `warn`, the whole with `error`.

    Returns:
        `pending` while the window's labels are not mature or cover too few predictions, `learning` with too few
        windows or rows, else `passed` or `failed`. Empty when the model has no accuracy monitor.
    """
    monitor = model.accuracy
    if monitor is None:
        return []
    metric = watched_error(model.task, monitor.metric)
    table = performance_name(model)

    def verdict(
        status: Status,
        name: str,
        value: float,
        expected: Range,
        reason: str,
        score: float = 0.0,
        data_fault: bool = False,
    ) -> Verdict:
        severity: Severity = "none"
        if status == "failed":
            severity = "error" if not segment or data_fault else "warn"
        return Verdict(
            status, table, "", name, segment, window, value, expected, severity, reason, "accuracy", float(score)
        )

    found = dict(states)
    state = found.get(window)
    where = f" for {segment}" if segment else ""
    if state is None or not state.predictions:
        return [verdict("pending", metric, math.nan, UNKNOWN, f"no predictions{where} in {window} to be judged yet")]
    broken = _broken_rows(state, verdict, window)
    if monitor.maturity is None:
        reason = f"how long labels take is being learned; {_coverage(state)} so far"
        return [*broken, verdict("pending", metric, error(state, metric), UNKNOWN, reason)]
    if window.end + monitor.maturity > now:
        reason = f"labels of {window} are mature at {window.end + monitor.maturity:%Y-%m-%d %H:%M} UTC; {_coverage(state)} so far"
        return [*broken, verdict("pending", metric, error(state, metric), UNKNOWN, reason)]
    if state.coverage < monitor.min_coverage:
        reason = (
            f"only {_coverage(state)} of {window}{where}; at least {monitor.min_coverage:.0%} are needed to judge it"
        )
        return [*broken, verdict("pending", metric, error(state, metric), UNKNOWN, reason)]
    span = [s for w, s in judgeable(monitor, states, window, now)][-monitor.span :]
    value, skill = estimate(span, metric), estimate_skill(span, metric)
    least = min(MIN_WINDOWS, monitor.span)
    if value.windows < least or value.rows < monitor.min_rows:
        missing = max(1, least - value.windows)
        reason = (
            f"{metric} {value.value:.3g}{where} over {_many(value.windows, 'mature window')} with {value.rows} labelled rows;"
            f" judged from {least} windows and {monitor.min_rows} rows on"
        )
        expected = Range(-math.inf, math.inf, math.nan, learning=missing)
        return [*broken, verdict("learning", metric, value.value, expected, reason)]
    verdicts = list(broken)
    for limit, floor, said in _limits(monitor, cv_error):
        over = value.value > limit
        sure = value.value - value.bound(CONFIDENCE) > floor
        failed = over and sure
        found_it = f"{metric} {value.value:.3g}{where} over {_span(value)}"
        reason = f"{found_it} is {_verb(over, sure)} {limit:.3g} ({said}){_against(skill)}"
        score = _score(value, floor)
        center = cv_error if cv_error is not None else math.nan
        verdicts.append(
            verdict("failed" if failed else "passed", metric, value.value, Range(0.0, limit, center), reason, score)
        )
    if monitor.learned:
        verdicts.append(_learned(monitor, states, window, now, metric, where, verdict))
    if monitor.min_skill is not None and skill.windows >= least:
        under = skill.value < monitor.min_skill
        sure = skill.value + skill.bound(CONFIDENCE) < monitor.min_skill
        failed = under and sure
        relation = "below" if failed else ("below, within chance of," if under else "not below")
        found_it = f"skill {skill.value:+.1%}{where} against the naive baseline over {_span(skill)}"
        reason = f"{found_it} is {relation} {monitor.min_skill:+.0%}"
        if failed:
            reason += f": predicting a constant would do better ({metric} {value.value:.3g})"
        expected = Range(monitor.min_skill, 1.0, monitor.min_skill)
        verdicts.append(
            verdict(
                "failed" if failed else "passed",
                "skill",
                skill.value,
                expected,
                reason,
                -_score(skill, monitor.min_skill),
            )
        )
    if len(verdicts) == len(broken):
        found_it = f"{metric} {value.value:.3g}{where} over {_span(value)}"
        reason = f"{found_it}; no limit can be judged: cross-validated error and baseline unknown"
        verdicts.append(verdict("learning", metric, value.value, UNKNOWN, reason))
    return verdicts


ESTIMATED = "estimated_"
"""Prefix of the metric of a verdict on the accuracy that was foretold before labels came."""


def judge_estimated(
    model: Model,
    states: Sequence[tuple[Window, AccuracyState]],
    window: Window,
    now: datetime,
    cv_error: float | None,
) -> list[Verdict]:
    """The verdict on the estimated error as of `window`, before its labels come; it fails with severity `warn`.

    The newest `span` predicted windows are taken together. The estimate fails when it lies above the limit (`maximum`, or
    `relative` x `cv_error`), and with 95% one-sided confidence above `cv_error` itself; the confidence takes the variation
    between windows and the estimates' own past error on windows whose labels have come into account.

    Args:
        states: (window, state) of one version; those without foretold figures are left out.

    Returns:
        One verdict with metric `estimated_<error>`; none where nothing is foretold of that error.
    """
    monitor = model.accuracy
    if monitor is None:
        return []
    metric = watched_error(model.task, monitor.metric)
    known = sorted((w, s) for w, s in states if w <= window and s["expected_rows"])
    if not known or known[-1][0] != window:
        return []
    value = estimate_unseen([s for _, s in known][-monitor.span :], metric)
    if not math.isfinite(value.value):
        return []
    past = past_estimates([s for _, s in judgeable(monitor, known, window, now)], metric)
    own = f"; on {_many(past.windows, 'window')} with labels it was {past.error:.1%} off" if past.windows else ""
    found_it = f"estimated {metric} {value.value:.3g} over {_span(value)} without labels"
    limits = _limits(monitor, cv_error)
    least = min(MIN_WINDOWS, monitor.span)
    status: Status = "passed"
    expected, relation, score = UNKNOWN, "", 0.0
    if not limits:
        status, relation = "pending", " has no limit to be held against"
    elif value.windows < least or value.rows < monitor.min_rows:
        status, relation = "learning", f" is judged from {least} windows and {monitor.min_rows} rows on"
        expected = Range(-math.inf, math.inf, math.nan, learning=max(1, least - value.windows))
    else:
        limit, floor, what = min(limits)
        noise = math.hypot(value.bound(CONFIDENCE), past.error * value.value if past.windows else 0.0)
        over, sure = value.value > limit, value.value - noise > floor
        status = "failed" if over and sure else "passed"
        relation = f" is {_verb(over, sure)} {limit:.3g} ({what})"
        expected, score = Range(0.0, limit, cv_error if cv_error is not None else math.nan), _score(value, floor)
    reason = f"{found_it}{relation}{own}; {VALIDITY}"
    severity: Severity = "warn" if status == "failed" else "none"
    name, table = f"{ESTIMATED}{metric}", performance_name(model)
    return [Verdict(status, table, "", name, "", window, value.value, expected, severity, reason, "accuracy", score)]


VALIDITY = "valid while only the inputs shift, concept drift does not show in it"
"""What an estimate without labels can be trusted for."""


def judgeable(
    monitor: Accuracy, states: Sequence[tuple[Window, AccuracyState]], window: Window, now: datetime
) -> list[tuple[Window, AccuracyState]]:
    """The windows up to `window`, oldest first, whose labels are mature at `now` and cover enough predictions."""
    return [
        (w, s)
        for w, s in sorted(states, key=lambda pair: pair[0])
        if w <= window
        and monitor.maturity is not None
        and w.end + monitor.maturity <= now
        and s.labelled
        and s.coverage >= monitor.min_coverage
    ]


def _learned(
    monitor: Accuracy,
    states: Sequence[tuple[Window, AccuracyState]],
    window: Window,
    now: datetime,
    metric: str,
    where: str,
    verdict: Callable[..., Verdict],
) -> Verdict:
    """The window's own error against the range that earlier windows predict."""
    known = judgeable(monitor, states, window, now)
    earlier = [(w, s) for w, s in known if w < window]
    state = dict(known)[window]
    expected = expected_range([error(s, metric) for _, s in earlier], [w.start for w, _ in earlier], window.start)
    value = error(state, metric)
    found_it = f"{metric} {value:.3g}{where} in {window} ({state.labelled} rows)"
    rows = sorted(s.labelled for _, s in earlier)
    if expected.learning or state.labelled < rows[len(rows) // 2] / 2:
        missing = max(1, expected.learning)
        why = "its range is being learned" if expected.learning else "too few rows to be held against earlier windows"
        unknown = Range(-math.inf, math.inf, expected.expected, missing)
        return verdict("learning", metric, value, unknown, f"{found_it}: {why}")
    limit = Range(0.0, expected.high, expected.expected)
    failed = value > expected.high
    relation = "above" if failed else "not above"
    reason = f"{found_it} is {relation} {expected.high:.3g}, the range that {len(earlier)} earlier windows give"
    spread = (expected.high - expected.expected) or 1.0
    return verdict(
        "failed" if failed else "passed", metric, value, limit, reason, 4 * (value - expected.expected) / spread
    )


def _limits(monitor: Accuracy, cv_error: float | None) -> list[tuple[float, float, str]]:
    """(limit, value the error must surely exceed, wording) of each limit on the error that is set."""
    limits = []
    if monitor.maximum is not None:
        limits.append((monitor.maximum, monitor.maximum, "the stated limit"))
    if monitor.relative is not None and cv_error is not None and math.isfinite(cv_error):
        said = f"{monitor.relative:g} x the cross-validated {cv_error:.3g} of the deployed version"
        limits.append((monitor.relative * cv_error, min(cv_error, monitor.relative * cv_error), said))
    return limits


def _broken_rows(state: AccuracyState, verdict: object, window: Window) -> list[Verdict]:
    """Failed verdicts for predictions and labels that can't be used at all; these are faults, not a bad model."""
    found = []
    for count, metric, what in (
        (state.unusable, "unusable_predictions", "null, NaN, infinite or outside the task's range"),
        (state.unreadable, "unreadable_labels", "with a label that the task can't read"),
    ):
        if count:
            reason = (
                f"{count} of {state.predictions} predictions in {window} are {what}; they are left out of the accuracy"
            )
            share = count / state.predictions
            found.append(verdict("failed", metric, share, Range(0.0, 0.0, 0.0), reason, math.inf, True))  # type: ignore[operator]
    return found


def _score(value: Estimate, floor: float) -> float:
    if not value.standard_error or not math.isfinite(value.standard_error):
        return math.copysign(math.inf, value.value - floor) if value.value != floor else 0.0
    return (value.value - floor) / value.standard_error


def _verb(over: bool, sure: bool) -> str:
    if over and sure:
        return "above"
    return "above, but within chance of," if over else "not above"


def _coverage(state: AccuracyState) -> str:
    return f"{state.labelled} of {state.predictions} predictions ({state.coverage:.0%}) have a label"


def _span(value: Estimate) -> str:
    return f"{_many(value.windows, 'window')} ({value.rows} rows)"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _against(skill: Estimate) -> str:
    return f"; skill against the naive baseline {skill.value:+.1%}" if math.isfinite(skill.value) else ""
