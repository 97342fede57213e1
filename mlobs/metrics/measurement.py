"""One measured metric with the rows behind it, and the kinds of metric that tell a detector how to judge it."""

from __future__ import annotations

from typing import Literal, NamedTuple

MetricKind = Literal["rate", "location", "scale", "count", "extreme"]
"""`rate`: count out of rows, in [0, 1]. `location`: mean, quantile, length. `scale`: a spread, >= 0.
`count`: non-negative, judged on the log scale. `extreme`: a minimum or maximum."""


class Measurement(NamedTuple):
    """A metric of one field (or, with field "", of the table) in one window; a tuple, since a year of a wide table has a million.

    Attributes:
        field: field name, "" for the table.
        metric: catalogue name.
        kind: how it varies.
        value: NaN when there are no rows to measure it on.
        rows: the rows behind it (the denominator of a rate).
        count: the numerator of a rate or a count's value, else None.
        segment: "" or `field=value`.
    """

    field: str
    metric: str
    kind: MetricKind
    value: float
    rows: int
    count: int | None = None  # type: ignore[assignment]  # shadows a method of tuples that nobody needs
    segment: str = ""
