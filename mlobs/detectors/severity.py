"""Is a failed metric broken data (`error`) or a change of level or mix that may be real (`warn`)? One table of rules."""

from __future__ import annotations

import math

from mlobs.detectors.verdict import Range, Severity

BROKEN_WHEN_HIGH = frozenset(
    {
        "nan_rate",
        "inf_rate",
        "empty_rate",
        "blank_rate",
        "null_keyword_rate",
        "duplicate_rate",
        "future_rate",
        "unix_zero_rate",
        "new_shape_rate",
        "garbled_rate",
    }
)
"""Metrics whose rise means that rows are broken, whatever the world does."""

TOLERATED = {
    "null_rate": 0.05,
    "null_alone_rate": 0.05,
    "misspelt_rate": 0.05,
    "repeat_rate": 0.05,
    "overlap_rate": 0.2,
}
"""Metrics whose rise by so much means broken data: models live with a few more missing or misspelt values, and rows may be alike
by chance, those of two days more easily (calm weather, a feed that is silent), while a repeated delivery repeats most of them."""


EXTREMES = frozenset({"min", "max", "length_min", "length_max"})
FAR = 2.0
"""What lies this many times as far out as the learned range reaches can't be a record of nature."""


def severity_of(metric: str, segment: str, value: float, expected: Range) -> Severity:
    """`error` for a data fault, `warn` for what may be a real change.

    Errors are: a rise of a metric in `BROKEN_WHEN_HIGH`; a share of missing or misspelt values or of repeated rows that rises by
    what `TOLERATED` says; lost rows (less than nine tenths of what is expected in the table, less than half in a segment or
    category); a field frozen to one value; a minimum, maximum or share of negative values far out of the learned range, which is
    any negative value where there was none. More rows, another mean, a new category, a tilted mix or a new record are warnings.

    >>> severity_of("negative_rate", "", 0.01, Range(0.0, 0.0, 0.0)), severity_of("mean", "", 9.0, Range(1.0, 5.0, 3.0))
    ('error', 'warn')
    >>> severity_of("negative_rate", "", 0.24, Range(0.0, 0.15, 0.0))  # dew points on a colder day than any before
    'warn'
    >>> severity_of("negative_rate", "", 0.5, Range(0.0, 0.03, 0.01))  # the sign of amounts is turned
    'error'
    """
    center = expected.expected
    if metric in BROKEN_WHEN_HIGH:
        broken = value > center
    elif metric == "negative_rate":
        broken = value - center > FAR * (expected.high - center)
    elif metric in TOLERATED:
        broken = value >= center + TOLERATED[metric]
    elif metric == "rows":
        broken = value < (0.5 if segment else 0.9) * center
    elif metric == "share":
        broken = value < 0.5 * center
    elif metric == "distinct":
        broken = value <= 1
    elif metric in EXTREMES:
        edge = expected.high if value > center else expected.low
        broken = math.isfinite(edge) and abs(value - center) > FAR * abs(edge - center)
    else:
        broken = False
    return "error" if broken else "warn"
