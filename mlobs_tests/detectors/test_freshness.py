"""Freshness on simulated cadences with jitter: false alarms, stops, changes of cadence, clock changes, standing events."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from mlobs.detectors import FreshnessMonitor

HOUR = timedelta(hours=1)
START = datetime(2013, 1, 7, tzinfo=UTC)


def arrivals(cadence: str, days: int, seed: int, zone: str = "UTC") -> list[datetime]:
    """Deliveries with the jitter of real pipelines: minutes mostly, sometimes an hour or two."""
    rng = np.random.default_rng(seed)
    slots = []
    for n in range(days):
        local = (START + timedelta(days=n)).replace(tzinfo=ZoneInfo(zone))
        match cadence:
            case "hourly":
                slots += [local + h * HOUR for h in range(24)]
            case "daily":
                slots.append(local + 6 * HOUR)
            case "weekdays":
                slots += [local + 6 * HOUR] if local.weekday() < 5 else []
            case "twice a day":
                slots += [local + 6 * HOUR, local + 15 * HOUR]
            case "weekly":
                slots += [local + 6 * HOUR] if local.weekday() == 0 else []
            case "monthly":
                slots += [local + 6 * HOUR] if local.day == 1 else []
    scale = 0.05 if cadence == "hourly" else 0.4
    late = rng.gamma(1.2, scale, len(slots))
    return [slot.astimezone(UTC) + timedelta(hours=float(wait)) for slot, wait in zip(slots, late, strict=True)]


def usual_gap(cadence: str) -> float:
    return {"hourly": 1, "daily": 24, "weekdays": 72, "twice a day": 15, "weekly": 168, "monthly": 31 * 24}[cadence]


def alarms(times: list[datetime], first: datetime, last: datetime, step: timedelta, **options) -> list[str]:
    monitor = FreshnessMonitor("t", **options)
    told, was, at = [], False, first
    while at < last:
        verdict = monitor.judge([t for t in times if t <= at], at)
        if verdict.failed and not was:
            told.append(f"{at} {verdict.reason}")
        was, at = verdict.failed, at + step
    return told


@pytest.mark.parametrize("cadence", ["hourly", "daily", "weekdays", "twice a day", "weekly", "monthly"])
def test_under_one_false_alarm_in_sixty_days(cadence):
    long = {"monthly": 500, "weekly": 200}.get(cadence, 90)
    told = []
    for seed in range(3):
        times = arrivals(cadence, long, seed)
        told += alarms(
            times, START + timedelta(days=30), START + timedelta(days=long), timedelta(hours=7 if long < 100 else 31)
        )
    assert len(told) <= 3 * (long - 30) / 60 * 0.5, told


@pytest.mark.parametrize("cadence", ["hourly", "daily", "weekdays", "twice a day", "weekly", "monthly"])
def test_a_stop_is_found_within_one_and_a_half_gaps(cadence):
    long = {"monthly": 420, "weekly": 150}.get(cadence, 60)
    times = arrivals(cadence, long, 5)
    last = times[-1]
    judged = FreshnessMonitor("t").judge(times, last + timedelta(hours=1.5 * usual_gap(cadence) + 0.3))
    assert (judged.status, judged.severity, judged.metric) == ("failed", "error", "hours_since_arrival")
    assert FreshnessMonitor("t").judge(times, last + timedelta(hours=0.5)).status == "passed"
    gone = FreshnessMonitor("t").judge(times, last + timedelta(hours=2.6 * usual_gap(cadence)))
    assert "stopped" in gone.reason


def test_a_weekend_is_no_delay_for_a_weekday_table():
    times = arrivals("weekdays", 61, 1)
    friday = max(t for t in times if t.weekday() == 4)
    assert FreshnessMonitor("t").judge([t for t in times if t <= friday], friday + 60 * HOUR).status == "passed"
    thursday = friday - timedelta(days=1)
    known = [t for t in times if t.date() <= thursday.date()]
    assert FreshnessMonitor("t").judge(known, known[-1] + 36 * HOUR).failed


def test_one_missed_delivery_of_two_a_day_is_late():
    times = arrivals("twice a day", 40, 2)
    morning = max(t for t in times if t.hour < 12)
    known = [t for t in times if t <= morning]
    assert FreshnessMonitor("t").judge(known, morning + 14 * HOUR).failed
    assert FreshnessMonitor("t").judge(known, morning + 9 * HOUR).status == "passed"


@pytest.mark.parametrize(
    ("before", "after", "days", "words"), [("daily", "twice", 3, "every 12"), ("twice", "daily", 6, "every 24")]
)
def test_a_changed_cadence_is_named_then_accepted(before, after, days, words):
    def slots(kind: str, day: int) -> list[datetime]:
        start = START + timedelta(days=day)
        return [start + 6 * HOUR, start + 18 * HOUR] if kind == "twice" else [start + 6 * HOUR]

    rng = np.random.default_rng(0)

    def at(kind: str, first: int, last: int) -> list[datetime]:
        return [t + timedelta(minutes=float(rng.gamma(2, 5))) for day in range(first, last) for t in slots(kind, day)]

    old, soon, long = at(before, 0, 40), at(after, 40, 40 + days), at(after, 40 + days, 70)
    verdict = FreshnessMonitor("t").judge([*old, *soon], soon[-1] + HOUR)
    assert (verdict.status, verdict.severity, verdict.metric) == ("failed", "warn", "hours_between_arrivals")
    assert words in verdict.reason.replace("11.9", "12").replace("12.0", "12").replace("24.0", "24").replace(
        "23.9", "24"
    )
    times = [*old, *soon, *long]
    assert FreshnessMonitor("t").judge(times, times[-1] + HOUR).status == "passed"


def test_summer_time_is_followed_in_the_table_s_zone():
    zone = "America/New_York"
    times = arrivals("daily", 100, 3, zone)
    assert alarms(times, START + timedelta(days=30), START + timedelta(days=99), 5 * HOUR, zone=zone) == []


@dataclass
class Landed:
    at: datetime
    newest: datetime | None


def test_deliveries_without_new_events_are_stale():
    times = arrivals("daily", 40, 4)
    landed = [Landed(t, t - 8 * HOUR) for t in times]
    assert FreshnessMonitor("t").judge(landed, times[-1] + HOUR).status == "passed"
    landed[-2:] = [Landed(t, landed[-3].newest) for t in times[-2:]]
    verdict = FreshnessMonitor("t").judge(landed, times[-1] + HOUR)
    assert (verdict.status, verdict.metric) == ("failed", "hours_since_event")


def test_events_of_a_table_of_what_is_planned_lie_ahead():
    times = [START + timedelta(days=n) for n in range(40)]
    landed = [Landed(t, t + 18 * HOUR) for t in times]
    landed[-1] = Landed(times[-1], landed[-2].newest)
    verdict = FreshnessMonitor("t").judge(landed, times[-1] + HOUR)
    assert verdict.reason.startswith(
        "data arrives, but its newest event is 6.0 h old; after a delivery it used to be 18.0 h ahead, and"
    )


def test_little_history_is_learning_but_a_long_silence_is_not():
    times = arrivals("daily", 8, 6)
    assert FreshnessMonitor("t").judge(times, times[-1] + HOUR).status == "learning"
    assert FreshnessMonitor("t").judge(times, times[-1] + 90 * HOUR).failed
    assert FreshnessMonitor("t").judge([], START).status == "learning"
    assert FreshnessMonitor("t").judge([times[0]] * 9, times[0]).expected.learning > 0


def test_order_repeats_and_later_arrivals_do_not_matter():
    times = arrivals("daily", 40, 7)
    now = times[-3] + HOUR
    shuffled = [times[i] for i in np.random.default_rng(0).permutation(len(times))]
    assert FreshnessMonitor("t").judge(times[:-2], now) == FreshnessMonitor("t").judge([*shuffled, *shuffled], now)
