"""`FreshnessMonitor`: learns a table's cadence from its arrivals and names what is wrong: late, stopped, changed, stale. Pure.

The clock is an argument: it is judged also when nothing arrives.

The next arrival is predicted from what followed the arrivals at the same time of earlier weeks, else of earlier days, else
from the gaps alone. So hourly, daily, weekday-only, several-times-a-day and monthly deliveries need no declaration.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors.verdict import Range, Severity, Status, Verdict
from mlobs.windows import Window, instant

Floats = NDArray[np.float64]

MIN_ARRIVALS = 6
MIN_SPAN = timedelta(days=15)
"""History needed before a pause can be told from a weekend, for cadences shorter than `WEEKLY_BELOW`."""
WEEKLY_BELOW = 80.0
WEEK, DAY = 168.0, 24.0
MEMORY = 400
LONGEST_WAIT = 1.5
"""A delivery is late after at most so many of the expected gaps, however much arrivals stray."""
STOPPED = 2.0
"""After so many expected gaps deliveries aren't late but have stopped."""
CHANGE = 1.6
CHANGED_AFTER = 4
"""Gaps in a row that must agree before the cadence counts as changed."""
ACCEPTED_AFTER = 8
"""Gaps in a row after which the new cadence is the normal one."""


class Next(NamedTuple):
    """When the next arrival is due, in hours after the newest one, and after how many it is late; how it was learned."""

    due: float
    late: float
    learned_from: str


class FreshnessMonitor:
    """Learned cadence of one table.

    Args:
        table: its name in verdicts.
        zone: time zone in which deliveries are scheduled ("America/New_York"); by it the clock changes of summer time
            are followed. Without one, times are UTC and the hour's shift must fit into the learned slack.
    """

    def __init__(self, table: str = "", *, zone: str = "UTC") -> None:
        self.table = table
        self.zone = ZoneInfo(zone) if zone != "UTC" else UTC

    def judge(self, arrivals: Sequence[Any], now: Any) -> Verdict:
        """Whether the newest arrival is as recent as the past ones say, at `now`.

        Args:
            arrivals: instants at which data landed, or records with `at` and (if known) `newest`, the newest event time
                in the delivery; in any order. Later ones than `now` are left out; equal instants count once.
            now: the instant of judgement.

        Returns:
            A verdict of check `freshness`; its window runs from the newest arrival to `now`.

            - `hours_since_arrival`, severity `error`: deliveries are late (after at most 1.5 of the expected gaps) or have
              stopped (two expected deliveries are missing).
            - `hours_between_arrivals`, `warn`: the cadence has changed; after 8 gaps it is taken as normal.
            - `hours_since_event`, `error`: deliveries come, but the newest event in them doesn't get newer.

            `learning` with fewer than 6 arrivals or 15 days of an hourly to daily cadence; even then it fails when
            nothing came for three times the longest gap.
        """
        at = instant(now)
        events: dict[datetime, datetime | None] = {}
        for arrival in arrivals:
            time = instant(getattr(arrival, "at", arrival))
            newest = getattr(arrival, "newest", None)
            if time <= at:
                events[time] = max(filter(None, (events.get(time), newest and instant(newest))), default=None)
        known = sorted(events)[-MEMORY:]
        window = Window(known[-1] if known else at, max(at, (known[-1] if known else at) + timedelta(seconds=1)))
        age = _hours(at - known[-1]) if known else math.nan

        def verdict(
            status: Status, expected: Range, severity: Severity, reason: str, score: float = 0.0,
            metric: str = "hours_since_arrival", value: float = age,
        ) -> Verdict:  # fmt: skip
            return Verdict(
                status, self.table, "", metric, "", window, value, expected, severity, reason, "freshness", score
            )

        if len(known) < MIN_ARRIVALS:
            missing = MIN_ARRIVALS - len(known)
            reason = f"{_many(len(known), 'arrival')} seen; {missing} more are needed to learn the cadence"
            return verdict("learning", _learning(missing), "none", reason)
        hours = np.array([_hours(t - known[0]) for t in known])
        local = np.array([_hours(t.astimezone(self.zone).replace(tzinfo=UTC) - known[0]) for t in known])
        changed = _changed(hours)
        if changed is not None:
            before, after, gaps = changed
            if gaps < ACCEPTED_AFTER:
                said = f"deliveries come every {_span(after)} now, after every {_span(before)} before"
                limits = Range(before / CHANGE, before * CHANGE, before)
                score = 4.0 * abs(math.log(after / before)) / math.log(CHANGE)
                if age <= LONGEST_WAIT * max(before, after):
                    reason = f"the cadence has changed: {said} ({_many(gaps, 'gap')} in a row)"
                    return verdict("failed", limits, "warn", reason, score, "hours_between_arrivals", after)
            hours, local = hours[-gaps - 1 :], local[-gaps - 1 :]
        longest = float(np.diff(hours).max())
        typical = float(np.median(np.diff(hours)))
        ahead = _next(local, settled=changed is not None)
        if ahead is None:
            if age > 3 * longest:
                reason = (
                    f"nothing arrived for {_span(age)}, more than three times the longest gap so far ({_span(longest)})"
                )
                return verdict("failed", Range(0.0, 3 * longest, typical), "error", reason, age / longest)
            days = MIN_SPAN.days - int((hours[-1] - hours[0]) / 24)
            reason = f"{_many(len(known), 'arrival')} seen; {_many(days, 'day')} more are needed to know its weekends"
            return verdict("learning", _learning(max(days, 1)), "none", reason)
        limits = Range(0.0, ahead.late, min(max(ahead.due, 0.0), ahead.late))
        ago = f"the newest data arrived {_span(age)} ago"
        due = f"it was due after {_span(ahead.due)} and counts as late after {_span(ahead.late)} ({ahead.learned_from})"
        if age > ahead.late:
            stopped = age > STOPPED * max(ahead.due, typical)
            what = "deliveries have stopped" if stopped else "the delivery is late"
            return verdict("failed", limits, "error", f"{what}: {ago}; {due}", 4.0 * age / ahead.late)
        stale = self._stale(known, events, at)
        if stale is not None:
            value, limit, usual = stale
            reason = (
                f"data arrives, but its newest event is {_age(value)}; after a delivery it used to be {_age(usual)},"
                f" and {_age(limit)} is the limit"
            )
            bounds = Range(-math.inf, limit, min(usual, limit))
            return verdict(
                "failed", bounds, "error", reason, 4.0 * value / max(limit, 1e-9), "hours_since_event", value
            )
        return verdict(
            "passed", limits, "none", f"{ago}; the next is due {_span(ahead.due)} after it ({ahead.learned_from})"
        )

    def _stale(
        self, known: Sequence[datetime], events: dict[datetime, datetime | None], at: datetime
    ) -> tuple[float, float, float] | None:
        """(age of the newest event at the newest arrival, largest in order, usual one) when events stand still."""
        newest: datetime | None = None
        ages = []
        for time in known:
            event = events[time]
            newest = event if newest is None or (event is not None and event > newest) else newest
            if newest is not None:
                ages.append(_hours(time - newest))
        if len(ages) < MIN_ARRIVALS or newest is None:
            return None
        past = np.array(ages[:-1][-60:])
        usual = float(np.median(past))
        spread = float(np.median(np.abs(past - usual))) * 1.4826
        gap = float(np.median([_hours(b - a) for a, b in itertools.pairwise(known[-60:])]))
        limit = float(np.quantile(past, 0.98)) + max(3 * spread, 0.5 * gap)
        return (ages[-1], limit, usual) if ages[-1] > limit else None


def _next(hours: Floats, *, settled: bool) -> Next | None:
    """The next arrival after the last of `hours` (local, increasing but for clock changes); None with too little history."""
    gaps = np.diff(hours)
    typical = float(np.median(gaps))
    span = hours[-1] - hours[0]
    reach = min(3.0, 0.45 * typical)
    weekly = _followed(hours, WEEK, 8, reach)
    if len(weekly) >= 2 and typical < WEEKLY_BELOW:
        daily = _followed(hours, DAY, 21, reach)
        same = daily[np.abs(daily - np.median(weekly)) <= max(2.0, 0.25 * typical)] if len(daily) else daily
        return _due(np.concatenate([weekly, same]), f"what followed at this time in {len(weekly)} weeks")
    if typical >= WEEKLY_BELOW or settled:
        return _due(gaps[-12:], f"the newest {_many(min(len(gaps), 12), 'gap')}")
    if span < MIN_SPAN / timedelta(hours=1):
        return None
    return _due(gaps[-60:], f"the newest {_many(min(len(gaps), 60), 'gap')}")


def _due(waits: Floats, learned_from: str) -> Next:
    """Median wait, and the wait after which it is late: the longest seen and three robust scales, a tenth at least; at most
    `LONGEST_WAIT` times the median, except that a wait seen more than once is never late."""
    due = float(np.median(waits))
    spread = max(1.4826 * float(np.median(np.abs(waits - due))), 0.25 * float(waits.std()))
    slack = max(3 * spread, 0.12 * due, 0.05)
    second = float(np.sort(waits)[-2]) if len(waits) > 2 else due
    late = min(float(waits.max()) + slack, LONGEST_WAIT * due)
    return Next(due, max(late, second * 1.02, due * 1.05), learned_from)


def _followed(hours: Floats, period: float, times: int, reach: float) -> Floats:
    """Waits from the newest arrival's place in the day or week to the next one, in `times` periods before."""
    found = []
    for back in range(1, times + 1):
        place = hours[-1] - back * period
        if place < hours[0] - reach:
            break
        at = int(np.argmin(np.abs(hours[:-1] - place)))
        if abs(hours[at] - place) <= reach:
            # from the scheduled place, so that one arrival's own lateness doesn't move the next
            found.append(hours[at + 1] - place)
    return np.array(found)


def _changed(hours: Floats) -> tuple[float, float, int] | None:
    """(gap before, gap after, gaps since) where the newest gaps agree among themselves and not with those before."""
    gaps = np.diff(hours)
    if len(gaps) < CHANGED_AFTER + 8:
        return None
    best = None
    for count in range(CHANGED_AFTER, min(len(gaps) - 8, 3 * ACCEPTED_AFTER) + 1):
        after, before = gaps[-count:], gaps[:-count][-30:]
        new, old = float(np.median(after)), float(np.median(before))
        if old <= 0 or new <= 0 or max(new / old, old / new) < CHANGE:
            continue
        apart = (before > new * 1.3) if new < old else (before < new / 1.3)
        agree = (after < old / 1.3) if new < old else (after > old * 1.3)
        # a pattern with gaps of both sizes (weekends, two deliveries a day) has not changed
        if agree.all() and apart.mean() > 0.9:
            best = (old, new, count)
    return best


def _learning(missing: int) -> Range:
    return Range(-math.inf, math.inf, math.nan, missing)


def _hours(length: timedelta) -> float:
    return length.total_seconds() / 3600


def _span(hours: float) -> str:
    if abs(hours) < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if abs(hours) < 72 else f"{hours / 24:.1f} days"


def _age(hours: float) -> str:
    """Of an event: tables of what is planned hold events that lie ahead."""
    return f"{_span(hours)} old" if hours >= 0 else f"{_span(-hours)} ahead"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
