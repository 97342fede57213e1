"""How near quantiles from stored bins lie to the exact ones, on rows of every shape, and which grids are learned for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlobs.metrics.field_health import QUANTILES
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, profile

ROWS = 200_000
EVERY = np.arange(1, 100) / 100
REPORTED = np.array(list(QUANTILES.values()))

Draw = Callable[[Any, Any, Any], Any]

SMOOTH: dict[str, Draw] = {
    "normal": lambda rng, z, u: 5 + 2 * z,
    "uniform": lambda rng, z, u: u,
    "exponential": lambda rng, z, u: rng.exponential(7, ROWS),
    "gamma": lambda rng, z, u: rng.gamma(0.5, 3, ROWS),
    "gamma, most near 0": lambda rng, z, u: rng.gamma(0.1, 1, ROWS),
    "long left tail": lambda rng, z, u: -rng.gamma(0.7, 5, ROWS),
    "arcsine": lambda rng, z, u: np.sin(np.pi * (u - 0.5)),
}
"""Shapes of (generator, standard normal numbers, uniform numbers)."""

HEAVY: dict[str, Draw] = {
    "log-normal, sigma 1": lambda rng, z, u: np.exp(z),
    "log-normal, sigma 2": lambda rng, z, u: np.exp(2 * z),
    "log-normal, sigma 3, negative": lambda rng, z, u: -np.exp(3 * z),
    "Student's t, 2": lambda rng, z, u: rng.standard_t(2, ROWS),
    "Cauchy": lambda rng, z, u: rng.standard_cauchy(ROWS),
    "Pareto 1": lambda rng, z, u: (1 - u) ** -1.0,
    "Pareto 3": lambda rng, z, u: (1 - u) ** (-1 / 3),
    "Weibull .3": lambda rng, z, u: rng.weibull(0.3, ROWS),
    "eight powers of ten": lambda rng, z, u: 10 ** (8 * u - 4),
    "eight powers of ten, both signs": lambda rng, z, u: np.sign(z) * 10 ** (8 * u - 4),
    "an outlier of 1e12": lambda rng, z, u: np.where(np.arange(ROWS) % 10_000 == 0, 1e12, z),
}

MIXED: dict[str, Draw] = {
    "two humps": lambda rng, z, u: np.where(u < 0.5, z, 20 + z),
    "two humps, a gap of a million": lambda rng, z, u: np.where(u < 0.5, z, 1e6 + z),
    "one row in fifty far away": lambda rng, z, u: np.where(u < 0.98, z, 1e3 + 100 * z),
    "one row in ten very far away": lambda rng, z, u: np.where(u < 0.9, z, 1e4 + 10 * z),
    "mostly zero, then gamma": lambda rng, z, u: np.where(u < 0.7, 0.0, rng.gamma(2, 10, ROWS)),
    "nearly all zero, then gamma": lambda rng, z, u: np.where(u < 0.95, 0.0, rng.gamma(2, 10, ROWS)),
    "mostly zero, then log-normal": lambda rng, z, u: np.where(u < 0.8, 0.0, np.exp(2 * z)),
    "a value and a tail": lambda rng, z, u: np.where(u < 0.3, 5.0, np.exp(1.5 * z)),
    "nearly one value and a tail": lambda rng, z, u: np.where(u < 0.9, 5.0, np.exp(2 * z)),
    "half one value": lambda rng, z, u: np.where(u < 0.6, 5.0, 100 * z),
    "nearly one value": lambda rng, z, u: np.where(u < 0.995, 5.0, 100 * z),
    "one value": lambda rng, z, u: np.full(ROWS, 7.25),
    "three values": lambda rng, z, u: rng.choice([-1e6, 3.0, 1e9], ROWS),
}

ROUNDED: dict[str, Draw] = {
    "counts": lambda rng, z, u: rng.poisson(5, ROWS).astype(float),
    "large counts": lambda rng, z, u: rng.poisson(1000, ROWS).astype(float),
    "waiting times": lambda rng, z, u: rng.geometric(0.01, ROWS).astype(float),
    "whole": lambda rng, z, u: rng.integers(0, 90, ROWS).astype(float),
    "many whole": lambda rng, z, u: rng.integers(0, 10**6, ROWS).astype(float),
    "money": lambda rng, z, u: np.round(np.exp(3 + 1.5 * z), 2),
}

SIZES: dict[str, Draw] = {
    "tiny": lambda rng, z, u: 1e-100 * z,
    "tiny and skewed": lambda rng, z, u: 1e-120 * np.exp(z),
    "huge": lambda rng, z, u: 1e130 * z,
    "huge and skewed": lambda rng, z, u: 1e120 * np.exp(z),
    "narrow, far from 0": lambda rng, z, u: 1e9 + 1e-3 * z,
    "seconds since 1970": lambda rng, z, u: 1.6e9 + 86_400 * 365 * u,
}

JUMPS: dict[str, Draw] = {
    "saw teeth": lambda rng, z, u: np.floor(10 * u) + rng.random(ROWS) ** 5,
    "nearly all at two ends": lambda rng, z, u: rng.beta(0.05, 0.05, ROWS),
    "three humps, two in one bin": lambda rng, z, u: np.where(u < 0.3, z, np.where(u < 0.6, 100 + z, 1e4 + z)),
}

SHAPES = {**SMOOTH, **HEAVY, **MIXED, **ROUNDED, **SIZES}


def drawn(draw: Draw, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return draw(rng, rng.normal(size=ROWS), rng.random(ROWS))


def furthest(made: Profile, x: Any, at: Any) -> float:
    """The largest error of the quantiles at `at`, in standard deviations."""
    with np.errstate(over="ignore"):
        deviation = x.std() if np.isfinite(x.std()) else (x / np.abs(x).max()).std() * np.abs(x).max()
    found = made.field("x").quantiles(at)
    return float(np.abs(found - np.quantile(x, at)).max() / (deviation or 1.0))


def merged(x: Any, reference: Reference) -> Profile:
    """Seven stored profiles of a part each, merged."""
    parts = (profile(pa.table({"x": part}), reference=reference) for part in np.array_split(x, 7))
    return Profile.merged(Profile.from_bytes(part.to_bytes()) for part in parts)


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles_lie_within_a_hundredth_of_a_standard_deviation(shape: str) -> None:
    x, later = drawn(SHAPES[shape], 6), drawn(SHAPES[shape], 7)
    reference = Reference.learn(pa.table({"x": x}))
    assert furthest(reference.profile, x, REPORTED) <= 0.01
    assert furthest(merged(later, reference), later, EVERY) <= 0.03


FEW = 30_000
FEWER_ROWS = {
    "normal": lambda rng: rng.normal(5, 2, FEW), "skewed": lambda rng: rng.lognormal(0, 1, FEW),
    "more skewed": lambda rng: rng.gamma(0.5, 3, FEW), "heavy": lambda rng: rng.standard_t(3, FEW),
    "two humps": lambda rng: np.where(rng.random(FEW) < 0.5, rng.normal(0, 1, FEW), rng.normal(20, 1, FEW)),
    "whole": lambda rng: rng.integers(0, 90, FEW).astype(float), "uniform": lambda rng: rng.random(FEW),
    "mostly zero": lambda rng: np.where(rng.random(FEW) < 0.7, 0.0, rng.gamma(2, 10, FEW)),
    "one value": lambda rng: np.full(FEW, 7.25), "exponential": lambda rng: rng.exponential(7, FEW),
    "long left tail": lambda rng: -rng.gamma(0.7, 5, FEW), "pareto": lambda rng: rng.pareto(1.5, FEW),
    "half one value": lambda rng: np.where(rng.random(FEW) < 0.6, 5.0, rng.normal(0, 100, FEW)),
    "nearly one value": lambda rng: np.where(rng.random(FEW) < 0.995, 5.0, rng.normal(0, 100, FEW)),
}  # fmt: skip
"""Shapes of which fewer rows, and days of a thousand, are enough."""


@pytest.mark.parametrize("shape", FEWER_ROWS)
def test_with_fewer_rows_and_smaller_days_too(shape: str) -> None:
    x = FEWER_ROWS[shape](np.random.default_rng(6))
    reference = Reference.learn(pa.table({"x": x}))
    assert furthest(reference.profile, x, REPORTED) <= 0.01
    days = (profile(pa.table({"x": part}), reference=reference) for part in np.array_split(x, 30))
    assert furthest(Profile.merged(Profile.from_bytes(day.to_bytes()) for day in days), x, REPORTED) <= 0.03


@pytest.mark.parametrize("shape", JUMPS)
def test_where_the_density_jumps_inside_a_bin_they_lie_within_that_bin(shape: str) -> None:
    x = drawn(JUMPS[shape], 6)
    reference = Reference.learn(pa.table({"x": x}))
    assert furthest(reference.profile, x, EVERY) <= 0.03
    assert furthest(merged(x, reference), x, EVERY) <= 0.03


@pytest.mark.parametrize("shape", ["normal", "exponential", "log-normal, sigma 1", "mostly zero, then gamma", "counts"])
def test_no_bin_is_spent_on_a_tail_where_there_is_no_need(shape: str) -> None:
    assert not Reference.learn(pa.table({"x": drawn(SHAPES[shape], 6)})).grids["x"].tailed


@pytest.mark.parametrize("shape", ["log-normal, sigma 2", "one row in fifty far away", "nearly one value and a tail"])
def test_half_of_the_bins_are_for_the_far_tail_where_there_is_one(shape: str) -> None:
    x = drawn(SHAPES[shape], 6)
    grid = Reference.learn(pa.table({"x": x})).grids["x"]
    assert grid.tail == pytest.approx(np.abs(np.quantile(x, [0.01, 0.99]) - np.median(x)).max(), rel=0.3)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 10, 50])
def test_quantiles_of_few_rows(rows: int) -> None:
    rng = np.random.default_rng(rows)
    reference = Reference.learn(pa.table({"x": rng.normal(0, 1, 1000)}))
    x = rng.normal(0, 1, rows)
    found = profile(pa.table({"x": x}), reference=reference).field("x").quantiles([0.0, 0.5, 1.0])
    assert found[[0, 2]].tolist() == [x.min(), x.max()]
    assert found[1] == pytest.approx(np.median(x), abs=0.02)


@pytest.mark.parametrize("share", [0.6, 0.97, 0.995])
def test_a_value_that_most_rows_hold_is_seen_where_it_moves_to(share: float) -> None:
    rng = np.random.default_rng(5)
    x = np.where(rng.random(20_000) < share, 5.0, rng.normal(0, 100, 20_000))
    moved = profile(pa.table({"x": x * 1.2}), reference=Reference.learn(pa.table({"x": x}))).field("x")
    assert moved.quantiles([0.5]) == pytest.approx(6.0, abs=0.02 * x.std())
