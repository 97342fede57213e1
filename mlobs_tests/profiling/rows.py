"""Rows that are hard to profile, as one Arrow table, for every engine."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa

from mlobs.metrics.profiles import Profile
from mlobs.states import CategoricalState, NumericState

START = datetime(2024, 3, 1, tzinfo=UTC)
NAMES = ('with "quotes"', "with space", "with.dot", "select", '"; drop table x; --', "Ünïcode 列")


def hostile_rows(rows: int = 240) -> pa.Table:
    """Nulls, NaN, infinities, +-0, extremes, decimals, booleans, dates, times with and without zone, unicode, odd names."""
    rng = np.random.default_rng(11)
    at = np.arange(rows)
    special = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -1e308, 1.7e308, 1e-200, 1e200, None, -1e-9, 123456789.125]
    mixed = [special[i % 29] if i % 29 < len(special) else float(v) for i, v in enumerate(rng.normal(3, 2, rows))]
    words = ["JFK", "LGA", "Ñandú", "日本", "", "  ", "NULL", "n/a", "1e-3", "a@b.io", "2024-02-29 12:00:00", None, "ok'--"]
    columns = {
        "at": pa.array([START + timedelta(hours=int(i) % 72) for i in at], pa.timestamp("us", "UTC")),
        "id": pa.array(np.where(at % 50 == 49, at - 1, at)),
        "mixed": pa.array(mixed, pa.float64()),
        "plain": pa.array(rng.lognormal(1, 1, rows)),
        "tight": pa.array(1e9 + rng.normal(0, 1e-3, rows)),
        "whole": pa.array([None if i % 17 == 0 else int(v) for i, v in enumerate(rng.integers(-9, 9, rows))], pa.int64()),
        "huge": pa.array([(-(2**63), 2**63 - 1, 0, 7)[i % 4] for i in at], pa.int64()),
        "money": pa.array([Decimal(int(v)) / 100 for v in rng.integers(-500, 5000, rows)], pa.decimal128(12, 2)),
        "flag": pa.array([(True, False, None)[i % 3] for i in at]),
        "day": pa.array([(START + timedelta(days=int(i % 5))).date() for i in at]),
        "seen": pa.array([datetime(1970, 1, 1) if i % 40 == 0 else datetime(2024, 3, 1) + timedelta(hours=int(i)) for i in at]),
        "word": pa.array([words[i % len(words)] for i in at]),
        "origin": pa.array([("JFK", "LGA", "EWR", None)[min(int(i) % 7, 3)] for i in at]),
        "nothing": pa.array([None] * rows, pa.float64()),
    }
    for i, name in enumerate(NAMES):
        columns[name] = pa.array(rng.normal(i, 1, rows)) if i % 2 else pa.array([f"v{int(k)}" for k in rng.integers(0, 4, rows)])
    return pa.table(columns)


def assert_alike(found: Profile, expected: Profile) -> None:
    """Counts are equal, moments to rounding, distinct counts the same where both are exact."""
    assert found.rows == expected.rows
    assert found.newest == expected.newest
    assert found.duplicate_keys == expected.duplicate_keys
    assert list(found.fields) == list(expected.fields)
    for name, state in expected.fields.items():
        other = found.fields[name]
        if isinstance(state, NumericState):
            assert isinstance(other, NumericState)
            assert_alike_numbers(name, other, state)
        elif isinstance(state, CategoricalState):
            assert other == state, name
        else:
            assert other == state, name
    assert set(found.segments) == set(expected.segments)
    for key, part in expected.segments.items():
        assert found.segments[key].rows == part.rows
        for name, state in part.fields.items():
            assert found.distribution(name)[1].tolist() == expected.distribution(name)[1].tolist(), (key, name, state.kind)


def assert_alike_numbers(name: str, a: NumericState, b: NumericState) -> None:
    counts = ("rows", "nulls", "nans", "positive_inf", "negative_inf", "zeros", "negatives", "below", "above", "exact_distinct")
    assert [getattr(a, c) for c in counts] == [getattr(b, c) for c in counts], name
    assert a.bins.tolist() == b.bins.tolist(), name
    assert a.counts.tolist() == b.counts.tolist(), name
    assert a.lows.tolist() == b.lows.tolist(), name
    assert a.highs.tolist() == b.highs.tolist(), name
    assert (math.isnan(a.low) and math.isnan(b.low)) or (a.low, a.high) == (b.low, b.high), name
    assert a.mean == b.mean or abs(a.mean - b.mean) <= 1e-12 * abs(b.mean), name
    assert a.m2 == b.m2 or abs(a.m2 - b.m2) <= 1e-9 * abs(b.m2), name
