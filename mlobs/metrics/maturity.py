"""How long labels take, learned from how they came in before. Pure; touches only windows and numbers.

An observation is the coverage (share of predictions with a label) that a window had at some instant.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

from mlobs.windows import Window

Observation = tuple[Window, datetime, float]
"""(window, instant at which it became known, coverage in [0, 1])."""

SHARE = 0.95
"""Labels count as complete when this share of those that came in the end is there."""

LEAST, NEWEST, IN = 8, 30, 0.9
"""Settled windows that are needed, newest ones that count, and the share of them that must have been complete by then."""


def coverage_by_age(observations: Sequence[Observation], now: datetime) -> dict[Window, list[tuple[timedelta, float]]]:
    """Window -> (age, share of its final coverage) in order of age, of the windows that have settled by `now`.

    A window has settled when nothing came for as long again as its labels had taken so far. Age counts from its end.

    >>> from mlobs.windows import instant
    >>> w = Window.day("2024-01-01")
    >>> seen = [(w, instant("2024-01-02"), 0.2), (w, instant("2024-01-03"), 0.8)]
    >>> coverage_by_age(seen, instant("2024-01-03"))
    {}
    >>> coverage_by_age(seen, instant("2024-01-09"))[w]
    [(datetime.timedelta(0), 0.25), (datetime.timedelta(days=1), 1.0)]
    """
    by_window: dict[Window, list[tuple[datetime, float]]] = {}
    for window, at, coverage in observations:
        by_window.setdefault(window, []).append((at, coverage))
    settled = {}
    for window, seen in sorted(by_window.items()):
        seen.sort()  # what was looked at again and found the same says nothing new
        seen = [seen[0], *(b for a, b in itertools.pairwise(seen) if b[1] != a[1])]
        last, final = seen[-1]
        took = max(last - window.end, timedelta(0))
        if final > 0 and now - window.end >= 2 * took + window.length:
            settled[window] = [(at - window.end, min(1.0, coverage / final)) for at, coverage in seen]
    return settled


def learned_maturity(observations: Sequence[Observation], now: datetime) -> timedelta | None:
    """The age by which 95% of the labels of nine windows in ten were there; None while fewer than 8 windows have settled."""
    settled = coverage_by_age(observations, now)
    ages = []
    for window in sorted(settled)[-NEWEST:]:
        ages.append(next(age for age, share in settled[window] if share >= SHARE))
    if len(ages) < LEAST:
        return None
    return max(sorted(ages)[min(len(ages) - 1, int(IN * len(ages)))], timedelta(0))
