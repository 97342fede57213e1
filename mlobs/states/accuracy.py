"""The mergeable state of a model's accuracy over some windows: sums and counts, from which every error is computed.

Plain data and algebra (merge, bytes); may touch only errors. What a state is made from: `profiling/accuracy.py`.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from mlobs.errors import ProfileError

Task = Literal["regression", "binary", "multiclass"]
Cell = tuple[str, str]

SUMS: dict[str, tuple[str, ...]] = {
    "regression": (
        "error",
        "abs_error",
        "squared_error",
        "actual",
        "abs_actual",
        "actual_m2",
        "relative_error",
        "relative_rows",
        "naive_rows",
        "naive_abs_error",
        "naive_squared_error",
        "naive_error_covered",
        "naive_squared_covered",
        "expected_rows",
        "expected_abs_error",
    ),
    "binary": (
        "probability",
        "positives",
        "true_positives",
        "false_positives",
        "log_loss",
        "squared_error",
        "naive_rows",
        "naive_log_loss",
        "naive_squared_error",
        "naive_errors",
        "log_loss_covered",
        "squared_error_covered",
        "errors_covered",
        "expected_rows",
        "expected_positives",
        "expected_true_positives",
        "expected_false_positives",
        "expected_log_loss",
        "expected_squared_error",
    ),
    "multiclass": (
        "errors",
        "naive_rows",
        "naive_errors",
        "errors_covered",
        "log_loss",
        "log_loss_rows",
        "expected_rows",
        "expected_hits",
    ),
}
"""Names of the sums per task. `*_covered` are the model's sums over the rows whose naive baseline is known; `expected_*` are
what was foretold at prediction time (`expectation.py`), over all predictions that carry a figure, labelled or not."""

ERROR_BINS_PER_OCTAVE = 8
"""Absolute errors are binned on a log2 grid: a quantile read from the bins is off by at most 2**(1/16) - 1 = 4.5%."""

LOGIT_BINS_PER_UNIT = 20
"""Probabilities are binned on their log-odds, 20 bins a unit, clamped to +-10 (so 401 bins at most)."""

LOGIT_CLAMP = 10.0

LARGEST = 1e150
"""Numbers beyond this count as unusable: their squares overflow."""

SMALLEST_ACTUAL = 1e-9
"""Relative errors are taken of rows whose |actual| is above this."""

EPSILON = 2.0**-52
"""Probabilities are clipped to [EPSILON, 1 - EPSILON] before their logarithm is taken, as scikit-learn does."""

PRIOR_EPSILON = 1e-6
"""The prior of the naive baseline is clipped likewise, since a training set without positives doesn't prove 0."""

Array = np.ndarray[Any, Any]

_MAGIC = b"mlobs-accuracy-1\n"


@dataclass(frozen=True)
class AccuracyState:
    """Sums over the predictions of one model version in one or many windows, joined with their labels.

    Attributes:
        task: `regression`, `binary` or `multiclass`.
        predictions: predicted rows, one per key (and version), labelled or not.
        unusable: of these, predictions that are null, NaN, infinite, or a probability outside [0, 1].
        unreadable: of these, predictions whose label is there but can't be read for the task (a binary label other
            than 0 and 1).
        duplicates: surplus label rows of the same key; the newest known one counts.
        labelled: rows with a usable prediction and a readable label; all sums run over these.
        sums: one float per name of `SUMS[task]`; a missing name is 0.
        cells: counts and sums by cell. Regression: (bin of |error|, ""). Binary: (bin of log-odds, "0" or "1"), the
            sum is of probabilities. Multiclass: (actual, predicted).
        expected: what was foretold, by bin of log-odds (binary: the sum is of calibrated probabilities) or predicted class
            (multiclass: of probabilities to be right); empty for regression, whose sum is enough.

    `a + b` is the state of the rows of both, exactly for counts and to rounding for sums; it is associative and
    commutative, and `AccuracyState(task)` is its identity.

    >>> a = AccuracyState("multiclass", 2, labelled=2, sums={"errors": 1.0}, cells={("x", "x"): (1, 0.0), ("x", "y"): (1, 0.0)})
    >>> (a + a).cells[("x", "y")]
    (2, 0.0)
    >>> AccuracyState.from_bytes(a.to_bytes()) == a == a + AccuracyState("multiclass")
    True
    """

    task: Task
    predictions: int = 0
    unusable: int = 0
    unreadable: int = 0
    duplicates: int = 0
    labelled: int = 0
    sums: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[Cell, tuple[int, float]] = field(default_factory=dict)
    expected: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.task not in SUMS:
            raise ProfileError(f"accuracy state: task {self.task!r} is unknown; known: {', '.join(SUMS)}")
        unknown = set(self.sums) - set(SUMS[self.task])
        if unknown:
            raise ProfileError(f"accuracy state of a {self.task} model has no sums named {sorted(unknown)}")
        object.__setattr__(self, "sums", {name: float(self.sums.get(name, 0.0)) for name in SUMS[self.task]})

    def __hash__(self) -> int:
        return hash((self.task, self.predictions, self.labelled, tuple(self.sums.values())))

    @property
    def coverage(self) -> float:
        """Share of predictions with a known label (readable or not), in [0, 1]; NaN without predictions."""
        if not self.predictions:
            return math.nan
        return min(1.0, (self.labelled + self.unreadable) / max(1, self.predictions - self.unusable))

    def __getitem__(self, name: str) -> float:
        return self.sums[name]

    def __add__(self, other: AccuracyState) -> AccuracyState:
        if self.task != other.task:
            raise ProfileError(f"can't merge the accuracy of a {self.task} model with that of a {other.task} model")
        sums = {name: self.sums[name] + other.sums[name] for name in SUMS[self.task]}
        if self.task == "regression" and self.labelled and other.labelled:
            # Chan, Golub and LeVeque (1979): sum of squares about the common mean.
            gap = other["actual"] / other.labelled - self["actual"] / self.labelled
            sums["actual_m2"] += gap * gap * self.labelled * other.labelled / (self.labelled + other.labelled)
        cells = dict(self.cells)
        for cell, (count, total) in other.cells.items():
            here = cells.get(cell, (0, 0.0))
            cells[cell] = (here[0] + count, here[1] + total)
        expected = dict(self.expected)
        for place, (count, total) in other.expected.items():
            there = expected.get(place, (0, 0.0))
            expected[place] = (there[0] + count, there[1] + total)
        return AccuracyState(
            self.task,
            self.predictions + other.predictions,
            self.unusable + other.unusable,
            self.unreadable + other.unreadable,
            self.duplicates + other.duplicates,
            self.labelled + other.labelled,
            sums,
            cells,
            expected,
        )

    @classmethod
    def of_rows(
        cls,
        task: Task,
        actual: Any,
        prediction: Any,
        baseline: float | str | None = None,
        *,
        probabilities: Mapping[str, Any] | None = None,
        expected: Any = None,
    ) -> AccuracyState:
        """The state of rows held in memory (cross-validation, comparison); what the query computes for a window.

        Args:
            actual, prediction: arrays of shape (n_rows,): numbers, or any labels for `multiclass`.
            baseline: the naive prediction for these rows; None leaves skill unknown.
            probabilities: for `multiclass`, class -> its predicted probability in each row; rows of other classes have no
                log loss.
            expected: what was foretold of each row (`expectation.py`), NaN where nothing was.
        """
        whole = cls._of_rows(task, actual, prediction, baseline, probabilities)
        if expected is None:
            return whole
        sums, places = _expected_rows(task, np.asarray(prediction), np.asarray(expected, float))
        return replace(whole, sums={**whole.sums, **sums}, expected=places)

    @classmethod
    def _of_rows(
        cls,
        task: Task,
        actual: Any,
        prediction: Any,
        baseline: float | str | None,
        probabilities: Mapping[str, Any] | None,
    ) -> AccuracyState:
        if task == "multiclass":
            truth, said = np.asarray(actual).astype(str), np.asarray(prediction).astype(str)
            return _multiclass_rows(truth, said, baseline, probabilities or {})
        y, p = np.asarray(actual, float), np.asarray(prediction, float)
        known = np.abs(y) <= LARGEST
        usable = np.abs(p) <= LARGEST if task == "regression" else (p >= 0) & (p <= 1)
        readable = known if task == "regression" else (y == 0) | (y == 1)
        scored = usable & readable
        constant = math.nan if baseline is None else float(baseline)
        rows = _regression_rows if task == "regression" else _binary_rows
        sums, cells = rows(y[scored], p[scored], constant)
        return cls(
            task,
            predictions=len(y),
            unusable=int((~usable).sum()),
            unreadable=int((known & ~readable & usable).sum()),
            labelled=int(scored.sum()),
            sums=sums,
            cells=cells,
        )

    @classmethod
    def merge(cls, task: Task, states: Iterable[AccuracyState]) -> AccuracyState:
        """The state of the rows of all `states`; the identity when there are none."""
        total = cls(task)
        for state in states:
            total = total + state
        return total

    def to_bytes(self) -> bytes:
        """Bytes with a format version; `from_bytes` gives back an equal state."""
        content: dict[str, Any] = {
            "task": self.task,
            "counts": [self.predictions, self.unusable, self.unreadable, self.duplicates, self.labelled],
            "sums": self.sums,
            "cells": [[*cell, count, total] for cell, (count, total) in sorted(self.cells.items())],
            "expected": [[place, count, total] for place, (count, total) in sorted(self.expected.items())],
        }
        return _MAGIC + zlib.compress(json.dumps(content, separators=(",", ":")).encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> AccuracyState:
        """The state that `to_bytes` wrote.

        Raises:
            ProfileError: when the bytes are no accuracy state, or of a newer format.
        """
        if not data.startswith(_MAGIC):
            raise ProfileError("these bytes hold no accuracy state that this mlobs can read: upgrade mlobs or re-score")
        try:
            content = json.loads(zlib.decompress(data[len(_MAGIC) :]))
            cells = {(a, b): (int(count), float(total)) for a, b, count, total in content["cells"]}
            expected = {place: (int(count), float(total)) for place, count, total in content.get("expected", ())}
            predictions, unusable, unreadable, duplicates, labelled = (int(n) for n in content["counts"])
            sums = content["sums"]
            return cls(content["task"], predictions, unusable, unreadable, duplicates, labelled, sums, cells, expected)
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise ProfileError(
                f"the bytes of an accuracy state are damaged ({error}): score the window again"
            ) from error


def _regression_rows(y: Array, p: Array, baseline: float) -> tuple[dict[str, float], dict[Cell, tuple[int, float]]]:
    e, b = p - y, baseline - y
    covered = float(math.isfinite(baseline))
    divisible = np.abs(y) > SMALLEST_ACTUAL
    relative = np.abs(e[divisible] / y[divisible])
    sums = {
        "error": e.sum(),
        "abs_error": np.abs(e).sum(),
        "squared_error": np.square(e).sum(),
        "actual": y.sum(),
        "abs_actual": np.abs(y).sum(),
        "actual_m2": np.square(y - y.mean()).sum() if len(y) else 0.0,
        "relative_error": relative.sum(),
        "relative_rows": len(relative),
        "naive_rows": covered * len(y),
        "naive_abs_error": np.abs(b).sum() if covered else 0.0,
        "naive_squared_error": np.square(b).sum() if covered else 0.0,
        "naive_error_covered": covered * np.abs(e).sum(),
        "naive_squared_covered": covered * np.square(e).sum(),
    }
    size = np.abs(e[e != 0])
    bins, counts = np.unique(np.floor(np.log2(size) * ERROR_BINS_PER_OCTAVE).astype(int), return_counts=True)
    cells: dict[Cell, tuple[int, float]] = {(str(b), ""): (int(n), 0.0) for b, n in zip(bins, counts, strict=True)}
    if len(size) < len(e):
        cells["zero", ""] = (len(e) - len(size), 0.0)
    return {name: float(value) for name, value in sums.items()}, cells


def _binary_rows(y: Array, p: Array, prior: float) -> tuple[dict[str, float], dict[Cell, tuple[int, float]]]:
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    covered = float(math.isfinite(prior))
    q = min(max(prior, PRIOR_EPSILON), 1 - PRIOR_EPSILON)
    loss = -np.log(np.where(y == 1, clipped, 1 - clipped))
    said, square = p >= 0.5, np.square(p - y)
    wrong = said != (y == 1)
    sums = {
        "probability": p.sum(),
        "positives": y.sum(),
        "true_positives": (said & (y == 1)).sum(),
        "false_positives": (said & (y == 0)).sum(),
        "log_loss": loss.sum(),
        "squared_error": square.sum(),
        "naive_rows": covered * len(y),
        "naive_log_loss": -np.log(np.where(y == 1, q, 1 - q)).sum() if covered else 0.0,
        "naive_squared_error": np.square(prior - y).sum() if covered else 0.0,
        "naive_errors": ((prior >= 0.5) != (y == 1)).sum() if covered else 0.0,
        "log_loss_covered": covered * loss.sum(),
        "squared_error_covered": covered * square.sum(),
        "errors_covered": covered * wrong.sum(),
    }
    bins = logit_bins(clipped)
    cells: dict[Cell, tuple[int, float]] = {}
    for place, label in sorted(set(zip(bins.tolist(), y.astype(int).tolist(), strict=True))):
        inside = (bins == place) & (y == label)
        cells[str(place), str(label)] = (int(inside.sum()), float(p[inside].sum()))
    return {name: float(value) for name, value in sums.items()}, cells


def _multiclass_rows(
    y: Array, p: Array, baseline: float | str | None, probabilities: Mapping[str, Any]
) -> AccuracyState:
    wrong = float((y != p).sum())
    sums = {"errors": wrong}
    if baseline is not None:
        sums |= {"naive_rows": len(y), "naive_errors": float((y != str(baseline)).sum()), "errors_covered": wrong}
    for name, values in probabilities.items():
        mine = np.clip(np.asarray(values, float)[y == name], EPSILON, 1.0)
        sums["log_loss"] = sums.get("log_loss", 0.0) - float(np.log(mine).sum())
        sums["log_loss_rows"] = sums.get("log_loss_rows", 0) + len(mine)
    cells: dict[Cell, tuple[int, float]] = {}
    for truth, said in zip(y.tolist(), p.tolist(), strict=True):
        cells[truth, said] = (cells.get((truth, said), (0, 0.0))[0] + 1, 0.0)
    return AccuracyState("multiclass", len(y), labelled=len(y), sums=sums, cells=cells)


def _expected_rows(task: Task, p: Array, q: Array) -> tuple[dict[str, float], dict[str, tuple[int, float]]]:
    """What was foretold: `q` is the expected |error|, the calibrated probability, or the probability to be right."""
    if task == "regression":
        kept = (q >= 0) & (q <= LARGEST) & (np.abs(p.astype(float)) <= LARGEST)
        return {"expected_rows": float(kept.sum()), "expected_abs_error": float(q[kept].sum())}, {}
    kept = (q >= 0) & (q <= 1)
    if task == "multiclass":
        named = p.astype(str)[kept]
        by_class = {c: (int((named == c).sum()), float(q[kept][named == c].sum())) for c in sorted(set(named.tolist()))}
        return {"expected_rows": float(kept.sum()), "expected_hits": float(q[kept].sum())}, by_class
    probability = p.astype(float)
    kept &= (probability >= 0) & (probability <= 1)
    p, q = probability[kept], q[kept]
    clipped = np.clip(p, EPSILON, 1 - EPSILON)
    sums = {
        "expected_rows": float(len(q)),
        "expected_positives": q.sum(),
        "expected_true_positives": q[p >= 0.5].sum(),
        "expected_false_positives": (1 - q)[p >= 0.5].sum(),
        "expected_log_loss": -(q * np.log(clipped) + (1 - q) * np.log(1 - clipped)).sum(),
        "expected_squared_error": (q * (1 - p) ** 2 + (1 - q) * p**2).sum(),
    }
    bins = logit_bins(clipped)
    places = {str(b): (int((bins == b).sum()), float(q[bins == b].sum())) for b in sorted(set(bins.tolist()))}
    return {name: float(value) for name, value in sums.items()}, places


def logit_bins(clipped: Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The bin of each probability: its log-odds times 20, floored, clamped to +-200."""
    logit = np.clip(np.log(clipped / (1 - clipped)), -LOGIT_CLAMP, LOGIT_CLAMP)
    return np.asarray(np.floor(logit * LOGIT_BINS_PER_UNIT)).astype(int)
