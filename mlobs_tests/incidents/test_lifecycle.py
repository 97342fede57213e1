"""Incidents over time: days are judged, the incidents and their messages follow."""

from __future__ import annotations

import pytest

from mlobs.errors import HistoryError
from mlobs.incidents import (
    acknowledge,
    events,
    expected,
    incident,
    incidents,
    members,
    open_incidents,
    reopen,
    update,
)
from mlobs.windows import Window
from mlobs_tests.incidents.world import LINEAGE, day, failure


def kinds(world, incident_id=1):
    return [event.kind for event in events(world.history, incident_id)]


def test_one_fault_upstream_is_one_incident_with_all_it_touches(world):
    world.judge(
        1,
        failure("weather", 1, "wind", "negative_rate", score=50),
        failure("weather", 1, "rain", "null_rate"),
        failure("features", 1, "wind", "negative_rate"),
        failure("predictions", 1, "delay", severity="warn", detector="drift"),
        failure("delay.performance", 1),
    )
    (found,) = world.update()
    assert (found.state, found.severity, found.table) == ("open", "error", "weather")
    assert found.title == "weather: negative values in wind and 1 more"
    assert found.reason == "negative_rate of wind is out of range"
    assert found.window == day(1)
    assert found.touched.tables == ("weather", "features", "predictions", "delay.performance")
    assert found.touched.fields == ("weather.wind", "weather.rain", "features.wind", "predictions.delay")
    assert found.touched.checks == ("field_health", "accuracy", "drift")
    assert found.touched.models == ("delay", "other")
    assert found.touched.held == ("delay", "other")
    assert open_incidents(world.history) == [found]
    assert len(members(world.history, found.id)) == 5
    assert world.changes() == [(1, "opened")]


def test_running_it_again_changes_nothing(world):
    world.judge(1, failure("weather", 1))
    (first,) = world.update()
    world.judge(1, failure("weather", 1))
    assert world.update() == []
    assert open_incidents(world.history) == [first]
    assert kinds(world) == ["opened"]


def test_days_that_pass_resolve_it(world):
    world.judge(1, failure("weather", 1))
    world.update()
    world.judge(2)
    assert world.update() == []
    world.judge(3)
    (resolved,) = world.update()
    assert (resolved.state, resolved.resolved_at, resolved.window) == ("resolved", world.now, day(1))
    assert world.changes() == [(1, "opened"), (1, "resolved")]
    assert world.update() == []


def test_a_corrected_delivery_resolves_it_at_once(world):
    world.judge(1, failure("weather", 1), failure("features", 1))
    world.update()
    world.judge(1, tables=["weather", "features"])
    (resolved,) = world.update()
    assert resolved.state == "resolved"
    assert [e.note for e in events(world.history, 1)] == ["", "its windows were judged again and passed"]
    assert [m.failing for m in members(world.history, 1)] == [False, False]


def test_half_a_correction_does_not(world):
    world.judge(1, failure("weather", 1), failure("features", 1))
    world.update()
    world.judge(1, tables=["weather"])
    (changed,) = world.update()
    assert (changed.state, changed.table) == ("open", "features")
    assert kinds(world) == ["opened"]


def test_a_fault_that_lasts_is_one_incident(world):
    for number in range(1, 8):
        world.judge(number, failure("weather", number, f"f{number}"))
        world.update()
    (found,) = open_incidents(world.history)
    assert found.window == Window(day(1).start, day(7).end)
    assert world.changes() == [(1, "opened")]


def test_a_further_table_makes_it_worse_and_a_further_field_does_not(world):
    world.judge(1, failure("weather", 1))
    world.update()
    world.judge(2, failure("weather", 2), failure("weather", 2, "rain"))
    world.update()
    assert kinds(world) == ["opened"]
    world.judge(3, failure("weather", 3), failure("delay.performance", 3))
    world.update()
    assert [(e.kind, e.note) for e in events(world.history, 1)] == [
        ("opened", ""),
        ("worse", "it has reached the accuracy of delay"),
    ]


def test_a_change_that_becomes_a_fault_is_worse(world):
    world.judge(1, failure("weather", 1, severity="warn"))
    (found,) = world.update()
    assert (found.severity, found.touched.held) == ("warn", ())
    world.judge(2, failure("weather", 2))
    (found,) = world.update()
    assert found.severity == "error"
    assert world.changes() == [(1, "opened"), (1, "worse")]


def test_the_same_failure_soon_after_reopens_it(world):
    world.judge(1, failure("weather", 1))
    for number in range(2, 5):
        world.update()
        world.judge(number)
    world.update()
    world.judge(6, failure("weather", 6))
    (found,) = world.update()
    assert (found.id, found.state, found.window) == (1, "open", Window(day(1).start, day(6).end))
    assert world.changes() == [(1, "opened"), (1, "resolved"), (1, "reopened")]


def test_another_failure_or_the_same_much_later_opens_another(world):
    world.judge(1, failure("weather", 1))
    for number in range(2, 20):
        world.update()
        world.judge(number, *([failure("weather", 6, "rain")] if number == 6 else []))
    world.judge(20, failure("weather", 20))
    world.update()
    assert [(i.id, i.window.start.day) for i in incidents(world.history)] == [(1, 1), (2, 6), (3, 20)]


def test_a_fault_found_upstream_later_becomes_the_cause(world):
    world.judge(1, failure("delay.performance", 1))
    world.update()
    assert open_incidents(world.history)[0].title == "delay: accuracy"
    world.judge(1, failure("weather", 1), tables=["weather"])
    world.update()
    (found,) = open_incidents(world.history)
    assert (found.id, found.table, found.touched.tables) == (1, "weather", ("weather", "delay.performance"))


def test_incidents_that_turn_out_to_have_one_cause_become_one(world):
    world.judge(1, failure("delay.performance", 1), failure("other.performance", 1))
    world.update()
    assert len(open_incidents(world.history)) == 2
    world.judge(1, failure("features", 1), tables=["features"])
    world.update()
    (found,) = open_incidents(world.history)
    assert (found.id, found.touched.models) == (1, ("delay", "other"))
    assert kinds(world, 2) == ["opened", "merged"]
    assert incident(world.history, 2).state == "resolved"
    assert world.update() == []


def test_a_fault_of_which_the_middle_was_repaired_stays_one(world):
    for number in range(1, 6):
        world.judge(number, failure("weather", number))
        world.update()
    for number in (2, 3, 4):
        world.judge(number, tables=["weather"])
    world.update()
    (found,) = open_incidents(world.history)
    assert (found.id, found.window) == (1, Window(day(1).start, day(5).end))
    assert [m.failing for m in members(world.history, 1)] == [True, False, False, False, True]
    assert kinds(world) == ["opened"]
    assert world.update() == []


def test_judged_again_with_another_value_it_is_no_news(world):
    world.judge(1, failure("weather", 1), failure("features", 1))
    world.update()
    world.judge(1, failure("weather", 1, score=9.0), failure("features", 1, score=9.0))
    world.update()
    assert kinds(world) == ["opened"]
    assert [m.score for m in members(world.history, 1)] == [9.0, 9.0]
    assert world.update() == []


def test_a_change_that_lasts_for_months_costs_no_more_than_a_new_one(world):
    import time

    costs = []
    for number in range(1, 121):
        drifting = [failure("features", number, f"f{i}", "psi", severity="warn", detector="drift") for i in range(20)]
        world.judge(number, *drifting, tables=["features"])
        began = time.process_time()
        world.update()
        costs.append(time.process_time() - began)
    (found,) = open_incidents(world.history)
    assert found.window == Window(day(1).start, day(120).end)
    assert len(members(world.history, found.id)) == 2400
    assert sorted(costs[-20:])[10] < 4 * sorted(costs[10:30])[10] + 0.01
    assert kinds(world) == ["opened"]


def test_a_fault_in_a_long_change_is_an_incident_of_its_own(world):
    for number in range(1, 31):
        found = [failure("features", number, "rain", "psi", severity="warn", detector="drift")]
        if number == 25:
            found.append(failure("features", number))
        world.judge(number, *found)
        world.update()
    assert [(i.id, i.severity, i.state, i.window.start.day) for i in incidents(world.history)] == [
        (1, "warn", "open", 1),
        (2, "error", "resolved", 25),
    ]
    assert world.changes() == [(1, "opened"), (2, "opened"), (2, "resolved")]


class TestHindsight:
    def test_a_backfill_raises_history_and_no_messages(self, world):
        for number in range(1, 101):
            fails = number % 10 == 1
            world.judge(number, *([failure("weather", number)] if fails else []), tables=["weather"])
        found = world.update()
        assert len(found) == 10
        assert {i.state for i in found} == {"resolved"}
        assert world.changes() == []

    def test_what_still_goes_on_is_told(self, world):
        for number in range(1, 31):
            fails = number in (5, 29, 30)
            world.judge(number, *([failure("weather", number)] if fails else []), tables=["weather"])
        world.update()
        assert [(i.window.start.day, i.state) for i in incidents(world.history)] == [(5, "resolved"), (29, "open")]
        assert world.changes() == [(2, "opened")]

    def test_notify_since_keeps_older_windows_quiet(self, world):
        world.judge(1, failure("weather", 1))
        world.update(notify_since=day(1).end)
        assert world.changes() == []
        world.judge(2, failure("weather", 2))
        world.update(notify_since=day(1).end)
        assert world.changes() == [(1, "opened")]

    def test_windows_of_last_year_are_history(self, world):
        world.judge(1, failure("weather", 1))
        update(world.history, LINEAGE, day(300).end)
        assert [(i.state, i.announced) for i in incidents(world.history)] == [("open", False)]
        assert world.changes() == []


class TestPeople:
    def test_who_acknowledges_first_has_it_and_everybody_is_recorded(self, world):
        world.judge(1, failure("weather", 1))
        world.update()
        acknowledge(world.history, 1, "ann", world.now, "looking")
        found = acknowledge(world.history, 1, "bob", world.now)
        assert (found.state, found.acknowledged_by) == ("acknowledged", "ann")
        assert [(e.by, e.kind, e.note) for e in events(world.history, 1)][1:] == [
            ("ann", "acknowledged", "looking"),
            ("bob", "acknowledged", ""),
        ]
        assert open_incidents(world.history) == [found]
        assert world.update() == []

    def test_an_acknowledged_incident_goes_on_and_resolves(self, world):
        world.judge(1, failure("weather", 1))
        world.update()
        acknowledge(world.history, 1, "ann", world.now)
        world.judge(2, failure("weather", 2))
        assert [i.state for i in world.update()] == ["acknowledged"]
        for number in (3, 4):
            world.judge(number)
        assert [i.state for i in world.update()] == ["resolved"]

    def test_expected_closes_it_and_tells_the_monitors(self, world):
        world.judge(1, failure("weather", 1), failure("weather", 1, "rain"))
        world.update()
        assert expected(world.history, 1, "ann", world.now, "a storm").state == "expected"
        assert world.update() == []
        given = world.history.feedback(kind="expected", table="weather")
        assert [(f.scope["field"], f.start, f.until, f.by, f.note) for f in given] == [
            ("rain", day(1).start, day(1).end, "ann", "a storm"),
            ("wind", day(1).start, day(1).end, "ann", "a storm"),
        ]
        assert world.changes() == [(1, "opened")]

    def test_what_was_expected_may_go_on_in_silence_but_not_get_worse(self, world):
        world.judge(1, failure("weather", 1, severity="warn"))
        world.update()
        expected(world.history, 1, "ann", world.now)
        world.judge(2, failure("weather", 2, severity="warn"))
        assert [i.state for i in world.update()] == ["expected"]
        assert world.changes() == [(1, "opened")]
        world.judge(3, failure("weather", 3))
        assert [i.state for i in world.update()] == ["open"]
        assert world.changes() == [(1, "opened"), (1, "reopened")]

    def test_expected_can_be_taken_back(self, world):
        world.judge(1, failure("weather", 1))
        world.update()
        expected(world.history, 1, "ann", world.now)
        world.update()
        assert reopen(world.history, 1, "bob", world.now, "no, it wasn't").state == "open"
        assert world.history.feedback() == []
        assert world.update() == []
        assert [i.state for i in open_incidents(world.history)] == ["open"]
        with pytest.raises(HistoryError, match="is open, not expected"):
            reopen(world.history, 1, "bob", world.now)

    def test_what_is_muted_opens_nothing_until_the_mute_is_revoked(self, world):
        mute = world.history.add_feedback("mute", {"table": "weather", "field": "wind"}, "ann", day(1).start)
        world.judge(1, failure("weather", 1))
        assert world.update() == []
        assert incidents(world.history) == []
        world.history.revoke_feedback(mute, "bob", world.now)
        assert [i.title for i in world.update()] == ["weather: unusual mean of wind"]

    def test_muting_closes_what_is_open(self, world):
        world.judge(1, failure("weather", 1))
        world.update()
        world.history.add_feedback("mute", {"table": "weather"}, "ann", day(1).start)
        assert [i.state for i in world.update()] == ["resolved"]
        assert events(world.history, 1)[-1].note == "people have excused it"
        assert world.update() == []

    def test_unknown_settled_and_nameless_are_refused(self, world):
        with pytest.raises(HistoryError, match="there is no incident 9; open ones: none"):
            acknowledge(world.history, 9, "ann", world.now)
        world.judge(1, failure("weather", 1))
        world.update()
        with pytest.raises(HistoryError, match="there is no incident 9; open ones: 1"):
            expected(world.history, 9, "ann", world.now)
        with pytest.raises(HistoryError, match="say who you are"):
            acknowledge(world.history, 1, " ", world.now)
        expected(world.history, 1, "ann", world.now)
        with pytest.raises(HistoryError, match="incident 1 is expected since"):
            acknowledge(world.history, 1, "ann", world.now)


def test_incidents_can_be_asked_for_by_time(world):
    world.judge(1, failure("weather", 1))
    world.judge(9, failure("weather", 9))
    world.update()
    assert [i.id for i in incidents(world.history, since=day(5).start)] == [2]
    assert [i.id for i in incidents(world.history, until=day(5).start)] == [1]


def test_quiet_days_cost_next_to_nothing(world):
    import time

    for number in range(1, 61):
        world.judge(number, tables=["weather", "features"])
    began = time.process_time()
    for _ in range(20):
        assert world.update() == []
    assert (time.process_time() - began) / 20 < 0.02


def test_one_fault_in_ten_fields_three_tables_two_models_and_their_accuracy_is_one_incident(world):
    fields = [f"field_{n}" for n in range(10)]
    for number in (1, 2):
        world.judge(
            number,
            *(failure("weather", number, f, "null_rate", score=40) for f in fields),
            *(failure("features", number, f, "null_rate") for f in fields[:5]),
            failure("predictions", number, "delay", "mean", severity="warn", detector="drift"),
            failure("delay.performance", number),
            failure("other.performance", number),
        )
        world.update()
    (found,) = incidents(world.history)
    assert (found.table, found.touched.tables[:3]) == ("weather", ("weather", "features", "predictions"))
    assert set(found.touched.tables[3:]) == {"delay.performance", "other.performance"}
    assert found.touched.models == ("delay", "other")
    assert {f for f in found.touched.fields if f.startswith("weather.")} == {f"weather.{f}" for f in fields}
    assert len(members(world.history, found.id)) == 2 * 18
    assert world.changes() == [(1, "opened")]
    assert incidents(world.history, model="other") == open_incidents(world.history, model="delay") == [found]
    assert incidents(world.history, model="third") == open_incidents(world.history, model="third") == []
