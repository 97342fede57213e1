"""Which changes a route is told of, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta

import pytest

from mlobs.alerts import Context, Route
from mlobs.alerts.delivery import wanted
from mlobs.errors import AlertError
from mlobs.incidents import Incident
from mlobs.windows import Window, instant

NOON = instant("2013-04-01T12:00")
INCIDENT = Incident(1, "open", "warn", "t", "t: mean of x", "why", Window.day(NOON), NOON, NOON)
AROUND = Context(owners=frozenset({"team:ml", "ann@example.com"}), tags=frozenset({"tier=1", "flights"}))


@pytest.mark.parametrize(
    ("route", "severity", "change", "told"),
    [
        ({}, "warn", "opened", True),
        ({"severity": "error"}, "warn", "opened", False),
        ({"severity": "error"}, "error", "opened", True),
        ({"severity": "error"}, "critical", "opened", True),
        ({"severity": "critical"}, "error", "opened", False),
        ({"changes": ("opened",)}, "warn", "resolved", False),
        ({"owners": "team:ml"}, "warn", "opened", True),
        ({"owners": ("team:web",)}, "warn", "opened", False),
        ({"tags": "tier"}, "warn", "opened", True),
        ({"tags": ("tier=1", "x")}, "warn", "opened", True),
        ({"tags": ("tier=2",)}, "warn", "opened", False),
        ({"tags": "flights", "owners": "team:ml", "severity": "error"}, "error", "worse", True),
    ],
)
def test_what_a_route_is_told_of(route, severity, change, told):
    assert wanted(Route("CHAT", **route), replace(INCIDENT, severity=severity), change, AROUND) is told


@pytest.mark.parametrize(
    ("route", "at", "severity", "due"),
    [
        ({}, "2013-04-01T12:00", "warn", "2013-04-01T12:00"),
        ({"digest": timedelta(days=1)}, "2013-04-01T12:00", "error", "2013-04-02T07:00"),
        ({"digest": timedelta(days=1)}, "2013-04-01T07:00", "error", "2013-04-01T07:00"),
        ({"digest": timedelta(days=1), "digest_hour": 15}, "2013-04-01T12:00", "error", "2013-04-01T15:00"),
        ({"digest": timedelta(hours=4)}, "2013-04-01T12:30", "error", "2013-04-01T15:00"),
        ({"quiet": (time(22), time(7))}, "2013-04-01T23:00", "warn", "2013-04-02T07:00"),
        ({"quiet": (time(22), time(7))}, "2013-04-02T06:59", "warn", "2013-04-02T07:00"),
        ({"quiet": (time(22), time(7))}, "2013-04-02T07:00", "warn", "2013-04-02T07:00"),
        ({"quiet": (time(22), time(7))}, "2013-04-01T23:00", "error", "2013-04-01T23:00"),
        ({"quiet": (time(22), time(7)), "quiet_severity": "error"}, "2013-04-01T23:00", "error", "2013-04-02T07:00"),
        ({"quiet": (time(22), time(7)), "quiet_severity": "error"}, "2013-04-01T23:00", "critical", "2013-04-01T23:00"),
        ({"quiet": (time(12), time(13))}, "2013-04-01T12:30", "warn", "2013-04-01T13:00"),
        # New York is 4 hours behind in April, 5 in January
        ({"quiet": (time(22), time(7)), "zone": "America/New_York"}, "2013-04-02T03:00", "warn", "2013-04-02T11:00"),
        ({"quiet": (time(22), time(7)), "zone": "America/New_York"}, "2013-01-02T03:30", "warn", "2013-01-02T12:00"),
        ({"quiet": (time(22), time(7)), "zone": "America/New_York"}, "2013-04-02T01:59", "warn", "2013-04-02T01:59"),
        ({"quiet": (time(0), time(9)), "digest": timedelta(days=1)}, "2013-04-01T12:00", "warn", "2013-04-02T09:00"),
    ],
)
def test_when_it_is_due(route, at, severity, due):
    assert Route("CHAT", **route).due(instant(at), severity) == instant(due)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"url_env": "slack://token"}, "takes the name of an environment variable"),
        ({"url_env": "MY CHAT"}, "is no name of an environment variable"),
        ({"severity": "eror"}, "did you mean 'error'"),
        ({"quiet_severity": "all"}, "severity 'all' is unknown"),
        ({"changes": ("closed",)}, "change 'closed' is unknown"),
        ({"digest": timedelta(0)}, "digest must be a positive length"),
        ({"zone": "Mars/Olympus"}, "time zone 'Mars/Olympus' is unknown"),
        ({"zone": "/etc/passwd"}, "is unknown"),
    ],
)
def test_nonsense_is_refused(route, said):
    with pytest.raises(AlertError, match=said):
        Route(**({"url_env": "CHAT"} | route))


def test_the_url_is_read_from_the_environment_when_it_is_needed():
    route = Route("CHAT")
    assert route.url({"CHAT": "json://host"}) == "json://host"
    with pytest.raises(AlertError, match="environment variable CHAT isn't set"):
        route.url({})
    with pytest.raises(AlertError, match="make a route for each receiver"):
        route.url({"CHAT": "json://a json://b"})
    assert "json" not in repr(route)
