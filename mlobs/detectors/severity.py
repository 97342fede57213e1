"""Is a failed metric broken data (`error`) or a change of level or mix that may be real (`warn`)? One table of rules."""

from __future__ import annotations

from mlobs.detectors.verdict import Severity

BROKEN_WHEN_HIGH = frozenset(
    {
        "negative_rate",
        "nan_rate",
        "inf_rate",
        "empty_rate",
        "blank_rate",
        "null_keyword_rate",
        "duplicate_rate",
        "repeat_rate",
        "overlap_rate",
        "future_rate",
        "unix_zero_rate",
        "new_shape_rate",
    }
)
"""Metrics whose rise means that rows are broken, whatever the world does."""

MISSING = frozenset({"null_rate", "null_alone_rate"})
SURGE = 0.05
"""Missing values are broken data when their share rises by this much; models live with a few more of them."""


def severity_of(metric: str, segment: str, value: float, expected: float) -> Severity:
    """`error` for a data fault, `warn` for what may be a real change.

    A rise of a metric in `BROKEN_WHEN_HIGH` is an error, above all when it was never seen. So are lost rows: fewer rows
    than expected in the table, or a segment or category with less than half of its expected share or rows; and a share
    of missing values that rises by `SURGE`. A few more missing values, more rows, another mean, a new category or a
    tilted mix are warnings.
    """
    if metric in MISSING:
        return "error" if value >= expected + SURGE else "warn"
    if metric in BROKEN_WHEN_HIGH:
        return "error" if value > expected else "warn"
    if metric == "rows":
        return "error" if value < expected * (0.5 if segment else 1.0) + (0.0 if segment else 1e-12) else "warn"
    if metric == "share":
        return "error" if value < 0.5 * expected else "warn"
    return "warn"
