"""Values of distances that peers assert in their own tests, reproduced here; each case in distances.json names its source.

Cases left out are of tests that mlobs has no use for (Student, Anderson-Darling, Cramer-von Mises, energy distance ...).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlobs.metrics import distances as d
from mlobs.profiling import Reference, profile
from mlobs.states import NumericState

CASES = {case["id"]: case for case in json.loads((Path(__file__).parent / "distances.json").read_text())}


def categories(p: Any, q: Any) -> tuple[Any, Any]:
    return d.aligned(Counter(p) if isinstance(p, str) else p, Counter(q) if isinstance(q, str) else q)


def legacy(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


def drawn_categories(values: Any, other: Any) -> tuple[Any, Any]:
    """NannyML's and our cases with seed 1: two legacy draws, one after the other."""
    np_random = legacy(1)
    return categories(
        Counter(np_random.choice(values, 10_000).tolist()), Counter(np_random.choice(other, 1000).tolist())
    )


def frouros() -> tuple[Any, Any]:
    """frouros' two samples of 500 on ten equal bins over both."""
    np_random = legacy(31)
    a, b = np_random.normal(1, 1, 500), np_random.normal(1, 1, 500)
    edges = np.histogram_bin_edges(np.concatenate([a, b]), 10)
    return np.histogram(a, edges)[0], np.histogram(b, edges)[0]


def profiled_wasserstein(a: Any, b: Any) -> float:
    """The distance between two profiles, in the field's unit."""
    reference = Reference.learn(pa.table({"x": a}))
    batch = profile(pa.table({"x": b}), reference=reference)
    first, second = reference.profile.field("x"), batch.field("x")
    assert isinstance(first, NumericState)
    assert isinstance(second, NumericState)
    return d.wasserstein(first, second)


def normals(
    seed: int, first: tuple[float, float, int], second: tuple[float, float, int], *, reseed: bool = False
) -> float:
    np_random = legacy(seed)
    a = np_random.normal(*first)
    b = (legacy(seed) if reseed else np_random).normal(*second)
    return profiled_wasserstein(a, b)


def inputs(name: str, *keys: str) -> list[Any]:
    return [CASES[name]["inputs"][key] for key in keys]


RECIPES: dict[str, Callable[[], float]] = {
    "psi_probs": lambda: d.psi(*inputs("psi_probs", "p", "q")),
    "kl_q_p": lambda: d.kl(*inputs("kl_q_p", "p", "q")),
    "kl_p_q": lambda: d.kl(*inputs("kl_p_q", "p", "q")),
    "ks_scaled_counts": lambda: d.ks([2, 4], [1, 3]) * np.sqrt(6 * 4 / (6 + 4)),
    "ks_prob_0.8": lambda: d.ks_probability(0.8, 2, 2),
    "psi_counts_deciles": lambda: d.psi(*inputs("psi_counts_deciles", "expected", "actual")),
    "linf_cat": lambda: d.linf(*categories(*inputs("linf_cat", "x", "y"))),
    "linf_cat_new_level": lambda: d.linf(*categories(*inputs("linf_cat_new_level", "x", "y"))),
    "linf_robust_alpha_0.003": lambda: d.linf_robust(
        *categories(*inputs("linf_robust_alpha_0.003", "x", "y")), alpha=0.003
    ),
    "linf_robust_alpha_0.1": lambda: d.linf_robust(*categories(*inputs("linf_robust_alpha_0.1", "x", "y")), alpha=0.1),
    "chisq_gof_p": lambda: (
        d.chi_squared_one_sample(*categories(*inputs("chisq_gof_p", "expected", "sample"))).probability
    ),
    "chisq_p_cat6": lambda: (
        d.chi_squared_one_sample(*inputs("chisq_p_cat6", "reference_counts", "current_counts")).probability
    ),
    "hellinger_cat6": lambda: d.hellinger(*inputs("hellinger_cat6", "reference_counts", "current_counts")),
    "psi_cat_zero_fill": lambda: d.psi([1e-4, 2 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]),  # the peer's fill, put in by hand
    "linf_new_cat": lambda: d.linf(*categories("aabbcc", "aabbccd")),
    "linf_total": lambda: d.linf(*categories("aabbcc", "bbbbb")),
    "wasserstein_10000_1_1_1000": lambda: normals(1, (0, 1, 10_000), (1, 1, 1000)),
    "wasserstein_100000_-4_1_1000": lambda: normals(1, (0, 1, 100_000), (-4, 1, 1000)),
    "wasserstein_15000_0_10_1000000": lambda: normals(1, (0, 1, 15_000), (0, 10, 1_000_000)),
    "js_cat": lambda: d.jensen_shannon_distance(*drawn_categories(list("abcd"), list("abce"))),
    "hellinger_cat": lambda: d.hellinger(*drawn_categories(list("abcd"), list("abce"))),
    "js_quasi_cont": lambda: d.jensen_shannon_distance(*drawn_categories(np.linspace(0, 2, 6), np.linspace(0, 2, 3))),
    "chi2_contingency_stat": lambda: d.chi_squared(*categories("aabaab", "bacccc")).statistic,
    "chi2_contingency_p": lambda: d.chi_squared(*categories("aabaab", "bacccc")).probability,
    "emd_normal": lambda: normals(31, (1, 1, 100), (5, 2, 100), reseed=True),
    "hist_intersection_complement": lambda: _intersection_complement(),
    "psi_same_500": lambda: d.psi(*frouros()),
    "hellinger_same_500": lambda: d.hellinger(*frouros()),
}

BINNED = {"wasserstein_10000_1_1_1000", "wasserstein_100000_-4_1_1000", "wasserstein_15000_0_10_1000000", "emd_normal"}
"""Taken from profiles, not from the values: within 1%."""


def _intersection_complement() -> float:
    np_random = legacy(31)
    a = np_random.normal(1, 1, 100)
    b = legacy(31).normal(5, 2, 100)
    edges = np.histogram_bin_edges(np.concatenate([a, b]), 10)
    return d.total_variation(np.histogram(a, edges)[0], np.histogram(b, edges)[0])


@pytest.mark.parametrize("name", RECIPES)
def test_a_peers_value(name: str) -> None:
    case = CASES[name]
    tolerance = max(case["abs_tol"], 1e-12)
    if name in BINNED:
        tolerance = max(tolerance, 0.01 * case["expected"])
    assert RECIPES[name]() == pytest.approx(case["expected"], abs=tolerance)


def test_every_case_is_reproduced_or_refused_with_a_reason() -> None:
    assert set(CASES) - set(RECIPES) == {"psi_disjoint_pathological"}


def test_empty_bins_are_filled_with_half_a_row_on_both_sides() -> None:
    """Peers' fills make of a disjoint pair whatever they like: 1e-4 of a share gives 2.93 above, a float's minimum 461."""
    assert d.psi([50, 50, 0, 0], [0, 0, 50, 50]) == pytest.approx(4 * (50.5 / 102 - 0.5 / 102) * np.log(50.5 / 0.5))
    assert d.psi([50, 50, 0, 0], [0, 0, 50, 50]) == d.psi([0, 0, 50, 50], [50, 50, 0, 0])
    assert (
        d.psi([2, 1, 0], [1, 1, 1])
        < CASES["psi_cat_zero_fill"]["expected"]
        < CASES["psi_disjoint_pathological"]["expected"]
    )
