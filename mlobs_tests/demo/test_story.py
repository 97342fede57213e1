"""Each scripted fault is in the first delivery of its day, and gone from the next."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from mlobs.demo import flights
from mlobs.demo.story import FAULTS, HALF, NEGATIVE, NEGATIVE_ROWS, STALE, Fault, Source, fault_on
from mlobs.windows import DAY, Window, instant

NAMES = {fault.kind: fault for fault in FAULTS}


def delivered(fault: Fault, late: timedelta = timedelta()) -> tuple[Window, object]:
    day = Window(instant(fault.first), instant(fault.first) + DAY)
    now: datetime = day.start + timedelta(hours=6) + late
    return day, Source(lambda: now).features(day)


def test_the_three_faults_of_the_mission_are_scripted() -> None:
    assert {fault.kind: fault.days for fault in FAULTS} == {NEGATIVE: 1, STALE: 1, HALF: 7}


def test_a_handful_of_negative_ages() -> None:
    _, rows = delivered(NAMES[NEGATIVE])
    assert (rows["minutes_since_weather_observation"] < 0).sum() == NEGATIVE_ROWS


def test_yesterday_is_delivered_again() -> None:
    day, rows = delivered(NAMES[STALE])
    assert (rows["scheduled_at"] < day.start).all()
    assert list(rows["flight_id"]) == list(flights.rows_of(flights.load().features, day.shifted(-DAY))["flight_id"])


def test_half_of_the_afternoon_is_missing_and_nothing_else() -> None:
    day, rows = delivered(NAMES[HALF])
    whole = flights.rows_of(flights.load().features, day)
    before, after = whole["part_of_day"].value_counts(), rows["part_of_day"].value_counts()
    assert after["afternoon"] == (before["afternoon"] + 1) // 2
    assert after["morning"] == before["morning"]
    assert after["evening"] == before["evening"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.kind)
def test_the_next_day_the_delivery_is_right(fault: Fault) -> None:
    day, rows = delivered(fault, late=DAY)
    assert rows.equals(flights.rows_of(flights.load().features, day))


def test_days_around_a_fault_have_none() -> None:
    for fault in FAULTS:
        assert fault_on(fault.first - timedelta(days=1)) is None
        assert fault_on(fault.first + timedelta(days=fault.days)) is None
