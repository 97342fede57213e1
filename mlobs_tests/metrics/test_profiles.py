"""What a profile says: every metric of every kind on literal rows, with its denominator; tidy frames."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlobs.metrics.field_health import QUANTILES
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, profile

DAY = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made() -> Profile:
    learned = pa.table(
        {
            "at": [DAY], "id": [1], "x": [1.0], "w": ["a"], "b": [True],
            "t": pa.array([datetime(2024, 2, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        }
    )  # fmt: skip
    rows = pa.table(
        {
            "at": pa.array([DAY.replace(hour=h) for h in (0, 6, 12, 18, 23)], pa.timestamp("us", "UTC")),
            "id": [1, 2, 2, 3, 4],
            "x": pa.array([0.0, -1.0, 4.0, math.nan, None], pa.float64()),
            "w": ["a", "", "bb", None, "a"],
            "b": [True, False, None, True, True],
            "t": pa.array(
                [datetime(1970, 1, 1), datetime(1850, 1, 1), datetime(2025, 1, 1), None, datetime(2024, 3, 1, 12)],
                pa.timestamp("us"),
            ).cast(pa.timestamp("us", "UTC")),
        }
    )
    return profile(
        rows, reference=Reference.learn(learned, time="at", key="id", segments="w"), window=("2024-03-01", "2024-03-02")
    )


EXPECTED = {
    "x": {
        "null_rate": (0.2, 5), "nan_rate": (0.2, 5), "inf_rate": (0.0, 5), "zero_rate": (1 / 3, 3), "negative_rate": (1 / 3, 3),
        "beyond_rate": (1.0, 3), "mean": (1.0, 3), "std": (math.sqrt(14 / 3), 3), "sum": (3.0, 3), "min": (-1.0, 3), "max": (4.0, 3),
        "p50": (0.0, 3), "distinct": (4.0, 4), "unique_rate": (1.0, 4), "mode_count": (1.0, 3),
    },
    "w": {
        "null_rate": (0.2, 5), "empty_rate": (0.25, 4), "blank_rate": (0.0, 4), "null_keyword_rate": (0.0, 4),
        "number_like_rate": (0.0, 4), "uuid_like_rate": (0.0, 4), "email_like_rate": (0.0, 4), "timestamp_like_rate": (0.0, 4),
        "length_min": (0.0, 4), "length_mean": (1.0, 4), "length_max": (2.0, 4), "distinct": (3.0, 4), "unique_rate": (0.75, 4),
        "unseen_rate": (0.5, 4), "new_shape_rate": (0.25, 4), "garbled_rate": (0.0, 4),
    },
    "b": {"null_rate": (0.2, 5), "true_rate": (0.75, 4)},
    "t": {
        "null_rate": (0.2, 5), "future_rate": (0.25, 4), "past_rate": (0.25, 4), "unix_zero_rate": (0.25, 4),
        "newest_age": ((datetime(2024, 3, 2) - datetime(2025, 1, 1)).total_seconds(), 4),
        "oldest_age": ((datetime(2024, 3, 2) - datetime(1850, 1, 1)).total_seconds(), 4),
    },
    "": {"rows": (5.0, 5), "duplicate_rate": (0.2, 5), "repeat_rate": (0.0, 5), "newest_age": (3600.0, 5)},
}  # fmt: skip


@pytest.mark.parametrize("field", EXPECTED)
def test_every_metric_on_literal_rows(made: Profile, field: str) -> None:
    found = {m.metric: (m.value, m.rows) for m in made.measurements() if m.field == field and not m.segment}
    assert set(found) - set(EXPECTED[field]) <= set(QUANTILES)
    for metric, (value, rows) in EXPECTED[field].items():
        assert found[metric] == (pytest.approx(value, abs=1e-12), rows), metric


def test_rates_are_their_count_out_of_their_rows(made: Profile) -> None:
    for m in made.measurements():
        if m.kind == "rate":
            assert m.count is not None
            assert m.value == pytest.approx(m.count / m.rows), m.metric
            assert 0 <= m.value <= 1
        if m.kind == "scale":
            assert m.value >= 0


def test_segments_are_measured(made: Profile) -> None:
    found = {(m.segment, m.metric): m.value for m in made.measurements() if m.segment and not m.field}
    assert found["w=a", "rows"] == 2
    assert found["w=a", "share"] == pytest.approx(0.4)
    assert found["w is null", "rows"] == 1
    assert found["w=", "rows"] == 1


def test_the_tidy_frame(made: Profile) -> None:
    frame = made.metrics()
    assert list(frame.columns) == ["field", "metric", "value", "rows", "segment"]
    whole = frame[(frame.field == "x") & (frame.segment == "")].set_index("metric").value
    assert whole["mean"] == pytest.approx(1.0)
    part = frame[(frame.field == "x") & (frame.segment == "w=a")].set_index("metric").value
    assert part["null_rate"] == 0.5
    assert not frame.duplicated(["field", "metric", "segment"]).any()


def test_measurements_are_a_fresh_list_each_time(made: Profile) -> None:
    first = made.measurements()
    first.clear()
    assert made.measurements()


def test_shares_of_known_levels_that_are_no_segments() -> None:
    made = Reference.learn(pa.table({"w": ["a", "a", "b", None]})).profile
    found = {m.segment: (m.value, m.rows, m.count) for m in made.measurements() if m.metric == "share"}
    assert found == {"w=a": (pytest.approx(2 / 3), 3, 2), "w=b": (pytest.approx(1 / 3), 3, 1)}


def test_an_empty_profile_measures_nothing() -> None:
    assert [(m.metric, m.value) for m in Profile.empty().measurements()] == [("rows", 0.0)]
    nothing = Reference.learn(pa.table({"x": pa.array([], pa.float64()), "w": pa.array([], pa.string())})).profile
    assert all(math.isnan(m.value) for m in nothing.measurements() if m.field and m.metric not in ("distinct", "sum"))


def test_rows_that_repeat_an_earlier_value_are_the_complement_of_unique_ones(made: Profile) -> None:
    frame = made.metrics().set_index(["field", "segment", "metric"]).value
    assert frame["w", "", "duplicate_rate"] == pytest.approx(1 - frame["w", "", "unique_rate"]) == pytest.approx(0.25)
    assert not {m.metric for m in made.measurements() if m.field == "w"} & {"duplicate_rate"}
