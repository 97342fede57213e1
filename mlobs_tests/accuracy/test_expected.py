"""Accuracy that is foretold before labels come: literal figures, the same in the engine as in memory, and how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics as reference

from mlobs.detectors.accuracy import judge_accuracy, judge_estimated
from mlobs.engines import Engine
from mlobs.expectation import Expectation, learn
from mlobs.metrics.accuracy import estimated, metrics, past_estimates
from mlobs.predictions import Predicted
from mlobs.profiling.accuracy import measure_accuracy
from mlobs.spec import Field
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import DAY, Window
from mlobs_tests.accuracy.declared import DAY_ONE, model_of

CLASSES = (("a", "p_a"), ("b", "p_b"), ("c", "p_c"))


@pytest.mark.parametrize(
    ("task", "said", "foretold", "expected"),
    [
        ("regression", [1.0, 2.0, 3.0], [4.0, 6.0, np.nan], {"mae": 5.0}),
        ("multiclass", ["a", "b", "b"], [0.9, 0.5, np.nan], {"accuracy": 0.7, "error_rate": 0.3}),
        ("binary", [0.9, 0.9, 0.1, 0.1], [1.0, 1.0, 0.0, 0.0], {"accuracy": 1.0, "roc_auc": 1.0, "f1": 1.0}),
        ("binary", [0.9, 0.1], [0.8, 0.2], {"accuracy": 0.8, "precision": 0.8, "recall": 0.8, "brier": 0.17}),
        ("binary", [0.9, 0.1], [np.nan, 1.5], {}),
    ],
)
def test_literal_figures(task: Any, said: list[Any], foretold: list[float], expected: dict[str, float]) -> None:
    state = AccuracyState.of_rows(task, said, said, expected=foretold)
    found = estimated(state)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert bool(found) is bool(expected)
    assert AccuracyState.from_bytes(state.to_bytes()) == state


def test_expected_area_is_the_mean_over_outcomes() -> None:
    """The expected ROC AUC from calibrated probabilities is the mean realised one over many draws of the outcome."""
    generator = np.random.default_rng(2)
    q = generator.beta(0.6, 0.9, 800)
    drawn = [reference.roc_auc_score(generator.random(800) < q, q) for _ in range(60)]
    found = estimated(AccuracyState.of_rows("binary", q, q, expected=q))
    assert found["roc_auc"] == pytest.approx(np.mean(drawn), abs=3 * np.std(drawn) / np.sqrt(60) + 0.001)


def _rows(task: str, generator: np.random.Generator) -> dict[str, Any]:
    n = 400
    if task == "regression":
        said, truth, foretold = generator.normal(0, 5, n), generator.normal(0, 5, n), generator.uniform(0, 9, n)
    elif task == "binary":
        said, foretold = generator.random(n), generator.random(n)
        truth = (generator.random(n) < 0.4).astype(float)
    else:
        chances = generator.dirichlet([1, 1, 1], n)
        said, truth = np.array(list("abc"))[chances.argmax(axis=1)], generator.choice(list("abcd"), n)
        foretold = generator.random(n)
        return {"said": said, "truth": truth, "foretold": foretold, "chances": chances}
    return {"said": said, "truth": truth, "foretold": foretold, "chances": np.zeros((n, 3))}


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_the_engine_and_memory_agree(engine: Engine, fill: Callable[..., Any], task: Any) -> None:
    rows = _rows(task, np.random.default_rng(5))
    rows["foretold"][::7] = np.nan
    labelled = np.arange(400) % 3 > 0
    model = replace(model_of(task), expected="foretold", probabilities=CLASSES if task == "multiclass" else ())
    at = pa.array(np.full(400, np.datetime64("2013-04-01T12:00", "us")), pa.timestamp("us", tz="UTC"))
    ids = pa.array([f"k{n}" for n in range(400)])
    fill("features", pa.table({"id": ids, "at": at, "origin": ["JFK"] * 400}))
    columns = {name: pa.array(rows["chances"][:, place]) for place, (_, name) in enumerate(CLASSES)}
    fill(
        "predictions",
        pa.table(
            {
                "id": ids, "at": at, "model_version": ["1"] * 400, "guess": pa.array(rows["said"].tolist()),
                "foretold": pa.array(rows["foretold"], from_pandas=True), **columns,
            }
        ),
    )  # fmt: skip
    fill("actuals", pa.table({"id": ids, "at": at, "truth": rows["truth"].tolist()}).filter(pa.array(labelled)))
    found = measure_accuracy(engine, model, DAY_ONE, {})["1"][""]
    chances = {name: rows["chances"][labelled, place] for place, (name, _) in enumerate(CLASSES)}
    scored = AccuracyState.of_rows(
        task, rows["truth"][labelled], rows["said"][labelled], probabilities=chances if task == "multiclass" else None
    )
    whole = AccuracyState.of_rows(task, rows["said"], rows["said"], expected=rows["foretold"])
    assert (found.predictions, found.labelled) == (400, int(labelled.sum()))
    for name, value in metrics(scored).items():
        assert metrics(found)[name] == pytest.approx(value, nan_ok=True)
    assert estimated(found) == pytest.approx(estimated(whole))
    assert found.expected == {place: (count, pytest.approx(total)) for place, (count, total) in whole.expected.items()}


def test_log_loss_of_classes_agrees_with_scikit_learn() -> None:
    rows = _rows("multiclass", np.random.default_rng(6))
    known = rows["truth"] != "d"  # a class never seen in training has no probability, and no log loss
    chances = {name: rows["chances"][:, place] for place, (name, _) in enumerate(CLASSES)}
    state = AccuracyState.of_rows("multiclass", rows["truth"], rows["said"], probabilities=chances)
    exact = reference.log_loss(rows["truth"][known], rows["chances"][known], labels=["a", "b", "c"])
    assert metrics(state)["log_loss"] == pytest.approx(exact)
    assert state["log_loss_rows"] == known.sum() < state.labelled


def _world(n: int, shift: float, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": generator.normal(shift, 1, n), "kind": generator.choice(["u", "v"], n)})
    return frame, generator.normal(0, 1, n) * np.exp(0.4 * frame["x"]) * np.where(frame["kind"] == "u", 1.0, 2.0)


def test_a_loss_model_follows_the_inputs() -> None:
    model = replace(
        model_of("regression"),
        features=replace(model_of("regression").features, segments=(), fields=(Field("x"), Field("kind"))),
    )
    frame, noise = _world(8000, 0.0, 1)
    learned = learn(model, frame, noise, Predicted(np.zeros(8000), {}))
    assert learned is not None
    assert learned.kind == "loss"
    for shift in (0.0, 0.3, 0.6):
        there, real = _world(8000, shift, 2)
        foretold = learned.of(there, Predicted(np.zeros(8000), {}))
        assert foretold.mean() == pytest.approx(np.abs(real).mean(), rel=0.05)
        assert abs(np.abs(real).mean() / np.abs(noise).mean() - 1) > 0.1 or shift < 0.3


def test_calibration_makes_a_probability_honest() -> None:
    """Overconfident probabilities (log-odds doubled) come back as what they are worth."""
    generator = np.random.default_rng(3)
    odds = generator.normal(0, 1.5, 20_000)
    truth = (generator.random(20_000) < 1 / (1 + np.exp(-odds))).astype(float)
    said = Predicted(1 / (1 + np.exp(-2 * odds)), {})
    learned = learn(model_of("binary"), pd.DataFrame(index=range(20_000)), truth, said)
    assert learned is not None
    found = learned.of(pd.DataFrame(index=range(20_000)), said)
    assert np.abs(found - 1 / (1 + np.exp(-odds))).max() < 0.03


@pytest.mark.parametrize("known", [True, False])
def test_classes_with_and_without_probabilities(known: bool) -> None:
    generator = np.random.default_rng(4)
    frame = pd.DataFrame({"x": generator.uniform(0, 1, 6000)})
    right = generator.random(6000) < 0.4 + 0.6 * frame["x"]
    chance = (0.4 + 0.6 * frame["x"]).to_numpy()
    said = np.where(frame["x"] > 0.5, "a", "b").astype(object)
    truth = np.where(right, said, "c")
    made = Predicted(said, {"a": chance, "b": np.minimum(chance, 1 - chance)} if known else {})
    learned = learn(model_of("multiclass"), frame, truth, made)
    assert learned is not None
    assert learned.kind == ("calibration" if known else "miss")
    assert np.abs(learned.of(frame, made) - chance).mean() < 0.05


@pytest.mark.parametrize(
    ("actual", "kind"), [([1.0] * 50, "constant"), ([1.0] * 500, "constant"), ([np.nan] * 50, None)]
)
def test_too_little_to_learn_from(actual: list[float], kind: str | None) -> None:
    made = Predicted(np.full(len(actual), 0.7), {})
    found = learn(model_of("binary"), pd.DataFrame(index=range(len(actual))), actual, made)
    assert (found.kind if found else None) == kind
    assert learn(replace(model_of("binary"), expected=""), pd.DataFrame(), actual, made) is None


def test_nothing_is_foretold_of_no_rows() -> None:
    assert len(Expectation("loss", 2.0).of(pd.DataFrame({"x": []}), Predicted(np.array([]), {}))) == 0


def _series(foretold: list[float], real: list[float | None]) -> list[tuple[Window, AccuracyState]]:
    states = []
    for n, (guess, truth) in enumerate(zip(foretold, real, strict=True)):
        sums = {"expected_rows": 50, "expected_abs_error": guess * 50, "abs_error": (truth or 0) * 50}
        state = AccuracyState("regression", 50, labelled=50 if truth else 0, sums=sums)
        states.append((DAY_ONE.shifted(n * DAY), state))
    return states


@pytest.mark.parametrize(
    ("foretold", "status", "severity"),
    [([20.0] * 14, "passed", "none"), ([26.0] * 14, "failed", "warn"), ([26.0] * 3, "learning", "none")],
)
def test_the_estimate_is_judged_before_labels_come(foretold: list[float], status: str, severity: str) -> None:
    states = _series(foretold, [None] * len(foretold))
    model, window = model_of("regression", maturity=timedelta(days=60)), states[-1][0]
    (verdict,) = judge_estimated(model, states, window, window.end, 20.0)
    assert (verdict.metric, verdict.status, verdict.severity) == ("estimated_mae", status, severity)
    assert "concept drift does not show in it" in verdict.reason
    assert [v.status for v in judge_accuracy(model, states, window, window.end, 20.0)] == ["pending"]


def test_its_own_past_error_is_stated_and_counts_as_doubt() -> None:
    trusted, doubted = ([20.0] * 12 + [None] * 14, [34.0] * 12 + [None] * 14)
    said = []
    for real in (trusted, doubted):
        states = _series([20.0] * 12 + [26.0] * 14, real)
        window = states[-1][0]
        model = model_of("regression", maturity=timedelta(days=1))
        (verdict,) = judge_estimated(model, states, window, window.end, 20.0)
        said.append(verdict.status)
        past = past_estimates([s for _, s in states], "mae")
        assert f"on 12 windows with labels it was {past.error:.1%} off" in verdict.reason
    assert said == ["failed", "passed"]


def test_without_figures_nothing_is_estimated() -> None:
    states = [(DAY_ONE, AccuracyState("regression", 50))]
    assert judge_estimated(model_of("regression"), states, DAY_ONE, DAY_ONE.end, 20.0) == []


def test_a_calibration_is_corrected_where_the_model_overlooks_an_input() -> None:
    """A model that knows only x says the same of both kinds; when the mix of kinds shifts, calibration alone is off."""

    def world(n: int, share: float, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        frame = pd.DataFrame(
            {"x": generator.normal(0, 1, n), "kind": np.where(generator.random(n) < share, "noisy", "clear")}
        )
        odds = frame["x"] * np.where(frame["kind"] == "clear", 4.0, 0.5)
        said = 1 / (1 + np.exp(-2 * frame["x"].to_numpy()))
        return frame, (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(float), said

    frame, truth, said = world(20_000, 0.3, 1)
    learned = learn(model_of("binary"), frame, truth, Predicted(said, {}))
    assert learned is not None
    plain = learn(model_of("binary"), pd.DataFrame(index=range(20_000)), truth, Predicted(said, {}))
    assert plain is not None
    assert (learned.kind, plain.kind) == ("varying", "calibration")
    for share in (0.1, 0.5, 0.9):
        frame, truth, said = world(40_000, share, 2)
        realised = reference.roc_auc_score(truth, said)
        gaps = []
        for found in (learned, plain):
            foretold = found.of(frame, Predicted(said, {}))
            assert foretold.min() >= 0
            assert foretold.max() <= 1
            state = AccuracyState.of_rows("binary", said, said, expected=foretold)
            gaps.append(abs(estimated(state)["roc_auc"] - realised))
        assert gaps[0] < 0.01
        assert gaps[0] < 0.3 * gaps[1], (share, gaps)


def test_a_calibration_that_is_right_few_outcomes_or_no_inputs_leave_it_as_it_is() -> None:
    generator = np.random.default_rng(3)
    said = generator.random(20_000)
    truth = (generator.random(20_000) < said).astype(float)
    noise = pd.DataFrame({name: generator.normal(0, 1, 20_000) for name in "abc"})
    right = learn(model_of("binary"), noise, truth, Predicted(said, {}))
    assert right is not None
    assert right.kind == "calibration"
    assert np.abs(right.of(noise + 0.5, Predicted(said, {})) - said).mean() < 0.01
    said, truth = said[:2000], truth[:2000]
    none = learn(model_of("binary"), pd.DataFrame(index=range(2000)), truth, Predicted(said, {}))
    rare = (np.arange(2000) % 30 == 0).astype(float)  # 67 outcomes, and 20 for each of 4 coefficients are asked for
    few = learn(model_of("binary"), pd.DataFrame({"x": said}), rare, Predicted(said, {}))
    assert none is not None
    assert few is not None
    assert (none.kind, few.kind) == ("calibration", "calibration")


def test_inputs_never_seen_missing_or_infinite_still_get_a_figure() -> None:
    generator = np.random.default_rng(3)
    said = generator.random(2000)
    frame = pd.DataFrame({"x": generator.normal(0, 1, 2000), "kind": generator.choice(["u", "v", None], 2000)})
    truth = (generator.random(2000) < 1 / (1 + np.exp(-2 * frame["x"]))).to_numpy(dtype=float)
    hostile = pd.DataFrame({"x": [np.nan, np.inf, -np.inf, 1e300], "kind": ["never seen", None, "u", ""]})
    for task, loss in (("binary", truth), ("regression", generator.exponential(1, 2000))):
        learned = learn(model_of(task), frame, loss, Predicted(said, {}))
        assert learned is not None
        assert learned.kind in ("varying", "loss")
        found = learned.of(hostile, Predicted(np.array([0.0, 1.0, 0.5, 0.5]), {}))
        assert np.isfinite(found).all()


def test_a_calibration_that_varied_otherwise_on_the_newest_rows_is_not_kept() -> None:
    generator = np.random.default_rng(5)
    frame = pd.DataFrame({"x": generator.normal(0, 1, 10_000)})
    said = generator.uniform(0.2, 0.8, 10_000)
    way = np.where(np.arange(10_000) < 7000, 0.15, -0.15)  # the relation has turned round
    truth = (generator.random(10_000) < said + way * np.tanh(frame["x"].to_numpy())).astype(float)
    turned = learn(model_of("binary"), frame, truth, Predicted(said, {}))
    steady = learn(model_of("binary"), frame[:7000], truth[:7000], Predicted(said[:7000], {}))
    assert turned is not None
    assert steady is not None
    assert (turned.kind, steady.kind) == ("calibration", "varying")
