"""Which metrics are judged, to which family of the false-alarm budget each belongs, and its check. Plain tables."""

from __future__ import annotations

UNJUDGED = frozenset(
    {"sum", "p01", "p20", "p25", "p40", "p60", "p75", "p80", "p99", "unique_rate", "newest_age", "beyond_rate"}
)
"""Metrics left to charts. Each says again what judged ones say (`sum` is rows times mean, `unique_rate` is distinct over
rows, these quantiles lie between others), so judging them would spend budget and detect nothing. `newest_age` is the
business of freshness; `beyond_rate` measures against the frozen reference, while minima and maxima are judged against what
was learned."""

FAMILIES = ("rate", "location", "spread", "distinct", "ties", "volume", "mix", "relation", "never seen", "trend")
RATE, LOCATION, SPREAD, DISTINCT, TIES, VOLUME, MIX, RELATION, NOVELTY, TREND = range(10)

SHARE_OF_BUDGET = (0.13, 0.15, 0.13, 0.08, 0.04, 0.13, 0.14, 0.13, 0.0, 0.07)
"""How the budget is split among families; never-seen events have their own threshold and are paid for by all. Numbers of distinct
values and of rows alike (ties) stray otherwise than spreads do: an unruly schedule of the one would widen the limits of all."""

TABLE_RATES = frozenset({"duplicate_rate", "repeat_rate", "overlap_rate"})


def family_of(field: str, metric: str, segment: str, kind: str) -> int:
    """Index into `FAMILIES`."""
    if metric == "rows":
        return MIX if segment else VOLUME
    if metric == "share":
        return MIX
    if metric.startswith(("residual_", "relation_")):
        return RELATION
    if metric in TABLE_RATES:
        return VOLUME
    if metric == "mode_count":
        return TIES
    if metric == "distinct":
        return DISTINCT
    if kind == "rate" and metric != "unique_rate":
        return RATE
    if kind == "location":
        return LOCATION
    return SPREAD


def check_of(field: str, metric: str, segment: str) -> str:
    """The check a metric belongs to: `volume` for the table's rows, `mix` for shares and segments, else `field_health`.

    >>> check_of("", "rows", ""), check_of("", "rows", "origin=JFK"), check_of("age", "mean", "")
    ('volume', 'mix', 'field_health')
    """
    if metric == "rows" and not segment:
        return "volume"
    if metric in ("share", "rows"):
        return "mix"
    return "field_health"


GIVEN_ROWS = frozenset({"distinct", "mode_count"})
"""Counts that are judged given the number of rows: of distinct values, and of rows with about one same value."""

ONE_SIDED = frozenset(
    {
        "residual_std", "null_alone_rate", "overlap_rate", "repeat_rate", "duplicate_rate", "finer_rate", "coarser_rate",
        "mode_count",
    }
)  # fmt: skip
"""Metrics of which only a rise is bad."""

RESIDUALS = frozenset({"residual_mean", "residual_std"})
"""Levels and spreads that are judged also where most windows have one same value: an exact relation leaves no residual. Other
such metrics jump by chance (the spread of a field that is constant on most days; a quantile of few values), and what is
impossible in them shows in minima and maxima."""

TRENDED = frozenset({"mean", "length_mean", "true_rate", "null_rate"})
"""Metrics whose slow drift is watched, under the name `<metric>_trend`."""

VALUES = {"p05": 6.0, "p50": 6.0, "p95": 6.0, "std": 4.0, "distinct": 2.5, "mean": 1.5}
"""Distinct values of a field in a usual window below which a metric isn't judged: a quantile of few values jumps from one to
the next by chance, and where one value is common the spread is 0 by chance, as the number of two values is 1. Their mean,
rates and shares say what happens in such fields; a constant's minimum and maximum do."""

OPEN_ENDED = frozenset({"unseen_rate", "new_shape_rate", "misspelt_rate"})
"""Events that are no news in a field whose values mostly occur once in a window (names, free text): the reference knows its own
rows' values, so that history has none of them, and windows after it have many."""

SLACK = {"repeat_rate": 0.3, "overlap_rate": 0.3}
"""Shares of rows alike up to which it is chance: in quiet hours of weather, in bookings of a group, in rows drawn from a
population not much larger than two deliveries. Repeats only have it where a key tells rows apart; without one none are chance."""
