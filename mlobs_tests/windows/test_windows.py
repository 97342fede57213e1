"""Windows: half open, UTC, read from whatever pandas reads; hostile input gets one clear error."""

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs.errors import WindowError
from mlobs.windows import DAY, Window, instant

HOUR = timedelta(hours=1)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2013-04-01", datetime(2013, 4, 1, tzinfo=UTC)),
        ("2013-04-01T02:00+02:00", datetime(2013, 4, 1, tzinfo=UTC)),
        (datetime(2013, 4, 1), datetime(2013, 4, 1, tzinfo=UTC)),
        (datetime(2013, 4, 1, 2, tzinfo=timezone(2 * HOUR)), datetime(2013, 4, 1, tzinfo=UTC)),
        (pd.Timestamp("2013-04-01 00:00:00.000000999"), datetime(2013, 4, 1, tzinfo=UTC)),
    ],
)
def test_instants_are_aware_utc_datetimes(value, expected):
    assert instant(value) == expected
    assert instant(value).tzinfo is UTC


@pytest.mark.parametrize("value", ["no date", None, pd.NaT, float("nan"), "9999999-01-01", [1]])
def test_what_is_no_instant_is_refused_by_name(value):
    with pytest.raises(WindowError, match="no instant"):
        instant(value)


def test_the_end_belongs_to_the_next_window():
    day = Window("2013-04-01", "2013-04-02")
    assert "2013-04-01" in day
    assert "2013-04-01 23:59:59.999999" in day
    assert "2013-04-02" not in day


@pytest.mark.parametrize(("start", "end"), [("2013-04-01", "2013-04-01"), ("2013-04-02", "2013-04-01")])
def test_empty_and_reversed_windows_are_refused(start, end):
    with pytest.raises(WindowError, match="its end must be after its start"):
        Window(start, end)


@pytest.mark.parametrize("value", ["2013-04-01", ("2013-04-01",), 5, None])
def test_only_a_window_or_a_pair_is_a_window(value):
    with pytest.raises(WindowError, match="is no window"):
        Window.of(value)


@pytest.mark.parametrize(
    ("window", "key"),
    [
        (Window("2013-04-01", "2013-04-02"), "2013-04-01"),
        (Window("2013-04-01 05:00", "2013-04-01 06:00"), "2013-04-01-05:00"),
        (Window("2013-04-01 05:30", "2013-04-01 06:00"), "2013-04-01T05:30:00+00:00"),
    ],
)
def test_keys_are_those_of_dagster_partitions(window, key):
    assert window.key == key


def test_days_around_a_change_of_clocks_are_24_hours():
    assert Window.day("2013-03-10T12:00-05:00").length == DAY


def test_split_covers_the_window_and_the_last_part_may_be_shorter():
    parts = list(Window("2013-04-01", "2013-04-03 12:00").split(DAY))
    assert [p.key for p in parts] == ["2013-04-01", "2013-04-02", "2013-04-03"]
    assert parts[-1].length == timedelta(hours=12)


def test_a_step_of_nothing_is_refused():
    with pytest.raises(WindowError, match="positive step"):
        list(Window("2013-04-01", "2013-04-03").split(timedelta(0)))


@given(MOMENTS, st.integers(1, 10**6), MOMENTS, st.integers(1, 10**6))
def test_overlap_is_symmetric_and_the_hull_covers_both(first, one, second, two):
    a, b = Window(first, first + one * HOUR), Window(second, second + two * HOUR)
    assert a.overlaps(b) == b.overlaps(a)
    hull = a.hull(b)
    assert hull == b.hull(a)
    assert all(w.start in hull and w.end <= hull.end for w in (a, b))
