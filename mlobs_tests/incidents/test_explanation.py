"""When a fall began, and what is said of it: on accuracy that history remembers, without data behind it."""

from __future__ import annotations

import math

from mlobs.history import History
from mlobs.incidents import excess_by_segment, explain, explain_incident, open_incidents, update
from mlobs.incidents.explanation import onset
from mlobs.spec import Accuracy, Model, Table
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window
from mlobs_tests.incidents.world import LINEAGE, day, failure

ROWS = 100


def model(**limits) -> Model:
    tables = {name: Table(name, time="at", key="id") for name in ("features", "predictions", "actuals")}
    monitors = [Accuracy(span=14, **limits)]
    return Model("delay", "regression", **tables, prediction="p", actual="a", monitors=monitors)


def state(error: float, naive: float = 30.0, rows: int = ROWS) -> AccuracyState:
    sums = {
        "abs_error": error * rows,
        "naive_rows": rows,
        "naive_abs_error": naive * rows,
        "naive_error_covered": error * rows,
    }
    return AccuracyState("regression", rows, labelled=rows, sums=sums)


def remember(history: History, errors, versions=None, naive=None) -> None:
    """One window per error, from day 1 on; JFK has all of the rise, LGA the first day's error."""
    measured = {}
    for number, error in enumerate(errors, 1):
        calm = errors[0]
        half = ROWS // 2
        base = 30.0 if naive is None else naive[number - 1]
        segments = {
            "": state(error, base),
            "origin=JFK": state(2 * error - calm, base, half),
            "origin=LGA": state(calm, base, half),
        }
        measured[day(number)] = {versions[number - 1] if versions else "1": segments}
    history.save_accuracies("delay", measured, day(len(errors)).end)


def wobbling(level: float, count: int, by: float = 0.5) -> list[float]:
    return [level + by * (-1) ** n for n in range(count)]


def test_the_onset_lies_where_the_error_rose_not_where_the_check_failed(history):
    remember(history, [*wobbling(20, 30), *wobbling(30, 10)])
    assert onset(history, model(), day(40)) == Window(day(31).start, day(40).end)


def test_of_onsets_that_are_about_as_likely_the_change_of_version_is_taken(history):
    errors = [*wobbling(20, 30, 2), 22.0, *wobbling(26, 9, 2)]
    remember(history, errors)
    assert onset(history, model(), day(40)).start == day(32).start
    remember(history, errors, ["1"] * 30 + ["2"] * 10)
    assert onset(history, model(), day(40)).start == day(31).start


def test_an_old_fall_is_looked_for_before_the_check_failed_first(history):
    remember(history, [*wobbling(20, 30), *wobbling(30, 60)])
    for number in range(36, 91):
        window = day(number)
        history.save_verdicts(
            "delay.performance", window, ["accuracy"], [failure("delay.performance", number)], window.end
        )
    found = explain(history, model(), day(90), LINEAGE)
    assert found.fall.window.start == day(31).start
    assert (round(found.fall.before), round(found.fall.after)) == (20, 30)


def test_it_says_what_rose_and_why(history):
    remember(history, [*wobbling(20, 30), *wobbling(30, 10)])
    found = explain(history, model(), day(40), LINEAGE)
    assert found.sentence == (
        "mean absolute error rose from 20 to 30 on 2013-05-01; most likely: error rose from 19.5 to 39.5 where origin=JFK:"
        " 100% of the rise comes from its 50% of the rows"
    )
    plain = found.plain()
    assert (plain["since"], plain["causes"][0]["rank"]) == (day(31).start, 1)


def test_a_rise_of_which_nothing_is_known_is_said_to_be_unexplained(history):
    measured = {day(n): {"1": {"": state(20 if n < 31 else 30)}} for n in range(1, 41)}
    history.save_accuracies("delay", measured, day(40).end)
    found = explain(history, model(), day(40), LINEAGE)
    assert found.causes == ()
    assert "nothing that is remembered explains it" in found.sentence


def test_lost_skill_is_explained_beyond_the_baseline_though_the_error_fell(history):
    naive = [30.0] * 30 + [14.0] * 10
    remember(history, [*wobbling(25, 30), *wobbling(20, 10)], naive=naive)
    lost = failure("delay.performance", 40)
    lost = type(lost)(**{**vars(lost), "metric": "skill"})
    history.save_verdicts("delay.performance", day(40), ["accuracy"], [lost], day(40).end)
    found = explain(history, model(), day(40), LINEAGE)
    assert found.fall.against_naive
    assert (round(found.fall.before), round(found.fall.after)) == (-5, 6)
    assert found.sentence.startswith("mean absolute error beyond the naive baseline's rose from -5 to 6 on 2013-05-01")


def test_with_hardly_any_window_before_it_is_compared_with_cross_validation(history):
    remember(history, [30.0, 31.0, 29.0])
    assert explain(history, model(), day(3), LINEAGE) is None
    info = {"cv_error": 20.0, "importances": {"wind": 8.0}}
    history.save_version("delay", "1", day(1).start, info)
    for number in (1, 2, 3):
        window = day(number)
        history.save_verdicts(
            "delay.performance", window, ["accuracy"], [failure("delay.performance", number)], window.end
        )
    history.save_verdicts("features", day(2), ["field_health"], [failure("features", 2)], day(2).end)
    found = explain(history, model(), day(3), LINEAGE)
    assert found.sentence == (
        "mean absolute error is 30 since 2013-04-01, soon after the first prediction; cross-validation gave 20; most likely:"
        " wind of features is broken: mean of wind is out of range"
    )
    assert found.segments == {}


def test_nothing_is_explained_without_labels(history):
    assert explain(history, model(), day(1), LINEAGE) is None


def test_an_error_that_is_merely_high_is_not_said_to_have_risen(history):
    remember(history, wobbling(30, 40, 4))
    found = explain(history, model(), day(40), LINEAGE)
    assert "did not clearly rise" in found.sentence
    assert found.causes == ()


def test_the_excess_by_segment_adds_up_to_the_excess(history):
    remember(history, [*wobbling(20, 30), *wobbling(30, 10)])
    found = explain(history, model(), day(40), LINEAGE)
    parts = excess_by_segment(found.evidence)["origin"]
    assert [p.change.segment for p in parts] == ["origin=JFK", "origin=LGA"]
    assert math.isclose(sum(p.within + p.mix for p in parts), found.fall.excess, rel_tol=1e-9)
    assert math.isclose(sum(p.share for p in parts), 1.0)


def test_an_incident_is_explained_for_every_model_that_fails_in_it(history):
    remember(history, [*wobbling(20, 30), *wobbling(30, 10)])
    history.save_verdicts("delay.performance", day(40), ["accuracy"], [failure("delay.performance", 40)], day(40).end)
    history.save_verdicts("features", day(40), ["field_health"], [failure("features", 40)], day(40).end)
    update(history, LINEAGE, day(40).end)
    (incident,) = open_incidents(history)
    found = explain_incident(history, incident, [model()], LINEAGE)
    assert list(found) == ["delay"]
    assert {c.kind for c in found["delay"].causes} >= {"segment", "data fault"}
