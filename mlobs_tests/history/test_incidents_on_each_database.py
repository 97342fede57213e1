"""Incidents and the outbox run the same on every database that history lives in."""

from __future__ import annotations

from mlobs.alerts import Route, deliver, undelivered
from mlobs.incidents import acknowledge, events, expected, incidents, members
from mlobs_tests.incidents.world import World, day, failure


def test_from_open_to_resolved(history):
    world = World(history)
    for number in range(1, 6):
        found = (
            [failure("weather", number), failure("features", number, score=float("inf"))] if number in (2, 3) else []
        )
        world.judge(number, *found)
        world.update()
    acknowledged = [acknowledge(history, i.id, "ann", world.now) for i in incidents(history) if i.active]
    assert acknowledged == []
    assert [(i.state, i.touched.tables, i.window.end) for i in incidents(history)] == [
        ("resolved", ("weather", "features"), day(3).end)
    ]
    assert [e.kind for e in events(history, 1)] == ["opened", "resolved"]
    assert len(members(history, 1)) == 4
    assert world.update() == []


def test_merged_excused_and_judged_again(history):
    world = World(history)
    world.judge(1, failure("delay.performance", 1), failure("other.performance", 1))
    world.update()
    world.judge(1, failure("features", 1), tables=["features"])
    world.update()
    assert [i.state for i in incidents(history)] == ["open", "resolved"]
    expected(history, 1, "ann", world.now)
    assert world.update() == []
    world.judge(2, failure("weather", 2))
    world.update()
    world.judge(2, tables=["weather"])
    world.update()
    assert [i.state for i in incidents(history)] == ["expected", "resolved", "resolved"]


def test_a_message_waits_for_its_receiver(history):
    world = World(history)
    world.judge(1, failure("weather", 1))
    world.update()
    (tried,) = deliver(history, [Route("CHAT")], world.now, environ={"CHAT": "json://127.0.0.1:1/?cto=0.5&rto=0.5"})
    assert not tried.sent
    assert [(route, state, attempts) for route, state, attempts, _ in undelivered(history)] == [("CHAT", "waiting", 1)]
