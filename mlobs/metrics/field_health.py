"""The metrics of one field, from its state: rates, moments, quantiles, lengths, distinct values. Pure.

Rates are of all rows for `null_rate`, `nan_rate`, `inf_rate`; of the finite values for the other numeric rates; of the
rows that have a value for everything else. `Measurement.rows` is always that denominator.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime

import numpy as np

from mlobs.metrics.measurement import Measurement, MetricKind
from mlobs.metrics.spelling import garbled_rows, misspelt_rows
from mlobs.states import (
    BooleanState,
    CategoricalState,
    FieldState,
    NumericState,
    PairState,
    ResidualState,
    TimestampState,
)
from mlobs.states.categorical import FORMS, mean_length
from mlobs.states.numeric import quantiles_of

QUANTILES = {
    "p01": 0.01, "p05": 0.05, "p20": 0.2, "p25": 0.25, "p40": 0.4, "p50": 0.5,
    "p60": 0.6, "p75": 0.75, "p80": 0.8, "p95": 0.95, "p99": 0.99,
}  # fmt: skip
"""Quantile metrics and the probability each stands for."""

SHARES = 20
"""Shares are measured of the reference's most frequent levels, at most so many."""


def rate(field: str, metric: str, count: int, rows: int, segment: str = "") -> Measurement:
    """`count` out of `rows`, NaN when there are no rows."""
    return Measurement(field, metric, "rate", count / rows if rows else math.nan, rows, count, segment)


def measured_fields(
    fields: Mapping[str, FieldState],
    end: datetime | None = None,
    *,
    unshared: Container[str] = (),
    leave_out: Container[str] = (),
) -> list[Measurement]:
    """All metrics of all fields but those in `leave_out`; shares of categories are left out for the fields in `unshared`."""
    asked = {metric: q for metric, q in QUANTILES.items() if metric not in leave_out}
    numeric = {name: s for name, s in fields.items() if isinstance(s, NumericState)}
    found = quantiles_of(list(numeric.values()), np.array(list(asked.values()))).tolist()
    quantiles = {name: dict(zip(asked, row, strict=True)) for name, row in zip(numeric, found, strict=True)}
    result: list[Measurement] = []
    for name, state in fields.items():
        result += field_measurements(name, state, end, shares=name not in unshared, quantiles=quantiles.get(name))
    return [m for m in result if m.metric not in leave_out] if leave_out else result


def field_measurements(
    name: str,
    state: FieldState,
    end: datetime | None = None,
    *,
    shares: bool = True,
    quantiles: Mapping[str, float] | None = None,
) -> list[Measurement]:
    """All metrics of a field; `end` is the end of the window, from which the ages of timestamps are taken, and `quantiles`
    are those of a numeric field, where they are known.

    `mode_count` is the number of rows in the fullest of the grid's 600 bins: about those of the most frequent value.
    """
    result = [rate(name, "null_rate", state.nulls, state.rows)]
    if isinstance(state, NumericState):
        if quantiles is None:
            found = state.quantiles(np.array(list(QUANTILES.values())))
            quantiles = dict(zip(QUANTILES, found.tolist(), strict=True))
        result += _numeric(name, state, quantiles)
    elif isinstance(state, CategoricalState):
        result += _categorical(name, state, shares)
    elif isinstance(state, BooleanState):
        result.append(rate(name, "true_rate", state.trues, state.rows - state.nulls))
    elif isinstance(state, TimestampState):
        result += _timestamp(name, state, end)
    return result


def _numeric(name: str, s: NumericState, quantiles: Mapping[str, float]) -> Iterable[Measurement]:
    n = s.finite
    yield rate(name, "nan_rate", s.nans, s.rows)
    yield rate(name, "inf_rate", s.positive_inf + s.negative_inf, s.rows)
    yield rate(name, "zero_rate", s.zeros, n)
    yield rate(name, "negative_rate", s.negatives, n)
    if not math.isnan(s.grid.low):
        yield rate(name, "beyond_rate", s.below + s.above, n)
    location: MetricKind = "location"
    yield Measurement(name, "mean", location, s.mean if n else math.nan, n)
    yield Measurement(name, "std", "scale", math.sqrt(s.variance) if n else math.nan, n)
    yield Measurement(name, "sum", location, s.sum, n)
    yield Measurement(name, "min", "extreme", s.low, n)
    yield Measurement(name, "max", "extreme", s.high, n)
    for metric, value in quantiles.items():
        yield Measurement(name, metric, location, value, n)
    fullest = int(s.counts.max(initial=0))
    yield Measurement(name, "mode_count", "count", float(fullest) if n else math.nan, n, fullest)
    yield from _distinct(name, s.distinct, s.rows - s.nulls)


def _distinct(name: str, distinct: float, valued: int) -> Iterable[Measurement]:
    if math.isnan(distinct):
        return
    whole = round(distinct)
    yield Measurement(name, "distinct", "count", float(whole), valued, whole)
    yield rate(name, "unique_rate", whole, valued)


def _categorical(name: str, s: CategoricalState, shares: bool) -> Iterable[Measurement]:
    n = s.valued
    for metric, count in zip(FORMS, s.forms.tolist(), strict=True):
        yield rate(name, f"{metric}_rate", count, n)
    yield Measurement(name, "length_min", "extreme", float(s.length_min) if n else math.nan, n)
    yield Measurement(name, "length_mean", "location", mean_length(s), n)
    yield Measurement(name, "length_max", "extreme", float(s.length_max) if n else math.nan, n)
    yield from _distinct(name, s.distinct, n)
    if s.levels.names:
        # where the reference's rarer values weren't remembered, a value can't be told to be new
        yield rate(name, "unseen_rate", s.unseen_rows, n)
    if s.levels.shapes:
        yield rate(name, "new_shape_rate", s.new_shapes, n)
    for metric, count in (("misspelt_rate", misspelt_rows(s)), ("garbled_rate", garbled_rows(s))):
        if count is not None:
            yield rate(name, metric, count, n)
    if shares and s.levels.complete:
        for level, count in zip(s.levels.names[:SHARES], s.counts[:SHARES].tolist(), strict=True):
            yield rate(name, "share", count, n, f"{name}={level}")


def _timestamp(name: str, s: TimestampState, end: datetime | None) -> Iterable[Measurement]:
    n = s.rows - s.nulls
    yield rate(name, "future_rate", s.future, n)
    yield rate(name, "past_rate", s.past, n)
    yield rate(name, "unix_zero_rate", s.unix_zero, n)
    if end is not None:
        yield Measurement(name, "newest_age", "location", age(s.high, end), n)
        yield Measurement(name, "oldest_age", "location", age(s.low, end), n)


def between_fields(pairs: Iterable[PairState], relations: Iterable[ResidualState]) -> Iterable[Measurement]:
    """Metrics of twins, relations and roundings: `null_alone_rate`, `residual_mean` and `residual_std`, `finer_rate` and
    `coarser_rate`.

    Residuals are in units of the reference's residual standard deviation. The segment names the other field.
    """
    for p in pairs:
        yield rate(p.field, "null_alone_rate", p.alone, p.rows, f"twin={p.twin}")
    for r in relations:
        if r.relation.kind == "rounding":
            yield rate(r.relation.y, "finer_rate", r.finer, r.rows)
            if r.relation.further:
                yield rate(r.relation.y, "coarser_rate", r.coarser, r.rows)
            continue
        given = f"given={r.relation.x}"
        yield Measurement(r.relation.y, "residual_mean", "location", r.mean, r.rows, None, given)
        yield Measurement(r.relation.y, "residual_std", "scale", r.deviation, r.rows, None, given)


def age(newest: datetime | None, end: datetime) -> float:
    """Seconds from the newest instant to `end`, negative when it lies after; NaN without one."""
    return math.nan if newest is None else (end - newest.astimezone(UTC)).total_seconds()
