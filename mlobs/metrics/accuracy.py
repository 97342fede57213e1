"""Accuracy states to metrics, and their uncertainty from the variation between windows; pure, touches only states.

Errors of rows that share a day share its storm, so rows are no independent evidence; windows nearly are. Every standard
error here is a delete-one-window jackknife (Efron and Stein 1981), which holds for any metric of a merged state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlobs.errors import SpecError, nearest
from mlobs.states.accuracy import ERROR_BINS_PER_OCTAVE, AccuracyState

DEFAULT_ERROR = {"regression": "mae", "binary": "log_loss", "multiclass": "error_rate"}
"""The error watched when a declaration names none."""

_RATIOS: dict[str, dict[str, tuple[str, str, str]]] = {
    "regression": {
        "mae": ("abs_error", "naive_error_covered", "naive_abs_error"),
        "rmse": ("squared_error", "naive_squared_covered", "naive_squared_error"),
    },
    "binary": {
        "log_loss": ("log_loss", "log_loss_covered", "naive_log_loss"),
        "brier": ("squared_error", "squared_error_covered", "naive_squared_error"),
        "error_rate": ("errors", "errors_covered", "naive_errors"),
    },
    "multiclass": {"error_rate": ("errors", "errors_covered", "naive_errors")},
}
"""Task -> error -> (sum over labelled rows, the same over rows with a baseline, the baseline's sum)."""

MIN_WINDOWS = 5
"""Windows below which the variation between them says nothing: a t quantile with 3 degrees of freedom or fewer."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its standard error (NaN below two windows) and the windows and rows it rests on."""

    value: float
    standard_error: float
    windows: int
    rows: int

    def bound(self, confidence: float) -> float:
        """Half width of a one-sided interval at that confidence (t with windows - 1 degrees of freedom), infinite if unknown."""
        if self.windows < 2 or not math.isfinite(self.standard_error):
            return math.inf
        from scipy.special import stdtrit

        return float(stdtrit(self.windows - 1, confidence)) * self.standard_error


def errors_of(task: str) -> tuple[str, ...]:
    """The errors (lower is better) that a limit can be set on for a task.

    >>> errors_of("binary")
    ('log_loss', 'brier', 'error_rate')
    """
    return tuple(_RATIOS[task])


def watched_error(task: str, metric: str | None) -> str:
    """The error that is watched: `metric`, or the task's default.

    Raises:
        SpecError: when it is no error of the task.
    """
    name = metric or DEFAULT_ERROR[task]
    if name not in _RATIOS[task]:
        raise SpecError(f"monitor accuracy: {name!r} is no error of a {task} model; {nearest(name, _RATIOS[task])}")
    return name


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def _sum(state: AccuracyState, name: str) -> float:
    if name == "errors" and state.task == "binary":
        return state["positives"] - state["true_positives"] + state["false_positives"]
    return state[name]


def error(state: AccuracyState, metric: str) -> float:
    """The mean error of the labelled rows (`rmse`: root of the mean square); NaN without any. Lower is better.

    >>> s = AccuracyState("regression", 2, labelled=2, sums={"abs_error": 3.0, "squared_error": 5.0})
    >>> error(s, "mae"), round(error(s, "rmse"), 3)
    (1.5, 1.581)
    """
    mean = _ratio(_sum(state, _RATIOS[state.task][metric][0]), state.labelled)
    return math.sqrt(mean) if metric == "rmse" else mean


def naive_error(state: AccuracyState, metric: str) -> float:
    """The error of the naive baseline (training median or mean, class prior) on the rows that have one; NaN if none."""
    mean = _ratio(_sum(state, _RATIOS[state.task][metric][2]), state["naive_rows"])
    return math.sqrt(mean) if metric == "rmse" else mean


def skill(state: AccuracyState, metric: str) -> float:
    """1 - error / naive error, in (-inf, 1]: 0 is no better than the baseline, below 0 worse (Murphy 1988). NaN if unknown.

    >>> sums = {"errors": 1, "naive_rows": 4, "naive_errors": 2, "errors_covered": 1}
    >>> skill(AccuracyState("multiclass", 4, labelled=4, sums=sums), "error_rate")
    0.5
    """
    _, covered, naive = _RATIOS[state.task][metric]
    ratio = _ratio(_sum(state, covered), _sum(state, naive))
    return 1.0 - (math.sqrt(ratio) if metric == "rmse" else ratio)


def typical(state: AccuracyState) -> float | str | None:
    """What came true in a window, as a naive prediction for another: mean, share of positives, or commonest class.

    None without labels.
    """
    if not state.labelled:
        return None
    if state.task == "multiclass":
        counts: dict[str, int] = {}
        for (truth, _), (count, _) in sorted(state.cells.items()):
            counts[truth] = counts.get(truth, 0) + count
        return max(counts, key=lambda name: counts[name])
    return state["actual" if state.task == "regression" else "positives"] / state.labelled


def estimate(states: Sequence[AccuracyState], metric: str) -> Estimate:
    """The error of all `states` (one per window) merged, with its jackknife standard error over windows."""
    task = states[0].task
    numerator = _RATIOS[task][metric][0]
    return _jackknifed(
        [_sum(s, numerator) for s in states],
        [float(s.labelled) for s in states],
        math.sqrt if metric == "rmse" else float,
        sum(s.labelled for s in states),
    )


def estimate_skill(states: Sequence[AccuracyState], metric: str) -> Estimate:
    """The skill of all `states` merged, with its jackknife standard error: pairs error and naive error by window."""
    _, covered, naive = _RATIOS[states[0].task][metric]
    root: Callable[[float], float] = math.sqrt if metric == "rmse" else float
    return _jackknifed(
        [_sum(s, covered) for s in states],
        [_sum(s, naive) for s in states],
        lambda ratio: 1.0 - root(ratio),
        int(sum(s["naive_rows"] for s in states)),
    )


def estimate_improvement(pairs: Sequence[tuple[AccuracyState, AccuracyState]], metric: str) -> Estimate:
    """1 - error of the first / error of the second, over (first, second) pairs of the same windows, jackknifed over windows.

    In (-inf, 1]; above 0 the first is better. NaN with no pairs.
    """
    if not pairs:
        return Estimate(math.nan, math.nan, 0, 0)
    numerator = _RATIOS[pairs[0][0].task][metric][0]
    root: Callable[[float], float] = math.sqrt if metric == "rmse" else float
    first = [_sum(a, numerator) for a, _ in pairs]
    second = [_sum(b, numerator) for _, b in pairs]
    return _jackknifed(first, second, lambda ratio: 1.0 - root(ratio), sum(a.labelled for a, _ in pairs))


def estimate_regret(states: Sequence[AccuracyState], metric: str) -> Estimate:
    """Error - naive error on the rows that have a baseline, in the error's unit, with its jackknife standard error.

    Above 0 the model is worse than its baseline; NaN without rows that have one.
    """
    covered = _RATIOS[states[0].task][metric][1]
    root: Callable[[float], float] = math.sqrt if metric == "rmse" else float

    def regret(state: AccuracyState) -> float:
        return root(_ratio(_sum(state, covered), state["naive_rows"])) - naive_error(state, metric)

    return estimate_any([s for s in states if s["naive_rows"]], regret)


def estimate_any(states: Sequence[AccuracyState], metric: Callable[[AccuracyState], float]) -> Estimate:
    """Any metric of the merged states with its jackknife standard error; for `roc_auc`, `f1` and the like."""
    usable = [s for s in states if s.labelled]
    if not usable:
        return Estimate(math.nan, math.nan, 0, 0)
    task = usable[0].task
    before = [AccuracyState(task)]
    for state in usable:
        before.append(before[-1] + state)
    value = metric(before[-1])
    left_out, after = [], AccuracyState(task)
    for place in range(len(usable) - 1, -1, -1):
        left_out.append(metric(before[place] + after))
        after = usable[place] + after
    return Estimate(value, _spread(np.array(left_out)), len(usable), before[-1].labelled)


def _jackknifed(
    numerators: Sequence[float], denominators: Sequence[float], shape: Callable[[float], float], rows: int
) -> Estimate:
    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    top, bottom = top[bottom > 0], bottom[bottom > 0]
    if not len(bottom):
        return Estimate(math.nan, math.nan, 0, rows)
    value = shape(float(top.sum() / bottom.sum()))
    if len(bottom) < 2:
        return Estimate(value, math.nan, len(bottom), rows)
    left_out = (top.sum() - top) / (bottom.sum() - bottom)
    return Estimate(value, _spread(np.array([shape(max(0.0, float(r))) for r in left_out])), len(bottom), rows)


def _spread(left_out: np.ndarray) -> float:
    k = len(left_out)
    if k < 2:
        return math.nan
    return float(np.sqrt((k - 1) / k * np.square(left_out - left_out.mean()).sum()))


def metrics(state: AccuracyState) -> dict[str, float]:
    """Every metric of a state; NaN where it is not defined (no rows, one class only).

    Regression: `mae`, `rmse`, `bias` (mean of prediction - actual), `mape` (rows with actual != 0), `wape`
    (sum |error| / sum |actual|), `r2`, `median_abs_error` and `p90_abs_error` (binned, within 4.5%), `naive_mae`, `skill`.
    Binary: `accuracy`, `error_rate`, `precision`, `recall`, `f1` (at .5), `log_loss` (natural log), `brier`, `roc_auc`,
    `pr_auc` (average precision), `roc_auc_bound` and `pr_auc_bound` (the largest error that binning can have made of each),
    `calibration_error` (expected, 10 bins), `naive_log_loss`, `skill`.
    Multiclass: `accuracy`, `error_rate`, `macro_f1`, `weighted_f1`, `log_loss` (where probabilities are stored),
    `naive_error_rate`, `skill`.
    Where figures were foretold at prediction time, the metrics of `estimated`, each with `estimated_` before its name.
    """
    realised = {"regression": _regression, "binary": _binary, "multiclass": _multiclass}[state.task](state)
    return realised | {f"estimated_{name}": value for name, value in estimated(state).items()}


def estimated(state: AccuracyState) -> dict[str, float]:
    """The accuracy that was foretold of the predictions of a state, without any label; empty where nothing was foretold.

    Regression: `mae`. Binary: `accuracy`, `error_rate`, `precision`, `recall`, `f1` (at .5), `log_loss`, `brier`,
    `roc_auc`, `pr_auc`. Multiclass: `accuracy`, `error_rate`. Holds while only the inputs shift (covariate shift); a
    change of what the inputs mean for the outcome (concept drift) does not show in it.

    >>> estimated(AccuracyState("regression", 2, sums={"expected_rows": 2, "expected_abs_error": 5.0}))
    {'mae': 2.5}
    """
    rows = state["expected_rows"]
    if not rows:
        return {}
    if state.task == "regression":
        return {"mae": state["expected_abs_error"] / rows}
    if state.task == "multiclass":
        return {"accuracy": state["expected_hits"] / rows, "error_rate": 1.0 - state["expected_hits"] / rows}
    tp, fp, positives = (state[f"expected_{name}"] for name in ("true_positives", "false_positives", "positives"))
    places = sorted(state.expected, key=int)
    count = np.array([state.expected[place][0] for place in places], float)
    hits = np.array([state.expected[place][1] for place in places])
    wrong = positives - tp + fp
    return {
        "accuracy": 1.0 - wrong / rows,
        "error_rate": wrong / rows,
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, positives),
        "f1": _ratio(2 * tp, tp + fp + positives),
        "log_loss": state["expected_log_loss"] / rows,
        "brier": state["expected_squared_error"] / rows,
        "roc_auc": _area(count - hits, hits)[0],
        "pr_auc": _average_precision(count - hits, hits)[0],
    }


_FORETOLD = {
    "regression": {"mae": "expected_abs_error"},
    "binary": {"log_loss": "expected_log_loss", "brier": "expected_squared_error", "error_rate": "expected_errors"},
    "multiclass": {"error_rate": "expected_errors"},
}


def estimate_unseen(states: Sequence[AccuracyState], metric: str) -> Estimate:
    """The foretold error of all `states` merged, with its jackknife standard error; NaN where the error isn't foretold."""
    name = _FORETOLD[states[0].task].get(metric)
    if name is None:
        return Estimate(math.nan, math.nan, 0, 0)
    rows = [s["expected_rows"] for s in states]
    return _jackknifed([_foretold_sum(s, name) for s in states], rows, float, int(sum(rows)))


def _foretold_sum(state: AccuracyState, name: str) -> float:
    if name != "expected_errors":
        return state[name]
    if state.task == "multiclass":
        return state["expected_rows"] - state["expected_hits"]
    return state["expected_positives"] - state["expected_true_positives"] + state["expected_false_positives"]


@dataclass(frozen=True)
class Trust:
    """How far off the estimates of the past were, over the windows whose labels have come.

    Attributes:
        error: mean of |estimate - realised| / realised over windows; NaN without any.
        bias: mean of (estimate - realised) / realised.
        windows: how many.
    """

    error: float
    bias: float
    windows: int


def past_estimates(states: Sequence[AccuracyState], metric: str) -> Trust:
    """The estimates' own past error on windows with labels."""
    gaps = []
    for state in states:
        foretold, real = estimate_unseen([state], metric).value, error(state, metric)
        if math.isfinite(foretold) and math.isfinite(real) and real > 0:
            gaps.append((foretold - real) / real)
    if not gaps:
        return Trust(math.nan, math.nan, 0)
    return Trust(float(np.mean(np.abs(gaps))), float(np.mean(gaps)), len(gaps))


def _regression(state: AccuracyState) -> dict[str, float]:
    n = state.labelled
    return {
        "mae": error(state, "mae"),
        "rmse": error(state, "rmse"),
        "bias": _ratio(state["error"], n),
        "mape": _ratio(state["relative_error"], state["relative_rows"]),
        "wape": _ratio(state["abs_error"], state["abs_actual"]),
        "r2": 1.0 - _ratio(state["squared_error"], state["actual_m2"]),
        "median_abs_error": abs_error_quantile(state, 0.5),
        "p90_abs_error": abs_error_quantile(state, 0.9),
        "naive_mae": naive_error(state, "mae"),
        "skill": skill(state, "mae"),
    }


def abs_error_quantile(state: AccuracyState, q: float) -> float:
    """The q-quantile of |error| of a regression state, read from its log bins: within 4.5% of the exact one."""
    if not state.labelled:
        return math.nan
    bins = sorted((int(b) if b != "zero" else -(10**9), count) for (b, _), (count, _) in state.cells.items())
    rank, seen = q * state.labelled, 0
    for place, count in bins:
        seen += count
        if seen >= rank:
            return 0.0 if place == -(10**9) else 2.0 ** ((place + 0.5) / ERROR_BINS_PER_OCTAVE)
    return math.nan


def confusion(state: AccuracyState) -> dict[tuple[str, str], int]:
    """(actual, predicted) -> rows of a multiclass state."""
    return {cell: count for cell, (count, _) in state.cells.items()}


def _multiclass(state: AccuracyState) -> dict[str, float]:
    table = confusion(state)
    classes = sorted({c for cell in table for c in cell})
    f1, support = [], []
    for c in classes:
        hits = table.get((c, c), 0)
        actual = sum(n for (a, _), n in table.items() if a == c)
        predicted = sum(n for (_, p), n in table.items() if p == c)
        f1.append(2 * hits / (actual + predicted) if actual + predicted else 0.0)
        support.append(actual)
    return {
        "accuracy": 1.0 - error(state, "error_rate"),
        "error_rate": error(state, "error_rate"),
        "macro_f1": float(np.mean(f1)) if f1 else math.nan,
        "weighted_f1": float(np.average(f1, weights=support)) if sum(support) else math.nan,
        "log_loss": _ratio(state["log_loss"], state["log_loss_rows"]),
        "naive_error_rate": naive_error(state, "error_rate"),
        "skill": skill(state, "error_rate"),
    }


def _binary(state: AccuracyState) -> dict[str, float]:
    tp, fp = state["true_positives"], state["false_positives"]
    precision, recall = _ratio(tp, tp + fp), _ratio(tp, state["positives"])
    (auc, bound), (average, average_bound) = roc_auc(state), average_precision(state)
    return {
        "accuracy": 1.0 - error(state, "error_rate"),
        "error_rate": error(state, "error_rate"),
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * tp, tp + fp + state["positives"]),
        "log_loss": error(state, "log_loss"),
        "brier": error(state, "brier"),
        "roc_auc": auc,
        "roc_auc_bound": bound,
        "pr_auc": average,
        "pr_auc_bound": average_bound,
        "calibration_error": calibration_error(state),
        "naive_log_loss": naive_error(state, "log_loss"),
        "skill": skill(state, "log_loss"),
    }


def _by_bin(state: AccuracyState) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Bins in rising order of probability: (bin, negatives, positives, sum of probabilities)."""
    bins = sorted({int(b) for b, _ in state.cells})
    rows = [[state.cells.get((str(b), label), (0, 0.0)) for label in ("0", "1")] for b in bins]
    negatives = np.array([r[0][0] for r in rows], float)
    positives = np.array([r[1][0] for r in rows], float)
    return np.array(bins), negatives, positives, np.array([r[0][1] + r[1][1] for r in rows])


def roc_auc(state: AccuracyState) -> tuple[float, float]:
    """Area under the ROC curve of the binned probabilities, and the largest error that binning can have made.

    Pairs that share a bin count one half, so the exact area lies within +- half of such pairs' share.
    """
    _, negatives, positives, _ = _by_bin(state)
    return _area(negatives, positives)


def _area(negatives: np.ndarray, positives: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve of counts by bin, in rising order, and half the share of pairs that share a bin."""
    pairs = float(negatives.sum() * positives.sum()) if len(negatives) else 0.0
    if not pairs:
        return math.nan, math.nan
    below = np.cumsum(negatives) - negatives
    ties = float((negatives * positives).sum())
    return float((positives * below).sum() + ties / 2) / pairs, ties / 2 / pairs


def average_precision(state: AccuracyState) -> tuple[float, float]:
    """Average precision (sum of precision over steps of recall), each bin being one threshold; NaN without positives.

    And the largest error that binning can have made: nothing is known of the order inside a bin. The exact value is highest
    when its positives come first and are all alike, and lowest when they come last, one after the other.
    """
    _, negatives, positives, _ = _by_bin(state)
    return _average_precision(negatives, positives)


def _average_precision(negatives: np.ndarray, positives: np.ndarray) -> tuple[float, float]:
    if not len(positives) or not positives.sum():
        return math.nan, math.nan
    from scipy.special import digamma

    new, wrong = positives[::-1], np.cumsum(negatives[::-1])
    hits = np.cumsum(new)
    value = new * hits / np.maximum(hits + wrong, 1e-300)
    high = new * hits / np.maximum(hits + wrong - negatives[::-1], 1e-300)
    # sum of (h + i) / (h + w + i) for i = 1 ... new, with h hits before the bin and w wrong ones with it
    low = new - wrong * (digamma(hits + wrong + 1) - digamma(hits - new + wrong + 1))
    total = new.sum()
    return float(value.sum() / total), float(max((high - value).sum(), (value - low).sum()) / total)


def calibration_error(state: AccuracyState, bins: int = 10) -> float:
    """Expected calibration error over `bins` equal-width bins of the probability (Naeini et al. 2015), in [0, 1].

    Log-odds bins are put into the equal-width bin that holds their mean probability.
    """
    _, negatives, positives, probability = _by_bin(state)
    rows = negatives + positives
    if not rows.sum():
        return math.nan
    place = np.minimum((probability / rows * bins).astype(int), bins - 1)
    gaps = np.bincount(place, probability - positives, minlength=bins)
    return float(np.abs(gaps).sum() / rows.sum())


@dataclass(frozen=True)
class Excess:
    """What one segment adds to the error above a norm.

    Attributes:
        segment: `field=value`.
        error: its error, with `standard_error` over windows and `rows` labelled rows.
        norm: the error it is held against.
        excess: (error - norm) x rows, in the metric's unit times rows; below 0 when the segment is better than its norm.
        share: of the summed excess of all segments of the same field that lie above their norm, in [0, 1].
        sure: whether the error lies above the norm with 95% one-sided confidence.
    """

    segment: str
    error: float
    standard_error: float
    rows: int
    norm: float
    excess: float
    share: float
    sure: bool


def excess_by_segment(
    segments: Mapping[str, Sequence[AccuracyState]],
    norms: Mapping[str, float] | float,
    metric: str,
    *,
    min_rows: int = 100,
) -> list[Excess]:
    """Which segments carry the excess error, the largest share first.

    Args:
        segments: segment -> its states, one a window. Segments of one field ("origin=JFK", "origin=EWR") are weighed
            against each other.
        norms: the error each segment is held against (its own earlier error, so that a segment that was always hard isn't
            blamed for a change), or one norm for all (the cross-validated error).
        min_rows: labelled rows below which a segment is left out.

    >>> late = AccuracyState("regression", 100, labelled=100, sums={"abs_error": 3000.0})
    >>> same = AccuracyState("regression", 300, labelled=300, sums={"abs_error": 6000.0})
    >>> [(e.segment, e.share) for e in excess_by_segment({"origin=JFK": [same], "origin=LGA": [late]}, 20.0, "mae")]
    [('origin=LGA', 1.0), ('origin=JFK', 0.0)]
    """
    found: list[Excess] = []
    for segment, states in segments.items():
        if not states:
            continue
        value = estimate(states, metric)
        norm = norms if isinstance(norms, (int, float)) else norms.get(segment, math.nan)
        if value.rows < min_rows or not math.isfinite(norm):
            continue
        sure = value.value - value.bound(0.95) > norm
        excess = (value.value - norm) * value.rows
        found.append(Excess(segment, value.value, value.standard_error, value.rows, norm, excess, 0.0, sure))
    totals: dict[str, float] = {}
    for e in found:
        totals[_field(e)] = totals.get(_field(e), 0.0) + max(0.0, e.excess)
    shared = [replace(e, share=max(0.0, e.excess) / totals[_field(e)] if totals[_field(e)] else 0.0) for e in found]
    return sorted(shared, key=lambda e: (-e.share, -e.excess, e.segment))


def _field(excess: Excess) -> str:
    return excess.segment.partition("=")[0]
