"""Training runs from data to decision, on real parts: promoted when the world changed, refused when it didn't."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlobs import Field, Reference, profile
from mlobs.detectors import drift_verdicts
from mlobs.detectors.accuracy import performance_name
from mlobs.detectors.verdict import Range, Verdict
from mlobs.engines import Engine, connect
from mlobs.errors import TrackingError, TrainingError
from mlobs.history import History
from mlobs.retraining.challenger import Outcome, compare, cross_validate, train_and_decide
from mlobs.retraining.policy import decide
from mlobs.retraining.situation import important_features, situation
from mlobs.retraining.training_set import build
from mlobs.spec import Model, Retraining
from mlobs.states.accuracy import AccuracyState
from mlobs.tracking import Tracking
from mlobs.windows import Window
from mlobs_tests.retraining.flights import ROWS, START, day, declared, land, rows


@pytest.fixture
def engine() -> Iterator[Engine]:
    """In memory: what depends on the engine is tested with the training set."""
    opened = connect("duckdb:///:memory:")
    yield opened
    opened.close()


@pytest.fixture
def run(engine: Engine, history: History, tracking: Tracking) -> Any:
    def go(model: Model, n: int, **more: Any) -> Outcome:
        return train_and_decide(model, engine, history, tracking, day(n).start, **more)

    return go


def test_the_first_version_is_promoted_and_remembered(
    engine: Engine, history: History, tracking: Tracking, run: Any
) -> None:
    model = declared()
    land(engine, model, *rows(40))
    outcome = run(model, 21, trigger="initial", reason="no version yet", cause="c")
    assert (outcome.promoted, outcome.reason) == (True, "promoted: the first version of the model")
    assert outcome.version.aliases == ("champion",)
    assert outcome.windows == tuple(day(n) for n in range(20))
    (stored,) = history.versions("delays")
    assert (stored.version, stored.at, stored.info["rows"], stored.info["trigger"]) == (
        "1",
        day(21).start,
        20 * ROWS,
        "initial",
    )
    assert stored.info["cv_error"] == pytest.approx(2.4, abs=0.2)  # mean |normal(0, 3)|
    assert list(stored.info["importances"]) == ["hour", "wind"]
    promotion = history.champion("delays")
    assert promotion is not None
    assert (promotion.version, promotion.by) == ("1", "mlobs")


def test_a_changed_world_promotes_the_challenger_with_an_interval(
    engine: Engine, history: History, tracking: Tracking, run: Any
) -> None:
    model = declared()
    land(engine, model, *rows(40, change=25))
    run(model, 21)
    outcome = run(model, 36)
    assert outcome.promoted
    comparison = outcome.comparison
    assert comparison is not None
    assert comparison.windows == tuple(day(n) for n in range(29, 35))
    assert comparison.challenger_error < comparison.champion_error
    assert 0 < comparison.low < comparison.improvement.value < comparison.high
    assert outcome.reason.startswith("promoted: mae")
    champion = tracking.champion("delays")
    assert champion is not None
    assert (champion.version, champion.tags["replaced"]) == ("2", "1")
    assert [p.version for p in history.promotions("delays")] == ["1", "2"]


def test_an_unchanged_world_refuses_it_and_the_champion_serves_on(
    engine: Engine, history: History, tracking: Tracking, run: Any
) -> None:
    model = declared(margin=0.05)
    land(engine, model, *rows(40))
    run(model, 21)
    outcome = run(model, 36)
    assert not outcome.promoted
    assert "refused: mae" in outcome.reason
    assert "a margin of 5% is asked for" in outcome.reason
    champion = tracking.champion("delays")
    assert champion is not None
    assert champion.version == "1"
    assert [(v.version, v.info["promoted"]) for v in history.versions("delays")] == [("1", True), ("2", False)]


def test_the_champion_is_never_compared_on_its_own_training_data(engine: Engine, run: Any) -> None:
    model = declared()
    land(engine, model, *rows(40))
    run(model, 21)
    comparison = run(model, 24).comparison
    assert comparison is not None
    assert comparison.windows == (day(20), day(21), day(22))
    assert not comparison.promote
    assert "at least 5 are needed to tell" in comparison.reason


def test_without_refit_the_deployed_version_has_not_seen_the_held_out_windows(engine: Engine, run: Any) -> None:
    model = declared(refit=False)
    land(engine, model, *rows(40, change=25))
    run(model, 21)
    outcome = run(model, 36)
    assert outcome.windows[-1] == day(28)
    assert outcome.version.window == Window(day(0).start, day(29).start)


def test_the_same_data_and_declaration_give_the_same_outcome(engine: Engine) -> None:
    model = declared()
    land(engine, model, *rows(40))
    data = build(engine, model, day(30).start)
    first, second = (cross_validate(model, data, 3, 5) for _ in range(2))
    assert first == second


def test_folds_are_ordered_in_time_and_cover_the_newest_windows(engine: Engine) -> None:
    model = declared()
    land(engine, model, *rows(40))
    folds = cross_validate(model, build(engine, model, day(31).start), 3, 5)
    assert [(f.test, f.train_rows) for f in folds] == [
        (Window(day(15).start, day(20).start), 15 * ROWS),
        (Window(day(20).start, day(25).start), 20 * ROWS),
        (Window(day(25).start, day(30).start), 25 * ROWS),
    ]


@pytest.mark.parametrize(("windows", "folds", "length"), [(3, 1, 1), (4, 2, 1), (9, 3, 1), (12, 3, 2), (200, 3, 5)])
def test_folds_shrink_with_little_history(engine: Engine, windows: int, folds: int, length: int) -> None:
    model = declared()
    land(engine, model, *rows(windows))
    found = cross_validate(model, build(engine, model, day(windows + 1).start), 3, 5)
    assert (len(found), {f.test.length.days for f in found}) == (folds, {length})


def test_two_windows_are_too_few(engine: Engine) -> None:
    model = declared()
    land(engine, model, *rows(2))
    with pytest.raises(TrainingError, match="2 labelled windows are too few to cross-validate on"):
        cross_validate(model, build(engine, model, day(4).start), 3, 5)


def _raises(*_: Any) -> Any:
    raise ValueError("singular matrix\nwith details")


def _nan(_: Any, frame: pd.DataFrame) -> Any:
    return np.full(len(frame), np.nan)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"train": _raises}, r"model 'delays': train raised ValueError: singular matrix on \d+ rows"),
        ({"train": lambda _: None}, r"train returned None: return the fitted estimator"),
        ({"predict": _raises}, r"predict raised ValueError: singular matrix on \d+ rows"),
        ({"predict": _nan}, r"predict returned \d+ missing or infinite values in \d+ rows"),
        ({"predict": lambda e, f: [1.0]}, r"predict returned shape \(1,\) for \d+ rows"),
        ({"predict": lambda e, f: ["x"] * len(f)}, r"predict raised ValueError: could not convert"),
    ],
)
def test_a_broken_model_is_named_and_the_champion_untouched(
    engine: Engine, history: History, tracking: Tracking, run: Any, broken: dict[str, Any], message: str
) -> None:
    good = declared()
    land(engine, good, *rows(40))
    run(good, 21)
    with pytest.raises(TrainingError, match=message):
        run(replace(good, **broken), 36)
    champion = tracking.champion("delays")
    assert champion is not None
    assert champion.version == "1"
    assert [v.version for v in history.versions("delays")] == ["1"]


def test_a_champion_whose_alias_was_deleted_stops_the_run(
    engine: Engine, history: History, tracking: Tracking, run: Any
) -> None:
    model = declared()
    land(engine, model, *rows(40))
    run(model, 21)
    tracking.client.delete_registered_model_alias("delays", "champion")
    with pytest.raises(TrackingError, match="alias 'champion' is gone"):
        run(model, 36)
    assert [v.version for v in tracking.versions("delays")] == ["1"]


def fault(window: Window, at: datetime, history: History, table: str = "features", status: Any = "failed") -> None:
    verdict = Verdict(
        status, table, "wind", "null_rate", "", window, 0.9, Range(0, 0.1, 0), "error", "90% null", "field_health"
    )
    history.save_verdicts(table, window, ["field_health"], [verdict] if status == "failed" else [], at)


def test_a_fault_in_the_newest_data_holds_even_a_run_by_hand(engine: Engine, history: History, run: Any) -> None:
    model = declared(hold_windows=3)
    land(engine, model, *rows(40))
    run(model, 21)
    fault(day(33), day(34).start, history)
    with pytest.raises(
        TrainingError,
        match=r"training is held: asked for by hand, but the newest 3 windows .* \(features in 2013-02-03\)",
    ):
        run(model, 36)
    fault(day(33), day(36).start, history, status="passed")
    assert run(model, 36).version.version == "2"


def test_an_expected_fault_does_not_hold(engine: Engine, history: History, run: Any) -> None:
    model = declared(hold_windows=3)
    land(engine, model, *rows(40))
    fault(day(33), day(34).start, history)
    history.add_feedback("expected", {"table": "features", "field": "wind"}, "ann", day(34).start, start=day(33).start)
    assert run(model, 36).promoted


def test_an_older_fault_is_trained_around(engine: Engine, history: History, run: Any) -> None:
    model = declared(hold_windows=3)
    land(engine, model, *rows(40))
    fault(day(10), day(11).start, history)
    outcome = run(model, 36)
    assert outcome.training.excluded == (day(10),)
    assert day(10) not in outcome.windows


def test_situation_counts_failures_of_the_champion_only(engine: Engine, history: History, run: Any) -> None:
    model = declared(failures=2, hold_windows=3)
    land(engine, model, *rows(40))
    run(model, 21)

    def judge(n: int, status: Any, metric: str = "mae") -> None:
        name = performance_name(model)
        severity: Any = "error" if status == "failed" else "none"
        verdict = Verdict(
            status, name, "", metric, "", day(n), 9.0, Range(0, 5, 3), severity, f"mae 9 on day {n}", "accuracy"
        )
        history.save_verdicts(name, day(n), ["accuracy"], [verdict], day(n + 2).start)

    for n, status in ((19, "failed"), (20, "failed"), (21, "failed"), (22, "pending"), (23, "failed"), (24, "pending")):
        judge(n, status)
    facts = situation(model, history, day(36).start, running=False)
    assert (facts.failures, facts.failure, facts.judged) == (2, "mae 9 on day 23", day(23))
    assert (facts.champion, facts.trained, facts.newest[-1]) == ("1", (day(21).start,), day(34))
    assert decide(replace(model.retraining, failures=2), facts).answer == "retrain"  # type: ignore[type-var]
    judge(24, "passed")
    assert situation(model, history, day(36).start, running=False).failures == 0
    judge(25, "failed", metric="unusable_predictions")
    assert situation(model, history, day(36).start, running=False).failures == 0


@pytest.mark.parametrize(("drifting", "answer"), [("hour", "retrain"), ("wind", "wait")])
def test_drift_asks_for_training_where_it_is_in_an_important_feature(
    drifting: str, answer: str, engine: Engine, history: History, run: Any
) -> None:
    model = declared(failures=3, on_drift=True, cooldown=timedelta(0))
    features, actuals = rows(40)
    land(engine, model, features, actuals)
    assert run(model, 21).promoted
    (version,) = history.versions("delays")
    assert important_features(version.info["importances"]) == ("hour",)  # the delay follows the hour alone
    days = (features["at"] - START.start).dt.days
    reference = Reference.learn(features[days < 20], fields=[Field("hour"), Field("wind")], time="at")
    for n in (22, 23, 24):
        shifted = features[days == n].assign(**{drifting: features[drifting] + 40.0})
        verdicts = drift_verdicts(reference, profile(shifted, reference=reference), day(n))
        assert {v.field for v in verdicts if v.failed and v.field} == {drifting}
        history.save_verdicts(model.features.id, day(n), ["drift"], [v for v in verdicts if v.field], day(n + 1).start)
    assert model.retraining is not None
    decision = decide(model.retraining, situation(model, history, day(26).start, running=False))
    assert (decision.answer, decision.trigger) == (answer, "drift" if answer == "retrain" else "")
    if answer == "retrain":
        assert decision.reason.startswith(
            "important features drifted in the newest 3 windows: the distribution of hour"
        )


def test_situation_counts_labels_since_the_last_training(engine: Engine, history: History, run: Any) -> None:
    model = declared()
    land(engine, model, *rows(40))
    run(model, 21)
    for n in range(18, 25):
        state = AccuracyState("regression", 10, labelled=7)
        history.save_accuracies("delays", {day(n): {"1": {"": state}, "2": {"": state}}}, day(26).start)
    assert situation(model, history, day(36).start, running=False).new_labels == 5 * 7


def test_situation_of_a_model_that_nobody_trained_yet(history: History) -> None:
    facts = situation(declared(), history, day(36).start, running=False)
    assert (facts.champion, facts.trained, facts.judged, decide(Retraining(), facts).trigger) == (
        "",
        (),
        None,
        "initial",
    )


def _days(errors: list[float]) -> list[tuple[Window, AccuracyState]]:
    return [
        (day(n), AccuracyState("regression", 50, labelled=50, sums={"abs_error": e * 50})) for n, e in enumerate(errors)
    ]


@pytest.mark.parametrize(
    ("champion", "challenger", "margin", "promote"),
    [
        ([20.0, 40.0] * 5, [19.0, 38.0] * 5, 0.0, True),  # 5% better on every day, however hard the day
        ([20.0, 40.0] * 5, [19.0, 38.0] * 5, 0.06, False),  # which is no margin of 6%
        ([20.0, 40.0] * 5, [21.0, 38.0] * 5, 0.0, False),  # better on average, but not surely
        ([20.0] * 10, [20.0] * 10, 0.0, False),
        ([20.0] * 10, [30.0] * 10, 0.0, False),
        ([20.0] * 4, [10.0] * 4, 0.0, False),  # too few windows to tell
        ([], [], 0.0, False),
    ],
)
def test_comparison_is_paired_by_window(
    champion: list[float], challenger: list[float], margin: float, promote: bool
) -> None:
    policy = Retraining(margin=margin, confidence=0.9)
    assert compare(policy, "mae", _days(champion), _days(challenger)).promote is promote


@pytest.mark.parametrize(
    ("challenger", "margin", "promote"),
    [
        ([21.0, 38.0] * 5, 0.0, True),  # better on average, on windows that nobody chose
        ([21.0, 38.0] * 5, 0.02, False),  # by 1.7%, where 2% were asked for
        ([20.0, 40.0] * 5, 0.0, False),
        ([10.0, 20.0] * 2, 0.0, False),  # too few windows to tell
    ],
)
def test_what_was_shown_with_confidence_is_confirmed_by_a_lower_error(
    challenger: list[float], margin: float, promote: bool
) -> None:
    champion = ([20.0, 40.0] * 5)[: len(challenger)]
    policy = Retraining(margin=margin, confidence=0.95)
    comparison = compare(policy, "mae", _days(champion), _days(challenger), confirming=True)
    assert comparison.promote is promote
    assert "confidence" not in comparison.reason


def test_chance_alone_promotes_no_more_often_than_stated() -> None:
    generator = np.random.default_rng(11)
    promoted = 0
    for _ in range(400):
        hard = generator.lognormal(3, 0.4, 14)
        noise = generator.normal(0, 0.05, 14)
        promoted += compare(
            Retraining(confidence=0.8), "mae", _days(list(hard)), _days(list(hard * (1 + noise)))
        ).promote
    assert promoted / 400 <= 0.25
