"""Why accuracy fell, as the page tells it: from history alone, beside its incident, versions and what people said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlobs.history import History
from mlobs.incidents import acknowledge, update
from mlobs.report.collect import model_page
from mlobs.report.versions import changes
from mlobs_tests.incidents.test_explanation import model, remember, wobbling
from mlobs_tests.incidents.world import LINEAGE, day, failure


@pytest.fixture
def history() -> Iterator[History]:
    with History("sqlite://") as opened:
        yield opened


def test_a_fall_is_told_with_causes_excess_incident_and_marks(history: History) -> None:
    remember(history, [*wobbling(20, 30), *wobbling(30, 10)])
    for number in range(33, 41):
        window = day(number)
        history.save_verdicts(
            "delay.performance", window, ["accuracy"], [failure("delay.performance", number)], window.end
        )
    now = day(40).end
    update(history, LINEAGE, now)
    acknowledge(history, 1, "ann", now)
    history.add_feedback(
        "calendar", {"table": "features"}, "bob", now, start=day(35).start, until=day(36).end, note="fair"
    )
    page = model_page(model(), history, now)
    (fall,) = page.accuracy.falls
    assert fall.failed == day(33).hull(day(40))
    assert fall.sentence.startswith(
        "mean absolute error rose from 20 to 30 on 2013-05-01; most likely: error rose from 19.5 to 39.5"
    )
    assert [(c.kind, round(c.share, 2)) for c in fall.causes] == [("segment", 1.0)]
    assert [(x.segment, round(x.share, 2)) for x in fall.excess] == [("origin=JFK", 1.0), ("origin=LGA", 0.0)]
    (incident,) = page.incidents
    assert (incident.why, incident.who) == ((fall.sentence,), "ann")
    (said,) = page.said
    assert (said.kind, said.what, said.by, said.note) == ("calendar", "features", "bob", "fair")


def test_a_model_that_never_failed_has_no_fall(history: History) -> None:
    remember(history, wobbling(20, 30))
    assert model_page(model(), history, day(31).end).accuracy.falls == ()


def test_what_changed_between_versions() -> None:
    before = {"importances": {"wind": 8.0, "rain": 2.0}, "window_end": "2013-04-01T00:00", "params": {"depth": 3}}
    now = {"importances": {"wind": 5.0, "snow": 5.0}, "window_end": "2013-05-01T00:00", "params": {"depth": 4}}
    assert changes(before, now, "mae") == (
        "training data ends 2013-04-01 → 2013-05-01",
        "without rain",
        "now with snow",
        "weight of wind 80% → 50%",
        "depth: 3 → 4",
    )
    assert changes({}, now, "mae") == ()
