"""Rows that are hard to profile, as one Arrow table, for every engine."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa

from mlobs.metrics.profiles import Profile
from mlobs.states import NumericState

START = datetime(2024, 3, 1, tzinfo=UTC)
NAMES = ('with "quotes"', "with space", "with.dot", "select", '"; drop table x; --', "Ünïcode 列")


def hostile_rows(rows: int = 240) -> pa.Table:
    """Nulls, NaN, infinities, +-0, extremes, decimals, booleans, dates, times with and without zone, unicode, odd names."""
    rng = np.random.default_rng(11)
    at = np.arange(rows)
    special = [
        math.nan,
        math.inf,
        -math.inf,
        0.0,
        -0.0,
        5e-324,
        -1e308,
        1.7e308,
        1e-200,
        1e200,
        None,
        -1e-9,
        123456789.125,
    ]
    mixed = [special[i % 29] if i % 29 < len(special) else float(v) for i, v in enumerate(rng.normal(3, 2, rows))]
    words = [
        "JFK",
        "LGA",
        "Ñandú",
        "日本",
        "",
        "  ",
        "NULL",
        "n/a",
        "1e-3",
        "a@b.io",
        "2024-02-29 12:00:00",
        None,
        "ok'--",
    ]
    columns = {
        "at": pa.array([START + timedelta(hours=int(i) % 72) for i in at], pa.timestamp("us", "UTC")),
        "id": pa.array(np.where(at % 50 == 49, at - 1, at)),
        "mixed": pa.array(mixed, pa.float64()),
        "plain": pa.array(rng.lognormal(1, 1, rows)),
        "tight": pa.array(1e9 + rng.normal(0, 1e-3, rows)),
        "whole": pa.array(
            [None if i % 17 == 0 else int(v) for i, v in enumerate(rng.integers(-9, 9, rows))], pa.int64()
        ),
        "huge": pa.array([(-(2**63), 2**63 - 1, 0, 7)[i % 4] for i in at], pa.int64()),
        "money": pa.array([Decimal(int(v)) / 100 for v in rng.integers(-500, 5000, rows)], pa.decimal128(12, 2)),
        "flag": pa.array([(True, False, None)[i % 3] for i in at]),
        "day": pa.array([(START + timedelta(days=int(i % 5))).date() for i in at]),
        "seen": pa.array(
            [datetime(1970, 1, 1) if i % 40 == 0 else datetime(2024, 3, 1) + timedelta(hours=int(i)) for i in at]
        ),
        "word": pa.array([words[i % len(words)] for i in at]),
        "origin": pa.array([("JFK", "LGA", "EWR", None)[min(int(i) % 7, 3)] for i in at]),
        "nothing": pa.array([None] * rows, pa.float64()),
    }
    for i, name in enumerate(NAMES):
        columns[name] = (
            pa.array(rng.normal(i, 1, rows)) if i % 2 else pa.array([f"v{int(k)}" for k in rng.integers(0, 4, rows)])
        )
    return pa.table(columns)


COUNTS = (
    "rows", "nulls", "nans", "positive_inf", "negative_inf", "zeros", "negatives", "below", "above", "exact_distinct",
)  # fmt: skip


def differences(found: Profile, expected: Profile) -> list[str]:
    """What differs, one line each: counts must be equal, moments equal to rounding."""
    lines = [
        f"{name}: {getattr(found, name)!r} for {getattr(expected, name)!r}"
        for name in ("rows", "newest", "duplicate_keys")
        if getattr(found, name) != getattr(expected, name)
    ]
    if list(found.fields) != list(expected.fields) or set(found.segments) != set(expected.segments):
        lines.append(f"fields or segments: {list(found.fields)} {list(found.segments)}")
    for name, state in expected.fields.items():
        other = found.fields[name]
        if isinstance(state, NumericState) and isinstance(other, NumericState):
            lines += [f"{name}: {line}" for line in number_differences(other, state)]
        elif other != state:
            lines.append(f"{name}: {other!r} for {state!r}")
    for key, part in expected.segments.items():
        lines += [f"{key}: {line}" for line in differences(found.segments[key], part)]
    return lines


def number_differences(a: NumericState, b: NumericState) -> list[str]:
    lines = [f"{c} {getattr(a, c)} for {getattr(b, c)}" for c in COUNTS if getattr(a, c) != getattr(b, c)]
    for name in ("bins", "counts", "lows", "highs"):
        if getattr(a, name).tolist() != getattr(b, name).tolist():
            lines.append(f"{name} {getattr(a, name).tolist()} for {getattr(b, name).tolist()}")
    for name, tolerance in (("low", 0.0), ("high", 0.0), ("mean", 1e-12), ("m2", 1e-9)):
        x, y = getattr(a, name), getattr(b, name)
        scale = max(abs(y), math.sqrt(b.m2 / b.finite)) if b.finite and name == "mean" else abs(y)
        if not (x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= tolerance * scale):
            lines.append(f"{name} {x!r} for {y!r}")
    return lines
