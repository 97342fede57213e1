"""The distinct sketch: its error, its merge, and that sampling the hash space changes neither."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlobs.states.distinct import ERROR, REGISTERS, SAMPLED, estimate, no_registers, registers, sampled_to


def sketch(values: np.ndarray, sampling: int = 0) -> np.ndarray:
    """The sketch of hashed numbers, as the engine's answer would give it."""
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**63, 2_000_000, dtype=np.uint64)[values]
    hashes = hashes[hashes < np.uint64(1) << np.uint64(63 - sampling)]
    number = (hashes & np.uint64(REGISTERS - 1)).astype(np.int64)
    smallest = np.full(REGISTERS, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, number, hashes >> np.uint64(9))
    used = np.flatnonzero(smallest < np.iinfo(np.uint64).max)
    return registers(used, smallest[used].astype(np.int64))


@pytest.mark.parametrize("count", [1, 10, 100, 1000, 10_000, 1_000_000])
def test_the_error_is_as_stated(count: int) -> None:
    assert estimate(sketch(np.arange(count))) == pytest.approx(count, rel=3 * ERROR, abs=1)


@pytest.mark.parametrize("values", [SAMPLED << 6, SAMPLED << 7, 1 << 20])
def test_the_error_of_samples_is_as_stated(values: int) -> None:
    rng = np.random.default_rng(values)
    sampling = 6
    errors = []
    for _ in range(600):
        h = rng.integers(0, 1 << 57, rng.binomial(values, 2.0**-sampling))
        sketch = registers(h & (REGISTERS - 1), h >> 9)
        errors.append(estimate(sketch, sampling) / values - 1)
    assert np.std(errors) < ERROR
    assert abs(np.mean(errors)) < 3 * ERROR / math.sqrt(600)


def test_nothing_is_zero() -> None:
    assert estimate(no_registers()) == 0.0


def test_repeated_values_change_nothing() -> None:
    assert (sketch(np.arange(500).repeat(7)) == sketch(np.arange(500))).all()


def test_merging_is_the_sketch_of_both() -> None:
    a, b = np.arange(0, 3000), np.arange(2000, 6000)
    assert (np.maximum(sketch(a), sketch(b)) == sketch(np.arange(6000))).all()


@pytest.mark.parametrize("sampling", [1, 3, 5])
def test_a_sampled_sketch_is_what_the_whole_one_is_sampled_to(sampling: int) -> None:
    values = np.arange(300_000)
    assert (sketch(values, sampling) == sampled_to(sketch(values), sampling)).all()
    assert estimate(sketch(values, sampling), sampling) == pytest.approx(300_000, rel=3 * ERROR)
    a, b = sketch(values[:200_000], sampling), sampled_to(sketch(values[150_000:]), sampling)
    assert (np.maximum(a, b) == sketch(values, sampling)).all()
