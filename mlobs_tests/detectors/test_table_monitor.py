"""`TableMonitor` on hostile histories: gaps, repeats, disorder, missing metrics, hostile numbers; and what feedback does."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlobs import Reference, profile
from mlobs.detectors import TableMonitor, expected_range
from mlobs.detectors.feedback import Feedback, holidays_of
from mlobs.errors import SpecError
from mlobs.metrics.measurement import Measurement
from mlobs.windows import Window

START = Window("2013-01-01", "2013-01-02")


@dataclass
class Measured:
    """A profile that holds measurements and nothing else."""

    rows: int
    found: list[Measurement] = field(default_factory=list)

    def measurements(self) -> list[Measurement]:
        return self.found


def day(n: int) -> Window:
    return START.shifted(timedelta(days=n))


def batch(rows: int = 500, mean: float = 10.0, nulls: int = 0, std: float = 2.0, **more: float) -> Measured:
    found = [
        Measurement("age", "mean", "location", mean, rows),
        Measurement("age", "std", "scale", std, rows),
        Measurement("age", "null_rate", "rate", nulls / rows if rows else np.nan, rows, nulls),
        Measurement("", "rows", "count", float(rows), rows, rows),
        *(Measurement(name, "mean", "location", value, rows) for name, value in more.items()),
    ]
    return Measured(rows, found)


def history(days: int, seed: int = 0) -> list[Measured]:
    rng = np.random.default_rng(seed)
    return [
        batch(
            int(rng.poisson(500)),
            float(10 + rng.normal() * 0.1),
            int(rng.binomial(500, 0.02)),
            float(2 + rng.normal() * 0.06),
        )
        for _ in range(days)
    ]


def taught(days: int, seed: int = 0, **options) -> TableMonitor:
    monitor = TableMonitor("t", **options)
    for n, one in enumerate(history(days, seed)):
        monitor.observe(one, day(n))
    return monitor


def failed(monitor: TableMonitor, profile: Measured, n: int) -> set[tuple[str, str]]:
    return {(v.field, v.metric) for v in monitor.judge(profile, day(n)) if v.failed}


def test_judging_learns_nothing_and_repeats_itself():
    monitor = taught(40)
    assert monitor.judge(batch(mean=20), day(40)) == monitor.judge(batch(mean=20), day(40))
    assert monitor.judge(batch(), day(40)) == taught(40).judge(batch(), day(40))


def test_the_window_under_test_and_later_ones_are_not_used():
    monitor = taught(60)
    assert monitor.judge(batch(mean=20), day(40)) == taught(40).judge(batch(mean=20), day(40))


def test_order_of_observation_does_not_matter():
    shuffled = TableMonitor("t")
    days = history(40)
    for n in np.random.default_rng(1).permutation(40):
        shuffled.observe(days[n], day(int(n)))
    verdicts, expected = shuffled.judge(batch(mean=20), day(40)), taught(40).judge(batch(mean=20), day(40))
    assert sorted(map(str, verdicts)) == sorted(map(str, expected))


def test_a_window_observed_again_is_replaced():
    monitor = taught(40)
    monitor.observe(batch(mean=1e6), day(20))
    assert ("age", "mean") in failed(monitor, batch(mean=20), 40)
    monitor.observe(history(40)[20], day(20))
    assert monitor.judge(batch(mean=20), day(40)) == taught(40).judge(batch(mean=20), day(40))


def test_gaps_are_no_windows_of_nothing():
    monitor = TableMonitor("t")
    for n, one in enumerate(history(60)):
        if n % 3:
            monitor.observe(one, day(n))
    assert failed(monitor, batch(nulls=10), 60) == set()
    assert ("age", "mean") in failed(monitor, batch(mean=20), 60)


def test_one_window_only_is_learning():
    assert {v.status for v in taught(1).judge(batch(), day(1)) if v.metric in ("mean", "std")} == {"learning"}
    assert taught(0).judge(batch(), day(0))[0].status == "learning"


def test_a_metric_that_is_never_measured_has_no_verdict_and_harms_none():
    monitor = TableMonitor("t")
    for n, one in enumerate(history(30)):
        monitor.observe(Measured(one.rows, [*one.found, Measurement("x", "mean", "location", np.nan, 0)]), day(n))
    verdicts = monitor.judge(
        Measured(500, [*batch(mean=20).found, Measurement("x", "mean", "location", np.nan, 0)]), day(30)
    )
    assert [v for v in verdicts if v.field == "x"] == []
    assert ("age", "mean") in {(v.field, v.metric) for v in verdicts if v.failed}


def test_a_metric_that_appears_midway_learns_from_then_on():
    monitor = TableMonitor("t")
    rng = np.random.default_rng(3)
    for n, one in enumerate(history(45)):
        monitor.observe(
            one if n < 30 else Measured(one.rows, [*one.found, *batch(x=5 + rng.normal()).found[-1:]]), day(n)
        )
        if n == 33:
            (verdict,) = [v for v in monitor.judge(batch(x=500.0), day(34)) if v.field == "x"]
            assert (verdict.status, verdict.expected.learning) == ("learning", 4)
    assert ("x", "mean") in failed(monitor, batch(x=500.0), 45)


def test_a_schema_change_midway_leaves_the_rest_alone():
    monitor = TableMonitor("t")
    rng = np.random.default_rng(4)
    for n, one in enumerate(history(70)):
        name = "old" if n < 35 else "new"
        monitor.observe(
            Measured(one.rows, [*one.found, Measurement(name, "mean", "location", 5 + rng.normal(), one.rows)]), day(n)
        )
    assert failed(monitor, batch(nulls=10, new=5.0), 70) == set()
    assert failed(monitor, batch(nulls=10, new=50.0), 70) == {("new", "mean")}
    # a column that comes back is judged by what it was
    assert failed(monitor, batch(nulls=10, old=50.0), 70) == {("old", "mean")}


def test_a_delivery_without_rows_is_told_by_that_alone():
    rows = pd.DataFrame({"age": range(100), "name": list("abcde") * 20})
    reference = Reference.learn(rows)
    monitor = TableMonitor("t")
    for n in range(30):
        monitor.observe(profile(rows, reference=reference), day(n))
    (verdict,) = monitor.judge(profile(rows[:0], reference=reference), day(30))
    assert (verdict.status, verdict.metric, verdict.detector, verdict.severity) == ("failed", "rows", "volume", "error")


def test_a_lasting_change_is_accepted_and_one_storm_widens_nothing():
    monitor = taught(60)
    after = []
    for n in range(60, 75):
        after.append(("age", "mean") in failed(monitor, batch(mean=12.0 + 0.05 * (n % 3)), n))
        monitor.observe(batch(mean=12.0 + 0.05 * (n % 3)), day(n))
    assert after[0]
    assert not any(after[7:])
    storm = taught(60, seed=2)
    before = next(v.expected for v in storm.judge(batch(), day(60)) if v.metric == "mean")
    storm.observe(batch(mean=20.0), day(60))
    later = next(v.expected for v in storm.judge(batch(), day(61)) if v.metric == "mean")
    assert later.high - later.low < 1.3 * (before.high - before.low)


def test_a_failed_window_that_was_stored_is_an_alert_even_if_unjudged_here():
    stored = [v for v in taught(40).judge(batch(nulls=400), day(40)) if v.failed]
    monitor = taught(40)
    monitor.observe(batch(nulls=400), day(40), stored)
    assert ("age", "null_rate") in failed(monitor, batch(nulls=400), 41)


def test_expected_is_learned_mute_is_not_and_both_are_reversible():
    def told(*feedback):
        monitor = taught(60, feedback=feedback)
        for n in range(60, 63):
            monitor.observe(batch(mean=12.0), day(n))
        return monitor

    scope = {"table": "t", "field": "age", "metric": "mean"}
    fine = Feedback("expected", scope, day(60).start, day(62).end)
    assert failed(told(fine), batch(mean=12.0), 63) == set()
    mute = Feedback("mute", scope, day(60).start, day(62).end)
    assert ("age", "mean") in failed(told(mute), batch(mean=12.0), 63)
    (verdict,) = [v for v in told(mute).judge(batch(mean=12.0), day(62)) if v.metric == "mean"]
    assert (verdict.status, verdict.severity) == ("passed", "none")
    assert "mute" in verdict.reason
    elsewhere = Feedback("mute", {**scope, "table": "other"}, day(60).start, None)
    assert ("age", "mean") in failed(taught(60, feedback=[elsewhere]), batch(mean=12.0), 60)
    back = taught(60, feedback=[mute])
    assert ("age", "mean") not in failed(back, batch(mean=12.0), 60)
    back.told(())
    assert ("age", "mean") in failed(back, batch(mean=12.0), 60)


def test_a_holiday_lets_levels_off_but_not_impossible_values():
    holiday = taught(60, holidays=[date(2013, 3, 2)])
    assert day(60).start.date() == date(2013, 3, 2)
    with_negative = batch(rows=100, mean=12.0)
    with_negative.found.append(Measurement("age", "negative_rate", "rate", 0.01, 100, 1))
    for n, one in enumerate(history(60)):
        one.found.append(Measurement("age", "negative_rate", "rate", 0.0, one.rows, 0))
        holiday.observe(one, day(n))
    assert failed(holiday, with_negative, 60) == {("age", "negative_rate")}


def test_holidays_come_from_the_package():
    assert date(2013, 7, 4) in holidays_of("US", [2013])
    with pytest.raises(SpecError, match="doesn't know"):
        holidays_of("XX", [2013])


def test_a_slow_drift_is_named_within_three_weeks():
    monitor = TableMonitor("t")
    rng = np.random.default_rng(5)
    told = []
    for n in range(111):
        mean = 10 + rng.normal() * 0.1 + max(0, n - 90) * 0.04
        verdicts = monitor.judge(batch(mean=float(mean)), day(n))
        told += [n for v in verdicts if v.failed and v.field == "age" and n >= 90]
        monitor.observe(batch(mean=float(mean)), day(n))
    assert told


def test_more_budget_never_means_narrower_strictness():
    ranges = [
        next(v.expected for v in taught(60, false_alarms_per_month=b).judge(batch(), day(60)) if v.metric == "mean")
        for b in (0.25, 1.0, 4.0)
    ]
    widths = [r.high - r.low for r in ranges]
    assert widths[0] > widths[1] > widths[2]
    with pytest.raises(SpecError, match="false_alarms_per_month"):
        TableMonitor("t", false_alarms_per_month=0)


def test_hours_have_no_weekday():
    monitor = TableMonitor("t", cadence=timedelta(hours=1))
    for n, one in enumerate(history(80)):
        monitor.observe(one, Window(START.start + timedelta(hours=n), START.start + timedelta(hours=n + 1)))
    at = Window(START.start + timedelta(hours=80), START.start + timedelta(hours=81))
    assert "mean" in {v.metric for v in monitor.judge(batch(mean=20), at) if v.failed}


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(FINITE, max_size=40),
    start=st.integers(0, 20),
    with_rows=st.booleans(),
)
def test_no_finite_input_makes_a_range_raise_or_miss_its_centre(values, start, with_rows):
    times = [day(start + n).start for n in range(len(values))]
    rows = [float(10 + n) for n in range(len(values))] if with_rows else None
    found = expected_range(values, times, day(start + len(values)).start, rows)
    if not found.learning:
        assert found.low <= found.expected <= found.high


NUMBER = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-100, 100), st.just(0.0))


@settings(max_examples=40, deadline=None)
@given(
    windows=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 1000), NUMBER, NUMBER, st.integers(0, 5)), min_size=1
    ),
    judged=st.tuples(st.integers(0, 1000), NUMBER, NUMBER, st.integers(0, 5)),
)
def test_no_history_makes_a_monitor_raise_or_contradict_itself(windows, judged):
    def profile(rows: int, mean: float, high: float, nulls: int) -> Measured:
        one = batch(rows, mean, min(nulls, rows), abs(high))
        one.found.append(Measurement("age", "max", "extreme", high, rows))
        one.found.append(Measurement("age", "min", "extreme", min(high, mean), rows))
        one.found.append(Measurement("age", "distinct", "count", float(min(rows, 7)), rows, min(rows, 7)))
        for field_, metric, segment in (
            ("kind", "unseen_rate", ""), ("kind", "share", "kind=a"), ("", "repeat_rate", ""), ("", "duplicate_rate", ""),
            ("age", "finer_rate", ""), ("age", "zero_rate", ""),
        ):  # fmt: skip
            count = min(nulls, rows)
            one.found.append(
                Measurement(field_, metric, "rate", count / rows if rows else np.nan, rows, count, segment)
            )
        return one

    monitor = TableMonitor("t")
    for n, rows, mean, high, nulls in windows:
        monitor.observe(profile(rows, mean, high, nulls), day(n))
    for verdict in monitor.judge(profile(*judged), day(31)):
        assert verdict.status in ("passed", "failed", "learning")
        assert verdict.reason
        if verdict.expected.learning or np.isnan(verdict.expected.expected):
            continue
        assert verdict.expected.low <= verdict.expected.expected <= verdict.expected.high
        if verdict.status == "passed" and np.isfinite(verdict.value):
            assert verdict.value in verdict.expected
