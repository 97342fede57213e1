"""What the detectors promise, on literal tables of measurements; touches nothing but `mlobs.detectors`."""

from datetime import timedelta

import numpy as np
import pytest

from mlobs.detectors import FreshnessMonitor, TableMonitor, expected_range, history_svg, schema_verdicts
from mlobs.metrics.measurement import Measurement
from mlobs_tests.detectors.measured import Measured, day


def window_of(rows: int, negatives: int = 0, mean: float = 10.0, jfk: int | None = None) -> Measured:
    found = [
        Measurement("age", "negative_rate", "rate", negatives / rows, rows, negatives),
        Measurement("age", "mean", "location", mean, rows),
        Measurement("", "rows", "count", rows, rows, rows),
    ]
    if jfk is not None:
        found.append(Measurement("", "share", "rate", jfk / rows, rows, jfk, "origin=JFK"))
    return Measured(rows, found)


def taught(days: int, rows: int = 400) -> TableMonitor:
    monitor = TableMonitor("flights")
    rng = np.random.default_rng(7)
    for n in range(days):
        monitor.observe(
            window_of(rows + int(rng.integers(-9, 9)), mean=10 + rng.normal(), jfk=200 + int(rng.integers(-9, 9))),
            day(n),
        )
    return monitor


def of(verdicts, metric, segment=""):
    (found,) = [v for v in verdicts if v.metric == metric and v.segment == segment]
    return found


def test_one_negative_row_in_a_never_negative_field_fails():
    verdict = of(taught(30).judge(window_of(400, negatives=1), day(30)), "negative_rate")
    assert (verdict.status, verdict.severity, verdict.detector) == ("failed", "error", "field_health")
    assert "1 of 400 rows" in verdict.reason
    assert "30 windows" in verdict.reason


def test_twenty_clean_rows_are_too_few_to_judge_a_negative():
    monitor = TableMonitor("flights")
    monitor.observe(window_of(20), day(0))
    verdict = of(monitor.judge(window_of(200, negatives=1), day(1)), "negative_rate")
    assert verdict.status == "learning"
    assert verdict.expected.learning > 0


def test_continuous_metrics_say_how_many_windows_are_missing():
    verdict = of(taught(3).judge(window_of(400), day(3)), "mean")
    assert (verdict.status, verdict.expected.learning > 0) == ("learning", True)


def test_a_window_cut_in_half_fails_volume_and_a_lost_segment_fails_mix():
    verdicts = taught(40).judge(window_of(200, jfk=0), day(40))
    assert (of(verdicts, "rows").status, of(verdicts, "rows").severity, of(verdicts, "rows").detector) == (
        "failed",
        "error",
        "volume",
    )
    assert (of(verdicts, "share", "origin=JFK").status, of(verdicts, "share", "origin=JFK").detector) == (
        "failed",
        "mix",
    )


def test_a_segment_that_is_not_measured_any_more_is_lost():
    verdict = of(taught(40).judge(window_of(400), day(40)), "share", "origin=JFK")
    assert (verdict.status, verdict.value, verdict.severity) == ("failed", 0.0, "error")


def test_a_clean_window_passes_everywhere():
    assert {v.status for v in taught(40).judge(window_of(400, jfk=200), day(40))} == {"passed"}


def test_a_constant_metric_that_moves_fails_once_it_was_constant_for_long():
    monitor = TableMonitor()
    for n in range(60):
        if n == 20:
            moved = of(monitor.judge(window_of(400, mean=5.5), day(n)), "mean")
            assert (moved.status, moved.expected.learning) == ("learning", 23)
        monitor.observe(window_of(400, mean=5.0), day(n))
    assert of(monitor.judge(window_of(400, mean=5.5), day(60)), "mean").status == "failed"


def test_expected_range_of_a_constant_and_of_too_little():
    days = [f"2013-01-{d:02}" for d in range(1, 21)]
    assert expected_range([3.0] * 20, days, "2013-01-21").expected == 3.0
    assert expected_range([3.0] * 3, days[:3], "2013-01-21").learning > 0


def test_schema_names_what_changed():
    verdicts = schema_verdicts({"a": "INTEGER", "b": "DOUBLE"}, {"a": "VARCHAR", "c": "DATE"}, "t", day(0))
    assert [(v.field, v.metric, v.severity) for v in verdicts] == [
        ("a", "column_retyped", "error"), ("b", "column_removed", "error"), ("c", "column_added", "warn"),
    ]  # fmt: skip
    assert schema_verdicts({"a": "INTEGER"}, {"a": "integer"}, "t", day(0))[0].status == "passed"


@pytest.mark.parametrize(("hours", "status"), [(20, "passed"), (30.5, "failed"), (60, "failed")])
def test_freshness_of_a_daily_table(hours, status):
    arrivals = [day(n).start for n in range(20)]
    assert FreshnessMonitor("t").judge(arrivals, arrivals[-1] + timedelta(hours=hours)).status == status


def test_picture_marks_failed_windows():
    svg = history_svg([day(n).start for n in range(5)], [1, 2, 1, np.nan, 9], [0] * 5, [3] * 5, [False] * 4 + [True])
    assert svg.startswith("<svg")
    assert svg.count('r="3.5"') == 1
