"""How bad an incident is: what it touches, how far out of range it is; one table, and what becomes of it over time."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from sqlalchemy import select

from mlobs.alerts.routes import SEVERITIES
from mlobs.detectors.verdict import Range, Verdict
from mlobs.history import History, tables
from mlobs.incidents import events, lineage_of, members, open_incidents, update
from mlobs.incidents.grouping import Key
from mlobs.incidents.records import Level, Member, Strand, Touched, beyond
from mlobs.incidents.severity import RULES, Reach, reach, severity
from mlobs.incidents.wording import failure_in_words
from mlobs.spec import Field, FieldHealth, Model, Table
from mlobs_tests.incidents.world import START, World, day, failure

TOUCHED = {
    "no model": Touched(tables=("weather",)),
    "a model": Touched(tables=("weather",), models=("delay",)),
    "several models": Touched(tables=("weather",), models=("delay", "other")),
    "several harmed": Touched(tables=("weather", "delay.performance"), models=("delay", "other"), held=("other",)),
}


def strand(kind: str, out: float, field: str = "wind") -> Strand:
    window = day(1)
    key = Key("weather", "field_health", field, "mean", "")
    return Strand(key, window.start, window.end, "error" if kind == "fault" else "warn", 5.0, "", out)


@pytest.mark.parametrize(
    ("kind", "out", "levels"),
    [
        ("change", 1.2, ("warn", "warn", "warn", "warn")),
        ("change", 2.0, ("warn", "warn", "error", "error")),
        ("fault", 1.2, ("warn", "error", "error", "error")),
        ("fault", math.inf, ("error", "error", "error", "critical")),
    ],
)
def test_what_it_touches_times_how_far_out_it_is(kind, out, levels):
    found = [strand(kind, out)]
    assert tuple(severity(found, TOUCHED[r], {}) for r in get_args(Reach)) == levels
    assert tuple(RULES[kind, out >= 2][r] for r in get_args(Reach)) == levels


@pytest.mark.parametrize(
    ("touched", "weights", "expected"),
    [
        (Touched(models=("delay",)), {}, "a model"),
        (Touched(models=("delay",)), {"delay": {"wind": 0.005, "rain": 0.995}}, "no model"),
        (Touched(models=("delay",)), {"delay": {"wind": 0.1, "rain": 0.9}}, "a model"),
        (Touched(models=("delay",)), {"delay": {"wind": 0.2, "rain": 0.8}}, "several models"),
        (Touched(models=("delay",)), {"delay": {"rain": 1.0}}, "a model"),
        (Touched(models=("delay", "other")), {"delay": {"wind": 0.0}, "other": {"wind": 0.1}}, "a model"),
        (Touched(models=("delay",), held=("delay",)), {"delay": {"wind": 0.0}}, "several models"),
        (Touched(tables=("delay.performance",), models=("delay",)), {}, "several models"),
        (Touched(models=("delay", "other"), held=("delay", "other")), {}, "several harmed"),
    ],
)
def test_a_field_counts_by_its_weight_in_the_models_made_from_it(touched, weights, expected):
    assert reach(strand("change", 3.0), touched, weights) == expected


@pytest.mark.parametrize(
    ("value", "expected", "out"),
    [
        (26.0, Range(10.0, 20.0, 16.0), 2.5),
        (4.0, Range(10.0, 20.0, 16.0), 2.0),
        (0.01, Range(0.0, 0.0, 0.0), math.inf),
        (9.0, Range(-math.inf, 8.0, 6.0), 1.5),
        (math.nan, Range(0.0, 1.0, 0.5), 1.0),
        (5.0, Range(-math.inf, math.inf, 0.0), 1.0),
    ],
)
def test_how_far_out_is_measured_in_distances_to_the_limit(value, expected, out):
    verdict = Verdict("failed", "weather", "wind", "mean", "", day(1), value, expected, "warn", "", "field_health")
    assert beyond(verdict) == out


def test_an_incident_is_as_bad_as_the_worst_of_its_failures():
    found = [strand("change", 1.1), strand("fault", 9.0, "rain"), strand("change", 5.0, "dewp")]
    assert severity(found, TOUCHED["several harmed"], {}) == "critical"


def test_routes_and_incidents_know_the_same_levels():
    assert get_args(Level) == SEVERITIES


def test_a_strand_remembers_how_far_out_its_worst_kind_went():
    window = day(1)
    key = Key("weather", "field_health", "wind", "mean", "")
    said = [("warn", 5, "", 1.5), ("warn", 4, "", 7), ("error", 3, "", 1.1)]
    mild, far, fault = (Member(key, window, *rest) for rest in said)
    assert (Strand.of(mild) + Strand.of(far)).beyond == 7
    assert (Strand.of(far) + Strand.of(fault)).beyond == 1.1


def test_an_incident_that_begins_to_touch_more_gets_worse_and_says_how(world: World):
    world.judge(1, failure("features", 1, severity="warn"))
    (found,) = world.update()
    assert (found.severity, found.touched.held) == ("warn", ())
    world.judge(2, failure("features", 2, severity="warn", value=9.0))
    (found,) = world.update()
    assert found.severity == "error"
    world.judge(3, failure("features", 3, severity="warn"), failure("delay.performance", 3, value=9.0))
    world.update()
    world.judge(4, failure("features", 4, severity="warn"), failure("other.performance", 4, value=9.0))
    (found,) = world.update()
    assert found.severity == "critical"
    assert [(e.kind, e.note) for e in events(world.history, 1)] == [
        ("opened", ""),
        ("worse", "its severity rose from warn to error"),
        ("worse", "it has reached the accuracy of delay"),
        ("worse", "it has reached the accuracy of other; its severity rose from error to critical"),
    ]


def test_a_field_that_no_model_gives_weight_to_is_worth_a_look_at_most(history: History):
    for model in ("delay", "other"):
        info = {"importances": {"wind": 0.0, "rain": 3.0}}
        history.save_version(model, "1", START, info)
        history.record_promotion(model, "1", START, "ann", "first")
    world = World(history)
    world.judge(1, failure("features", 1, severity="warn", value=9.0))
    world.update()
    assert open_incidents(history)[0].severity == "warn"
    world.judge(2, failure("features", 2, "rain", severity="warn", value=9.0))
    world.update()
    assert open_incidents(history)[0].severity == "error"


@pytest.mark.parametrize(("blocking", "held", "level"), [(True, ("delay",), "error"), (False, (), "warn")])
def test_what_is_held_is_what_the_declaration_stops(history: History, blocking, held, level):
    def table(name: str) -> Table:
        return Table(name, key="id", time="at", fields=[Field("wind", "numeric")])

    made_from = {role: table(role) for role in ("features", "predictions", "actuals")}
    monitors = (FieldHealth(blocking=blocking),)
    model = Model("delay", "regression", **made_from, prediction="p", actual="a", monitors=monitors)
    info = {"importances": {"wind": 0.0, "rain": 3.0}}
    history.save_version("delay", "1", START, info)
    world = World(history)
    world.judge(1, failure("features", 1), tables=["features"])
    update(history, lineage_of([model]), world.now, models=[model])
    (found,) = open_incidents(history)
    assert (found.touched.held, found.severity) == (held, level)


@pytest.mark.parametrize(
    ("detector", "field", "metric", "segment", "said"),
    [
        ("field_health", "wind", "null_rate", "", "missing values in wind"),
        ("field_health", "wind", "null_alone_rate", "twin=gust", "missing values in wind where gust is known"),
        ("field_health", "wind", "residual_std", "given=gust", "wind no longer fits gust"),
        ("field_health", "wind", "p95", "", "unusual 95th percentile of wind"),
        ("field_health", "wind", "p60", "", "unusual 60th percentile of wind"),
        ("field_health", "wind", "mean_trend", "", "slow drift of wind"),
        ("field_health", "code", "length_max", "", "unusual maximum length of code"),
        ("field_health", "", "repeat_rate", "", "repeated rows"),
        ("drift", "wind", "psi", "", "shifted distribution of wind"),
        ("drift", "wind", "jensen_shannon", "", "shifted distribution of wind"),
        ("mix", "origin", "share", "origin=JFK", "unusual share of origin=JFK"),
        ("mix", "", "rows", "origin=JFK", "unusual number of rows where origin=JFK"),
        ("volume", "", "rows", "", "unusual number of rows"),
        ("freshness", "", "hours_since_arrival", "", "late data"),
        ("schema", "wind", "column_removed", "", "column wind is gone"),
        ("accuracy", "", "skill", "", "accuracy"),
        ("accuracy", "", "estimated_mae", "", "estimated accuracy"),
    ],
)
def test_titles_say_what_fails_in_plain_words(detector, field, metric, segment, said):
    assert failure_in_words(Key("weather", detector, field, metric, segment)) == said


def test_an_incident_of_an_older_mlobs_goes_on(world: World):
    world.judge(1, failure("weather", 1, severity="warn"))
    world.update()
    with world.history.database.write("incidents") as connection:
        (kept,) = connection.execute(select(tables.incidents.c.strands)).scalars()
        connection.execute(tables.incidents.update().values(strands=[plain[:-1] for plain in kept]))
        connection.execute(tables.incident_members.update().values(beyond=None))
    world.judge(2, failure("weather", 2, severity="warn", value=9.0))
    world.update()
    (found,) = open_incidents(world.history)
    assert (found.window, [s.beyond for s in found.strands], found.severity) == (day(1).hull(day(2)), [17.0], "error")
    assert [m.beyond for m in members(world.history, found.id)] == [1.0, 17.0]
