"""Coarse bins: near-equal reference mass, labels that match the counts, every row in one bin."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlobs.metrics.distributions import CATEGORIES, cut
from mlobs.profiling import Reference, profile


def test_literal_cuts() -> None:
    assert cut(np.arange(-50, 50), np.full(100, 7), 4) == (-25, 0, 25)
    assert cut(np.array([0, 1, 2]), np.array([98, 1, 1]), 4) == (1,)
    assert cut(np.array([3]), np.array([5])) == ()


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential", "uniform"])
def test_coarse_bins_hold_near_equal_mass(draw: str) -> None:
    rng = np.random.default_rng(1)
    x = getattr(rng, draw)(size=20_000)
    reference = Reference.learn(pa.table({"x": x}))
    labels, counts = reference.profile.distribution("x")
    assert len(labels) == len(counts) == 15
    assert len(set(labels)) == 15
    assert counts.sum() == 20_000
    assert counts[:10] == pytest.approx(2000, rel=0.15)
    assert counts[10:].tolist() == [0] * 5


def test_literal_labels() -> None:
    reference = Reference.learn(
        pa.table({"x": [0.0, 1.0, 2.0, 3.0], "b": [True, False, True, None], "w": ["u", "u", "v", None]})
    )
    labels, counts = reference.profile.distribution("x")
    assert labels[0].startswith("[0, ")
    assert labels[-6].endswith(", 3]")
    assert labels[-5:] == ["below 0", "above 3", "nan", "inf", "null"]
    assert counts.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert [part.tolist() if hasattr(part, "tolist") else part for part in reference.profile.distribution("b")] == [
        ["false", "true", "null"], [1, 2, 1],
    ]  # fmt: skip
    assert [part.tolist() if hasattr(part, "tolist") else part for part in reference.profile.distribution("w")] == [
        ["u", "v", "unseen", "null"], [2, 1, 0, 1],
    ]  # fmt: skip


def test_values_beyond_the_reference_leave_their_coarse_bin() -> None:
    reference = Reference.learn(pa.table({"x": np.linspace(0, 100, 1001)}))
    labels, counts = profile(
        pa.table({"x": [-5.0, 0.0, 50.0, 100.0, 100.1, 1e9, None]}), reference=reference
    ).distribution("x")
    shown = dict(zip(labels, counts.tolist(), strict=True))
    assert (shown["below 0"], shown["above 100"], shown["null"]) == (1, 2, 1)
    assert sum(shown.values()) == 7
    assert min(counts) == 0


def test_labels_far_from_zero_differ() -> None:
    rng = np.random.default_rng(1)
    labels, _ = Reference.learn(pa.table({"x": 1e9 + rng.normal(0, 1e-3, 5000)})).profile.distribution("x")
    assert len(set(labels)) == len(labels)


def test_many_categories_are_gathered() -> None:
    words = [f"w{i:03d}" for i in range(80) for _ in range(100 - i)]
    labels, counts = Reference.learn(pa.table({"w": words})).profile.distribution("w")
    assert labels[CATEGORIES - 1 :] == ["w049", "other", "unseen", "null"]
    assert counts.sum() == len(words)
    assert counts[CATEGORIES] == sum(100 - i for i in range(CATEGORIES, 80))
