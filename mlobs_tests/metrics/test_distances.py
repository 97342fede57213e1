"""Distances: literal values, their rules, and profiles against scipy on the raw values."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlobs.errors import ProfileError
from mlobs.metrics import distances as d
from mlobs.profiling import Reference, profile
from mlobs.states import NumericState

ALL = [
    d.psi,
    d.kl,
    d.jensen_shannon_divergence,
    d.jensen_shannon_distance,
    d.hellinger,
    d.total_variation,
    d.linf,
    d.ks,
]
SYMMETRIC = [f for f in ALL if f is not d.kl]

counts = st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(lambda c: sum(c) > 0)


@pytest.mark.parametrize("distance", ALL)
def test_nothing_lies_between_equal_shares(distance: Any) -> None:
    assert distance([3, 0, 5, 2], [30, 0, 50, 20]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("distance", ALL)
def test_an_empty_side_is_nan(distance: Any) -> None:
    assert math.isnan(distance([0, 0], [1, 2]))
    assert math.isnan(distance([1, 2], [0, 0]))


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (d.jensen_shannon_divergence, 1.0), (d.jensen_shannon_distance, 1.0), (d.hellinger, 1.0),
        (d.total_variation, 1.0), (d.ks, 1.0), (d.linf, 1.0),
    ],
)  # fmt: skip
def test_disjoint_distributions_are_as_far_as_can_be(distance: Any, expected: float) -> None:
    assert distance([7, 0], [0, 9]) == pytest.approx(expected)


@given(counts, st.randoms(use_true_random=False))
def test_symmetry_and_range(p: list[int], random: Any) -> None:
    q = list(p)
    random.shuffle(q)
    for distance in SYMMETRIC:
        there, back = distance(p, q), distance(q, p)
        assert there == pytest.approx(back, abs=1e-12)
        assert there >= 0
        if distance is not d.psi:
            assert there <= 1 + 1e-12


@given(counts, st.integers(1, 50))
def test_bins_empty_on_both_sides_change_nothing(p: list[int], k: int) -> None:
    q = [c + (i % k) for i, c in enumerate(p)]
    for distance in ALL:
        assert distance([*p, 0], [*q, 0]) == pytest.approx(distance(p, q), abs=1e-12)


def test_against_scipy_on_counts() -> None:
    p, q = [10, 20, 30, 5], [12, 15, 30, 9]
    table = stats.chi2_contingency([p, q], correction=False)
    found = d.chi_squared(p, q)
    assert (found.statistic, found.freedom, found.probability) == pytest.approx(
        (table.statistic, table.dof, table.pvalue)
    )
    expected = np.array(p) / 65 * 66
    single = stats.chisquare(q, expected)
    alone = d.chi_squared_one_sample(p, q)
    assert (alone.statistic, alone.probability) == pytest.approx((single.statistic, single.pvalue))
    assert d.kl(p, q) == pytest.approx(stats.entropy(p, q))
    assert d.kl(p, q, base=2) == pytest.approx(stats.entropy(p, q, base=2))
    assert d.psi(p, q) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))


def test_one_unseen_row_does_not_own_the_test() -> None:
    """In peers one row of a new category makes the chi-squared probability 0."""
    assert d.chi_squared([100, 100, 0], [100, 100, 1]).probability > 0.1
    assert d.chi_squared_one_sample([100, 100, 0], [100, 100, 1]).statistic == math.inf


def test_bins_must_be_the_same() -> None:
    with pytest.raises(ProfileError, match="same bins"):
        d.psi([1, 2], [1, 2, 3])
    with pytest.raises(ProfileError, match="0 or more"):
        d.psi([1, -2], [1, 2])


SHAPES = {
    "normal": lambda rng, n, s: rng.normal(s, 1, n),
    "skewed": lambda rng, n, s: rng.lognormal(s, 1, n),
    "heavy": lambda rng, n, s: rng.standard_t(3, n) + s,
    "whole": lambda rng, n, s: rng.poisson(4 + 2 * s, n).astype(float),
    "mostly zero": lambda rng, n, s: np.where(rng.random(n) < 0.5, 0.0, rng.gamma(2, 10, n)) + 10 * s,
    "two humps": lambda rng, n, s: np.where(rng.random(n) < 0.5, 0.0, 20.0) + rng.normal(s, 1, n),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shift", [0.1, 0.5, 2.0])
def test_profiles_against_scipy_on_raw_values(shape: str, shift: float) -> None:
    rng = np.random.default_rng(8)
    a, b = SHAPES[shape](rng, 20_000, 0.0), SHAPES[shape](rng, 5000, shift)
    reference = Reference.learn(pa.table({"x": a}))
    found = profile(pa.table({"x": b}), reference=reference)
    first, second = reference.profile.field("x"), found.field("x")
    assert isinstance(first, NumericState)
    assert isinstance(second, NumericState)
    exact = stats.wasserstein_distance(a, b)
    assert d.wasserstein(first, second) == pytest.approx(exact, rel=0.01, abs=0.001 * a.std())
    assert d.distance(first, second, "wasserstein") == pytest.approx(exact / a.std(), rel=0.01, abs=0.001)
    widest = (
        max((s.counts / s.counts.sum()).max() for s in (first, second))
        if shape not in ("whole", "mostly zero")
        else 0.03
    )
    statistic = stats.ks_2samp(a, b).statistic
    assert statistic - widest <= d.ks_states(first, second) <= statistic + 1e-12


def test_null_nan_beyond_and_unseen_are_bins() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, 5000)
    reference = Reference.learn(pa.table({"x": x, "w": rng.choice(["a", "b"], 5000)}))
    names = list(reference.profile.fields)
    same = profile(pa.table({"x": x[:1000], "w": rng.choice(["a", "b"], 1000)}), reference=reference)
    for change in ("null", "nan", "inf", "above"):
        value = {"null": None, "nan": math.nan, "inf": math.inf, "above": 1e6}[change]
        batch = pa.table(
            {
                "x": pa.array([*x[:900].tolist(), *[value] * 100], pa.float64()),
                "w": ["a"] * 450 + ["b"] * 450 + ["new"] * 100,
            }
        )
        found = profile(batch, reference=reference)
        for name in names:
            assert d.distances(reference.profile, found)[name] > 0.3 > 0.05 > d.distances(reference.profile, same)[name]
        labels, numbers = found.distribution("x")
        shown = dict(zip(labels, numbers.tolist(), strict=True))
        assert sum(n for label, n in shown.items() if label.startswith(change)) == 100
        assert sum(shown.values()) == 1000
        assert dict(zip(*found.distribution("w"), strict=True))["unseen"] == 100


def test_one_far_value_does_not_hide_a_shift() -> None:
    """Bins spanned by both sides turn the PSI of a one-sigma shift from .996 into .019; these come from the reference alone."""
    rng = np.random.default_rng(3)
    reference = Reference.learn(pa.table({"x": rng.normal(0, 1, 10_000)}))
    shifted = rng.normal(1, 1, 1000)
    plain = profile(pa.table({"x": shifted}), reference=reference)
    far = profile(pa.table({"x": [*shifted, 1e6]}), reference=reference)
    assert d.distances(reference.profile, plain)["x"] > 0.8
    assert d.distances(reference.profile, far)["x"] == pytest.approx(
        d.distances(reference.profile, plain)["x"], rel=0.02
    )


def test_profiles_of_other_references_and_unknown_names_are_refused() -> None:
    a, b = (Reference.learn(pa.table({"x": [1.0, 2.0, float(k)]})).profile for k in (3, 4))
    with pytest.raises(ProfileError, match="one reference"):
        d.distances(a, b)
    with pytest.raises(ProfileError, match="one reference"):
        d.distance(a.field("x"), b.field("x"))
    with pytest.raises(ProfileError, match="no distance 'hellingr'; did you mean 'hellinger'"):
        d.distances(a, a, "hellingr")


@pytest.mark.parametrize("name", d.NAMES)
def test_every_distance_of_every_kind_and_of_nothing(name: str) -> None:
    rows = pa.table(
        {
            "x": [1.0, 2.0, None],
            "w": ["a", None, "b"],
            "b": [True, False, None],
            "z": pa.array([None] * 3, pa.float64()),
        }
    )
    reference = Reference.learn(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for part in (rows, rows.slice(0, 1), rows.slice(0, 0)):
            found = d.distances(reference.profile, profile(part, reference=reference), name)
            assert set(found) == {"x", "w", "b", "z"}
            assert all(math.isnan(v) or v >= -1e-12 for v in found.values())
