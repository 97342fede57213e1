"""Algebra of accuracy states: merging states is the state of all rows, has an identity, and survives bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from mlobs.errors import ProfileError
from mlobs.metrics.accuracy import abs_error_quantile, metrics
from mlobs.states.accuracy import SUMS, AccuracyState, Task

numbers = st.floats(-1e6, 1e6) | st.just(float("nan"))
regression_rows = st.lists(st.tuples(numbers, numbers), max_size=30)
binary_rows = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, float("nan")]), st.floats(-0.1, 1.1)), max_size=30)
class_rows = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abd")), max_size=30)
any_rows = st.one_of(
    st.tuples(st.just("regression"), regression_rows, regression_rows, regression_rows),
    st.tuples(st.just("binary"), binary_rows, binary_rows, binary_rows),
    st.tuples(st.just("multiclass"), class_rows, class_rows, class_rows),
)
BASELINE = {"regression": 3.5, "binary": 0.3, "multiclass": "a"}


def state(task: Task, rows: list[tuple[object, object]]) -> AccuracyState:
    actual, predicted = [r[0] for r in rows], [r[1] for r in rows]
    return AccuracyState.of_rows(task, actual, predicted, BASELINE[task])


def alike(a: AccuracyState, b: AccuracyState) -> None:
    assert (a.predictions, a.unusable, a.unreadable, a.labelled) == (
        b.predictions,
        b.unusable,
        b.unreadable,
        b.labelled,
    )
    assert {c: n for c, (n, _) in a.cells.items()} == {c: n for c, (n, _) in b.cells.items()}
    for name in SUMS[a.task]:
        assert a[name] == pytest.approx(b[name], rel=1e-9, abs=1e-6)


@given(any_rows)
def test_merged_states_are_the_state_of_all_rows_in_any_order(case: tuple) -> None:  # type: ignore[type-arg]
    task, x, y, z = case
    a, b, c = state(task, x), state(task, y), state(task, z)
    alike(a + b + c, state(task, x + y + z))
    alike((a + b) + c, a + (b + c))
    alike(a + b, b + a)


@given(any_rows)
def test_the_empty_state_is_the_identity_and_bytes_round_trip(case: tuple) -> None:  # type: ignore[type-arg]
    a = state(case[0], case[1])
    assert a + AccuracyState(case[0]) == a == AccuracyState(case[0]) + a
    assert AccuracyState.from_bytes(a.to_bytes()) == a


@given(any_rows)
def test_metrics_never_raise_and_rates_stay_in_range(case: tuple) -> None:  # type: ignore[type-arg]
    found = metrics(state(case[0], case[1]))
    assert {type(value) for value in found.values()} <= {float}, "Dagster stores plain numbers only"
    for name in (
        "accuracy",
        "error_rate",
        "precision",
        "recall",
        "f1",
        "roc_auc",
        "pr_auc",
        "macro_f1",
        "brier",
        "calibration_error",
    ):
        value = found.get(name, 0.5)
        assert np.isnan(value) or -1e-9 <= value <= 1 + 1e-9


def test_tasks_do_not_mix() -> None:
    with pytest.raises(
        ProfileError, match="can't merge the accuracy of a binary model with that of a regression model"
    ):
        AccuracyState("binary") + AccuracyState("regression")


@pytest.mark.parametrize("data", [b"", b"other", AccuracyState("binary").to_bytes()[:-3], b"mlobs-accuracy-2\nx"])
def test_foreign_or_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ProfileError):
        AccuracyState.from_bytes(data)


@pytest.mark.parametrize(
    ("errors", "q", "expected"),
    [([0.0, 0.0, 8.0], 0.5, 0.0), ([8.0], 0.5, 8.0), ([1.0, 2.0, 4.0, 1024.0], 0.75, 4.0), ([], 0.5, float("nan"))],
)
def test_quantiles_of_the_absolute_error_within_the_stated_bound(
    errors: list[float], q: float, expected: float
) -> None:
    found = abs_error_quantile(AccuracyState.of_rows("regression", np.zeros(len(errors)), errors), q)
    assert found == pytest.approx(expected, rel=0.0445, nan_ok=True)


@pytest.mark.parametrize("rows", [3, 30, 3000])
@pytest.mark.parametrize("bins", [1, 2, 40])
def test_areas_lie_within_the_stated_bounds_of_their_binning(rows: int, bins: int) -> None:
    """Probabilities that crowd into few bins, in whatever order inside them: the hardest case for a binned area."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        odds = generator.integers(0, bins, rows) / 20 + generator.choice([0.0, 0.01, 0.02, 0.03], rows)
        p, y = 1 / (1 + np.exp(-odds)), (generator.random(rows) < 0.3).astype(int)
        y[:2] = 0, 1
        found = metrics(AccuracyState.of_rows("binary", y, p))
        assert abs(found["roc_auc"] - reference.roc_auc_score(y, p)) <= found["roc_auc_bound"] + 1e-12
        assert abs(found["pr_auc"] - reference.average_precision_score(y, p)) <= found["pr_auc_bound"] + 1e-12
