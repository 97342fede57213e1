"""Messages reach a real HTTP receiver: once, later when it is down, and never with a secret in what is kept."""

from __future__ import annotations

import logging
from datetime import time, timedelta

import pytest

from mlobs.alerts import Context, Link, Route, deliver, undelivered
from mlobs.errors import AlertError
from mlobs.incidents import expected
from mlobs_tests.incidents.world import failure

ROUTE = Route("CHAT")
MINUTE = timedelta(minutes=1)


def tell(world, environ, *routes, after=timedelta(0), **more):
    return deliver(world.history, routes or [ROUTE], world.now + after, environ=environ, **more)


def broken(world, number=1, **more):
    world.judge(number, failure("weather", number, **more))
    world.update()


def test_one_message_when_it_opens_one_when_it_gets_worse_one_when_it_resolves(world, receiver, environ):
    broken(world)
    tell(world, environ)
    world.judge(2, failure("weather", 2), failure("features", 2), failure("weather", 2, "rain"))
    world.update()
    tell(world, environ)
    for number in (3, 4):
        world.judge(number)
    world.update()
    tell(world, environ)
    assert tell(world, environ) == []
    assert receiver.titles == [
        "[mlobs] error: weather: unusual mean of wind",
        "[mlobs] worse, error: weather: unusual mean of wind and 1 more",
        "[mlobs] resolved: weather: unusual mean of wind and 1 more",
    ]
    assert [m["type"] for m in receiver.taken] == ["failure", "failure", "success"]
    assert "Held: prediction of delay on the windows with broken data" in receiver.taken[0]["message"]


def test_what_is_held_and_where_to_look_is_said(world, receiver, environ):
    broken(world)
    world.history.save_decision("delay", world.now, "hold", "the weather is broken", "accuracy")
    tell(world, environ, around=lambda incident: Context((Link("Report", "https://r.example/"),)))
    message = receiver.taken[0]["message"]
    assert "Held: retraining of delay: the weather is broken" in message
    assert "Report: https://r.example/" in message


@pytest.mark.parametrize("trouble", ["refuses", "keeps silent", "is down"])
def test_a_receiver_in_trouble_gets_it_later_once(world, receiver, environ, trouble):
    broken(world)
    if trouble == "refuses":
        receiver.answer = 500
    address = dict(environ)
    if trouble == "keeps silent":
        receiver.pause, receiver.answer = 1.0, 500
        address["CHAT"] = receiver.address(0.5)
    if trouble == "is down":
        address["CHAT"] = "json://127.0.0.1:1/?cto=0.5&rto=0.5"
    (failed,) = tell(world, address)
    assert (failed.sent, failed.attempts, failed.next_at) == (False, 1, world.now + MINUTE)
    assert failed.error != ""
    assert receiver.titles == []
    assert tell(world, address) == []  # not before the pause is over
    receiver.pause, receiver.answer = 0.0, 200
    (sent,) = tell(world, environ, after=MINUTE)
    assert (sent.sent, sent.attempts, sent.next_at) == (True, 2, None)
    assert receiver.titles == ["[mlobs] error: weather: unusual mean of wind"]
    assert tell(world, environ, after=timedelta(days=1)) == []


def test_the_pause_doubles_and_old_messages_are_given_up(world, receiver, environ):
    receiver.answer = 500
    broken(world)
    now, pauses = world.now, []
    while True:
        (tried,) = deliver(world.history, [ROUTE], now, environ=environ)
        if tried.next_at is None:
            break
        pauses.append(tried.next_at - now)
        now = tried.next_at
    assert pauses[:4] == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    assert max(pauses) == timedelta(hours=6)
    assert timedelta(days=7) < now - world.now < timedelta(days=8)
    assert [(route, state) for route, state, _, _ in undelivered(world.history)] == [("CHAT", "failed")]
    assert deliver(world.history, [ROUTE], now + timedelta(days=9), environ=environ) == []


def test_while_it_is_down_it_is_asked_once_and_the_order_is_kept(world, receiver, environ):
    receiver.answer = 500
    broken(world)
    expected(world.history, 1, "ann", world.now)
    broken(world, 10)
    tell(world, environ)
    assert receiver.asked == 1
    receiver.answer = 200
    tell(world, environ, after=MINUTE)
    assert receiver.titles == ["[mlobs] error: weather: unusual mean of wind"] * 2
    assert "Since: 2013-04-01" in receiver.taken[0]["message"]
    assert "Since: 2013-04-10" in receiver.taken[1]["message"]


def test_routes_are_told_what_they_asked_for(world, receiver, environ):
    other = Route("CHAT", name="errors", severity="error")
    ml = Route("CHAT", name="ml", owners=("team:ml",))
    world.judge(1, failure("weather", 1, severity="warn"), failure("actuals", 1))
    world.update()
    owners = {"weather": frozenset({"team:ml"})}
    told = tell(world, environ, other, ml, around=lambda i: Context(owners=owners.get(i.table, frozenset())))
    assert sorted((d.route, d.sent) for d in told) == [("errors", True), ("ml", True)]
    assert sorted(receiver.titles) == [
        "[mlobs] error: actuals: unusual mean of wind",
        "[mlobs] warn: weather: unusual mean of wind",
    ]


def test_one_route_in_trouble_keeps_no_other_waiting(world, receiver, environ):
    broken(world)
    bad = Route("NOWHERE")
    told = tell(world, environ, bad, ROUTE)
    assert {d.route: (d.sent, d.error) for d in told} == {
        "NOWHERE": (False, "route 'NOWHERE': environment variable NOWHERE isn't set"),
        "CHAT": (True, ""),
    }


def test_a_digest_is_one_message(world, receiver, environ):
    daily = Route("CHAT", digest=timedelta(days=1))
    broken(world)
    assert tell(world, environ, daily) == []
    world.judge(1, failure("actuals", 1), tables=["actuals"])
    world.update()
    (sent,) = tell(world, environ, daily, after=timedelta(hours=7))
    assert (sent.incidents, sent.changes) == ((1, 2), ("opened", "opened"))
    assert receiver.titles == ["[mlobs] changes in 2 incidents"]


def test_quiet_hours_end_with_one_message(world, receiver, environ):
    night = Route("CHAT", quiet=(time(22), time(7)), quiet_severity="error")
    broken(world)
    assert tell(world, environ, night, after=timedelta(hours=6)) == []
    assert [d.sent for d in tell(world, environ, night, after=timedelta(hours=7))] == [True]


def test_a_flood_is_one_message(world, receiver, environ):
    for table in ("weather", "actuals"):
        for number in (1, 5, 9):
            world.judge(number, failure(table, number, f"f{number}"), tables=[table])
            world.update()
    (sent,) = tell(world, environ)
    assert set(sent.incidents) == {1, 2, 3, 4, 5, 6}
    assert receiver.titles == ["[mlobs] 8 changes in 6 incidents"]


def test_a_route_made_later_is_not_told_the_past(world, receiver, environ):
    broken(world)
    tell(world, environ)
    late = Route("CHAT", name="late")
    assert tell(world, environ, ROUTE, late) == []
    assert len(receiver.taken) == 1


def test_no_routes_no_pile(world, environ):
    broken(world)
    assert deliver(world.history, [], world.now, environ=environ) == []
    assert deliver(world.history, [ROUTE], world.now, environ=environ) == []


def test_two_routes_of_one_name_are_refused(world, environ):
    with pytest.raises(AlertError, match="two routes have one name"):
        tell(world, environ, ROUTE, Route("CHAT", severity="error"))


@pytest.mark.parametrize(
    "url", ["nonsense://s3cretword", "json://ann:s3cretword@127.0.0.1:1/t0kenpath", "slack://s3cretword"]
)
def test_no_secret_is_kept_or_logged(world, receiver, caplog, capfd, url):
    caplog.set_level(logging.DEBUG)
    broken(world)
    (failed,) = tell(world, {"CHAT": url})
    assert not failed.sent
    kept = failed.error + caplog.text + "".join(capfd.readouterr()) + str(undelivered(world.history))
    assert "s3cretword" not in kept
    assert "t0kenpath" not in kept
    assert failed.error


def test_no_secret_is_kept_when_the_receiver_refuses(world, receiver, environ, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answer = 500
    broken(world)
    (failed,) = tell(world, environ)
    assert "500" in failed.error
    assert "s3cretword" not in failed.error + caplog.text.replace(receiver.url, "")
    with open(world.history.database.place, "rb") as file:
        assert b"s3cretword" not in file.read()


def test_nothing_due_costs_next_to_nothing(world, environ):
    import time as clock

    broken(world)
    deliver(world.history, [], world.now)
    began = clock.process_time()
    for _ in range(50):
        assert tell(world, environ) == []
    assert (clock.process_time() - began) / 50 < 0.01


def test_a_backfill_of_a_year_is_told_in_one_message_of_what_goes_on(world, receiver, environ):
    for number in range(1, 366):
        fails = number % 3 == 0 or number > 363
        world.judge(
            number, *([failure("weather", number, f"field_{number % 40}")] if fails else []), tables=["weather"]
        )
    found = world.update()
    assert len(found) > 50
    tell(world, environ)
    assert len(receiver.titles) == 1
    assert tell(world, environ) == []
