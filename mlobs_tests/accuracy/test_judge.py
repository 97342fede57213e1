"""Accuracy verdicts: literal series of daily errors, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mlobs.detectors.accuracy import judge_accuracy
from mlobs.detectors.verdict import Verdict
from mlobs.errors import SpecError
from mlobs.metrics.accuracy import estimate, estimate_any, roc_auc
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import DAY, Window
from mlobs_tests.accuracy.declared import DAY_ONE, model_of

ROWS = 50


def day(n: int) -> Window:
    return DAY_ONE.shifted(n * DAY)


def series(errors: list[float], naive: float = 30.0, rows: int = ROWS) -> list[tuple[Window, AccuracyState]]:
    """One state a day whose mean absolute error is the given one."""
    found = []
    for n, value in enumerate(errors):
        sums = {
            "abs_error": value * rows,
            "naive_rows": rows,
            "naive_abs_error": naive * rows,
            "naive_error_covered": value * rows,
        }
        found.append((day(n), AccuracyState("regression", rows, labelled=rows, sums=sums)))
    return found


def judged(states: list[tuple[Window, AccuracyState]], cv: float | None = 20.0, **accuracy: Any) -> dict[str, Verdict]:
    model = model_of("regression", **accuracy)
    last = states[-1][0]
    verdicts = judge_accuracy(model, states, last, last.end + timedelta(days=1), cv)
    return {v.metric: v for v in verdicts}


@pytest.mark.parametrize(
    ("errors", "limits", "metric", "status"),
    [
        ([20.0] * 14, {}, "mae", "passed"),
        ([24.0, 26.0] * 7, {}, "mae", "passed"),  # the limit is 25, and 25 isn't above it
        ([25.0, 26.0] * 7, {}, "mae", "failed"),
        ([26.0] * 14, {"relative": 1.4}, "mae", "passed"),
        ([19.0] * 13 + [200.0], {}, "mae", "passed"),  # one storm: above the limit, but within chance
        ([28.0, 32.0] * 7, {"maximum": 29.0, "relative": None}, "mae", "failed"),
        ([20.0, 40.0] * 7, {"maximum": 29.0, "relative": None}, "mae", "passed"),  # 30 is above 29, but not surely
        ([31.0, 32.0] * 7, {"relative": None}, "skill", "failed"),
        ([29.0, 30.5] * 7, {"relative": None}, "skill", "passed"),
        ([29.0] * 14, {"min_skill": 0.1, "relative": None}, "skill", "failed"),
        ([26.0] * 14, {"min_skill": 0.1, "relative": None}, "skill", "passed"),
        ([26.0] * 3, {}, "mae", "learning"),
        ([26.0] * 4, {"span": 4}, "mae", "failed"),
    ],
)
def test_limits(errors: list[float], limits: dict[str, Any], metric: str, status: str) -> None:
    assert judged(series(errors), **limits)[metric].status == status


def test_only_the_newest_span_is_judged() -> None:
    assert judged(series([90.0] * 20 + [20.0] * 14))["mae"].value == pytest.approx(20.0)


def test_worse_than_a_constant_at_a_lower_error_than_the_limit() -> None:
    found = judged(series([17.0, 18.0] * 7, naive=16.0))
    assert found["mae"].status == "passed"
    assert found["skill"].status == "failed"
    assert found["skill"].reason == (
        "skill -9.4% against the naive baseline over 14 windows (700 rows) is below +0%: predicting a constant would do"
        " better (mae 17.5)"
    )


def test_the_reason_of_a_broken_relative_limit() -> None:
    verdict = judged(series([27.0, 28.0] * 7))["mae"]
    assert verdict.reason == (
        "mae 27.5 over 14 windows (700 rows) is above 25 (1.25 x the cross-validated 20 of the deployed version); skill"
        " against the naive baseline +8.3%"
    )
    assert (verdict.severity, verdict.table, verdict.detector, verdict.expected.high) == (
        "error",
        "m.performance",
        "accuracy",
        25.0,
    )


def test_twenty_rows_can_not_fire_by_luck() -> None:
    assert judged(series([90.0] * 4, rows=5))["mae"].status == "learning"
    assert judged(series([90.0] * 14, rows=5))["mae"].status == "learning"


def test_immature_windows_are_pending_and_do_not_enter_the_span() -> None:
    states = series([20.0] * 14 + [500.0])
    model = model_of("regression", maturity=timedelta(days=3))
    last = states[-1][0]
    (verdict,) = judge_accuracy(model, states, last, last.end, 20.0)
    assert (verdict.status, verdict.value) == ("pending", 500.0)
    assert (
        "labels of 2013-04-15 are mature at 2013-04-19 00:00 UTC; 50 of 50 predictions (100%) have a label so far"
        in verdict.reason
    )
    earlier = judge_accuracy(model, states, day(13), last.end + timedelta(days=2), 20.0)
    assert {v.status for v in earlier} == {"passed"}


def test_low_coverage_is_pending() -> None:
    states = series([20.0] * 14)
    window, state = states[-1]
    states[-1] = (window, replace(state, predictions=200))
    verdict = judged(states)["mae"]
    assert verdict.status == "pending"
    assert (
        verdict.reason
        == "only 50 of 200 predictions (25%) have a label of 2013-04-14; at least 50% are needed to judge it"
    )


def test_a_window_without_predictions_is_pending() -> None:
    states = series([20.0] * 14)
    (verdict,) = judge_accuracy(model_of("regression"), states, day(30), day(40).end, 20.0)
    assert (verdict.status, verdict.window) == ("pending", day(30))


def test_unusable_predictions_and_labels_are_faults_of_their_own() -> None:
    states = series([20.0] * 14)
    window, state = states[-1]
    states[-1] = (window, replace(state, predictions=60, unusable=10))
    found = judged(states)
    assert found["mae"].status == "passed"
    assert (found["unusable_predictions"].status, found["unusable_predictions"].severity) == ("failed", "error")
    assert found["unusable_predictions"].value == pytest.approx(1 / 6)


def test_segments_warn() -> None:
    states = series([30.0] * 14)
    verdicts = judge_accuracy(model_of("regression"), states, day(13), day(20).end, 20.0, segment="origin=JFK")
    assert {(v.severity, v.segment) for v in verdicts if v.failed} == {("warn", "origin=JFK")}
    assert "for origin=JFK" in verdicts[0].reason


def test_without_cv_error_and_baseline_nothing_can_be_judged() -> None:
    states = [
        (w, AccuracyState("regression", 50, labelled=50, sums={"abs_error": 50.0})) for w, _ in series([1.0] * 14)
    ]
    assert [v.status for v in judged(states, cv=None).values()] == ["learning"]


def test_an_error_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(SpecError, match="'maee' is no error of a regression model; did you mean 'mae'"):
        judged(series([1.0] * 14), metric="maee")


def test_a_model_without_accuracy_monitor_has_no_verdicts() -> None:
    model = replace(model_of("regression"), monitors=())
    assert judge_accuracy(model, series([1.0]), day(0), day(9).end, None) == []


def test_the_interval_comes_from_days_not_rows() -> None:
    """100 times the rows on the same days tell nothing new about days."""
    few, many = (estimate([s for _, s in series([10.0, 20.0, 30.0, 40.0, 50.0], rows=n)], "mae") for n in (50, 5000))
    assert few.standard_error == many.standard_error == pytest.approx(np.std([10, 20, 30, 40, 50], ddof=1) / np.sqrt(5))


def test_false_alarms_of_a_good_model_with_correlated_days() -> None:
    """A model whose true error equals its cross-validated one, with days that differ by a factor of 1.5: rows are
    correlated inside a day, so an interval over rows would cry wolf; this one fires in at most 2% of spans."""
    generator = np.random.default_rng(7)
    fired = 0
    for _ in range(500):
        days = 20.0 * generator.lognormal(-0.08, 0.4, 14)
        fired += judged(series(days.tolist(), naive=40.0))["mae"].failed
    assert fired <= 10


def test_a_real_shift_is_seen() -> None:
    generator = np.random.default_rng(7)
    seen = sum(judged(series((32.0 * generator.lognormal(-0.08, 0.4, 14)).tolist()))["mae"].failed for _ in range(200))
    assert seen >= 170


def test_auc_has_an_interval_over_windows() -> None:
    generator = np.random.default_rng(1)
    states = []
    for _ in range(10):
        p = generator.random(300)
        states.append(AccuracyState.of_rows("binary", (generator.random(300) < p).astype(float), p))
    found = estimate_any(states, lambda s: roc_auc(s)[0])
    assert abs(found.value - 5 / 6) < 3 * found.standard_error < 0.05
