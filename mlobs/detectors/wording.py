"""The one sentence of a verdict, for a person on call at 3 a.m.: what, how unusual, since when, what was normal."""

from __future__ import annotations

import math
from typing import NamedTuple

from mlobs.detectors.verdict import Range

PLAIN = {
    "rows": "number of rows",
    "p50": "median",
    "std": "standard deviation",
    "min": "minimum",
    "max": "maximum",
    "p05": "5th percentile",
    "p95": "95th percentile",
    "distinct": "number of distinct values",
    "mode_count": "number of rows with about the same value",
    "oldest_age": "seconds from the first time to the window's end",
}

PHRASES = {
    "residual_mean": "distance of {field} from what {other} would give",
    "residual_std": "spread of {field} around what {other} would give",
    "null_alone_rate": "share of rows where {field} is missing and {other} is not",
    "finer_rate": "share of values of {field} with more decimals than it used to have",
    "coarser_rate": "share of values of {field} that are rounded further than they need be",
    "unseen_rate": "share of values of {field} that are new",
    "new_shape_rate": "share of values of {field} of a new form",
    "misspelt_rate": "share of values of {field} that are new and all but a known one",
    "garbled_rate": "share of values of {field} that were read in the wrong character set",
    "null_keyword_rate": "share of values of {field} that are words for nothing (NA, null)",
    "overlap_rate": "share of rows that the delivery before had, too",
    "repeat_rate": "share of rows that repeat another row",
    "duplicate_rate": "share of rows whose key another row has",
}
"""Metrics whose name says nothing at 3 a.m.; {other} is the field, or the fields, that their segment names."""

DIGITS, MOST_DIGITS = 4, 15
"""Significant digits of numbers in sentences, and where numbers end (double precision)."""


class Facts(NamedTuple):
    """What is known of one judged metric; `alarm` is how many windows ago it last failed, 0 for never."""

    field: str
    metric: str
    segment: str
    value: float
    events: float
    rows: float
    expected: Range
    windows: int
    rows_seen: int
    never_seen: bool
    extreme: bool = False
    streak: int = 0
    alarm: int = 0


def sentence(status: str, facts: Facts) -> str:
    """One sentence without a full stop.

    >>> sentence("failed", Facts("age", "negative_rate", "", 3 / 512, 3, 512, Range(0, 0, 0), 41, 18204, True))
    'negative rate of age is 0.59% (3 of 512 rows); in 41 windows and 18,204 rows it was never above 0'
    """
    what, now = _what(facts), _value(facts)
    again = f"; the {_ordinal(facts.streak + 1)} window in a row" if status == "failed" and facts.streak else ""
    if status == "learning":
        need = facts.expected.learning
        return f"{what} is {now}; {_windows(need)} more of history needed to judge it ({facts.windows} seen)"
    if facts.never_seen:
        if status == "failed":
            never = "never above 0" if facts.expected.expected == 0 else "always 100%"
            if facts.alarm and not facts.streak:
                never = f"{never}, but for an alarm {_windows(facts.alarm)} ago"
            return f"{what} is {now}; in {_windows(facts.windows)} and {facts.rows_seen:,} rows it was {never}{again}"
        return f"{what} is {now}, as in all {_windows(facts.windows)} before"
    if facts.extreme:
        above = math.isfinite(facts.expected.high)
        edge = number(facts.expected.high if above else facts.expected.low, facts.metric)
        if status == "failed":
            said = f"{'above' if above else 'below'} {edge}, well beyond anything in {_windows(facts.windows)}"
            return f"{what} is {now}, {said} (usually about {number(facts.expected.expected, facts.metric)}){again}"
        return f"{what} is {now}, not {'above' if above else 'below'} {edge}"
    expected = facts.expected
    if status == "failed" and _on_edge(facts.value, expected):
        side = "more" if facts.value > expected.expected else "less"
        usual = number(expected.expected, facts.metric)
        return f"{what} is {now}, {side} than chance allows for after {_windows(facts.windows)} (usually about {usual}){again}"
    digits = _telling(facts.metric, facts.value, expected.low, expected.high)
    now = _value(facts, digits)
    bounds = f"{number(expected.low, facts.metric, digits)} to {number(expected.high, facts.metric, digits)}"
    if status == "failed" and expected.low == expected.high:
        always = number(expected.expected, facts.metric, digits)
        return f"{what} is {now}; in {_windows(facts.windows)} it was always {always}{again}"
    if status == "failed":
        side = "above" if facts.value > expected.high else "below"
        usual = number(expected.expected, facts.metric, digits)
        told = f"{side} the expected {bounds} (usually about {usual}) that {_windows(facts.windows)} of history give"
        return f"{what} is {now}, {told}{again}"
    return f"{what} is {now}, within {bounds}"


def trend(failed: bool, field: str, metric: str, week: float, expected: Range) -> str:
    """The sentence of a slow drift."""
    what = f"{PLAIN.get(metric, metric.replace('_', ' '))} of {field}"
    digits = _telling(metric, week, expected.expected, expected.low, expected.high)
    now, before = number(week, metric, digits), number(expected.expected, metric, digits)
    means = f"{now} over the newest 7 windows, {before} over the 28 before"
    if failed:
        bounds = f"{number(expected.low, metric, digits)} to {number(expected.high, metric, digits)}"
        return f"{what} has been drifting: {means}, outside of the {bounds} that it usually keeps to"
    return f"{what} doesn't drift: {means}"


def number(value: float, metric: str = "", digits: int = DIGITS) -> str:
    """A value with `digits` significant digits at most; shares and rates in percent, with two fewer.

    >>> number(1234.5678), number(0.0012, "null_rate"), number(1.000012, digits=6)
    ('1,235', '0.12%', '1.00001')
    """
    if not math.isfinite(value):
        return str(value)
    if metric.endswith("_rate") or metric == "share":
        return f"{100 * value:.{digits - 2}g}%" if abs(value) < 0.1 else f"{100 * value:.{digits - 3}f}%"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    most = 10.0**digits
    return f"{value:,.{digits}g}" if abs(value) < most else f"{value:,.0f}"


def _on_edge(value: float, expected: Range) -> bool:
    """Whether a value that failed lies at the very edge of its range: a count that is judged by its chance, not by a range."""
    edge = expected.high if value > expected.expected else expected.low
    return expected.low < expected.high and math.isclose(value, edge, rel_tol=1e-9)


def _telling(metric: str, *values: float) -> int:
    """Significant digits with which values that differ read differently, as far as numbers go."""
    different = len(set(values))
    enough = (n for n in range(DIGITS, MOST_DIGITS) if len({number(v, metric, n) for v in values}) == different)
    return next(enough, MOST_DIGITS)


def _what(facts: Facts) -> str:
    if facts.metric in PHRASES:
        return PHRASES[facts.metric].format(field=facts.field, other=_listed(facts.segment.partition("=")[2]))
    name = PLAIN.get(facts.metric, facts.metric.replace("_", " "))
    where = f" of {facts.segment}" if facts.segment else (f" of {facts.field}" if facts.field else "")
    return f"{name}{where}"


def _listed(names: str) -> str:
    """ "a, b, c" as "a, b and c"."""
    *first, last = names.split(", ")
    return f"{', '.join(first)} and {last}" if first else last


def _value(facts: Facts, digits: int = DIGITS) -> str:
    shown = number(facts.value, facts.metric, digits)
    if facts.metric.startswith("residual_"):
        return f"{shown} of its usual errors"
    if shown.endswith("%") and math.isfinite(facts.events) and math.isfinite(facts.rows):
        return f"{shown} ({int(facts.events):,} of {int(facts.rows):,} rows)"
    return shown


def _ordinal(count: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(count, f"{count}th")


def _windows(count: int) -> str:
    return f"{count} window" + ("" if count == 1 else "s")
