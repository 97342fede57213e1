"""What a prediction's accuracy will be, foretold row by row when it is made: learned at training, applied at prediction.

Learned from predictions that the model made of rows it was not fitted to. Pure: frames and arrays in, arrays out; what is
learned is a scikit-learn estimator, kept beside the model without pickle.

Binary, and multiclass with probabilities: confidence-based estimation. The probability is calibrated (beta calibration:
Kull, Silva Filho and Flach 2017), and a calibrated probability is the chance of the outcome, from which every expected
figure follows. One that is right for the rows of each probability is not yet right for each kind of rows among them, and
is off when their mix shifts; so trees on the inputs correct what it leaves (a calibration of many subgroups stays right
under any shift between them: Hébert-Johnson et al. 2018, Kim et al. 2022), if they do on rows that they haven't seen.

Regression, and multiclass without probabilities: a loss model (gradient-boosted trees, Poisson deviance, whose mean is that
of the losses) learns the loss of a row from its inputs and the prediction. All of it holds while only the inputs shift;
concept drift can't show in it, since it uses the old relation of inputs and outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlobs.predictions import Array, Predicted
from mlobs.spec import Model

MIN_ROWS = 200
"""Rows below which one mean for all rows is learned: a model of so few losses would learn noise."""

CORRECTION_LEAF = 200
"""Rows that a subgroup must have to be corrected: the share of outcomes in so many is known to about .03, and learning
with a rate of .1 takes a tenth of that at a time. Fewer rows than five such groups are not corrected."""

CORRECTION_ROWS = 50_000
"""Newest rows that the correction is learned from; it takes seconds on so many, and more would hardly change it."""

UNSEEN = 0.3
"""Newest part of the rows on which a correction must show that it lowers the log loss, by more than its standard error: where the
probabilities are right already, what trees find in the rest is noise, and shifts with the inputs."""

CLIP = 1e-9
"""Probabilities are clipped to [CLIP, 1 - CLIP] before their logarithm is taken."""

HUGE = 1e30
"""Numbers are clipped to [-HUGE, HUGE], which single precision still holds; infinities with them."""


@dataclass(frozen=True)
class Expectation:
    """What was learned of a model version's accuracy, as plain parts.

    Attributes:
        kind: `constant` (one figure for all rows), `calibration` (of the probability alone), `subgroups` (a calibration
            corrected by the inputs), `loss` (absolute errors) or `miss` (wrong labels).
        value: the constant; the mean of what was learned from otherwise.
        estimator: of scikit-learn; None for a constant.
        numeric, named: input columns that are read as numbers and as categories.
    """

    kind: str
    value: float
    estimator: Any = None
    numeric: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    def of(self, inputs: pd.DataFrame, predicted: Predicted) -> Array:
        """The expected absolute error, calibrated probability, or probability to be right, of each row; shape (n_rows,)."""
        if self.kind == "constant" or not len(predicted):
            return np.full(len(predicted), self.value, dtype=float)
        if self.kind in ("calibration", "subgroups"):
            chance = np.asarray(predicted.confidence if predicted.probabilities else predicted.values, float)
            said = _odds(chance) if self.kind == "calibration" else _with_odds(inputs, chance, self.numeric, self.named)
            return np.asarray(self.estimator.predict_proba(said)[:, 1])
        frame = _inputs(inputs, predicted, self.numeric, self.named, labels=self.kind == "miss")
        loss = np.asarray(self.estimator.predict(frame))
        return np.asarray(1.0 - np.clip(loss, 0.0, 1.0) if self.kind == "miss" else np.maximum(loss, 0.0))


def learn(model: Model, inputs: pd.DataFrame, actual: Any, predicted: Predicted) -> Expectation | None:
    """Learn the accuracy of a model from out-of-fold predictions; None without rows or for a model that wants none.

    Args:
        inputs: the rows' inputs, of shape (n_rows, n_inputs).
        actual: what came true, of shape (n_rows,); rows without it are left out.
    """
    known = np.asarray(pd.notna(actual))
    if not model.expected or not known.any():
        return None
    truth = np.asarray(actual)[known]
    said = Predicted(predicted.values[known], {c: p[known] for c, p in predicted.probabilities.items()})
    rows = inputs.loc[known].reset_index(drop=True)
    if model.task == "regression":
        loss = np.abs(said.values.astype(float) - truth.astype(float))
        return _loss_model("loss", rows, said, loss, float(loss.mean()))
    hit = (
        truth.astype(float) if model.task == "binary" else (truth.astype(str) == said.values.astype(str)).astype(float)
    )
    rate = float(hit.mean())
    if len(hit) < MIN_ROWS or rate in (0.0, 1.0):
        return Expectation("constant", rate)
    chance = said.values if model.task == "binary" else said.confidence
    if chance is None:
        return _loss_model("miss", rows, said, 1.0 - hit, rate)
    return _calibration(rows, np.asarray(chance), hit, rate)


def _calibration(inputs: pd.DataFrame, chance: Array, hit: Array, rate: float) -> Expectation:
    numeric, named = _columns(inputs)
    plain = _beta().fit(_odds(chance), hit.astype(int))
    calibration = Expectation("calibration", rate, plain, numeric, named)
    if len(hit) < 5 * CORRECTION_LEAF or not (numeric or named):
        return calibration
    rows = slice(-CORRECTION_ROWS, None)
    frame, chance, hit = (
        _with_odds(inputs.iloc[rows], chance[rows], numeric, named),
        chance[rows],
        hit[rows].astype(int),
    )
    old, new = slice(None, int(len(hit) * (1 - UNSEEN))), slice(int(len(hit) * (1 - UNSEEN)), None)
    if len(set(hit[old])) < 2:
        return calibration
    alone = _beta().fit(_odds(chance[old]), hit[old]).predict_proba(_odds(chance[new]))[:, 1]
    corrected = _correction(numeric, named).fit(frame.iloc[old], hit[old]).predict_proba(frame.iloc[new])[:, 1]
    gain = _log_loss(hit[new], alone) - _log_loss(hit[new], corrected)
    if gain.mean() <= gain.std(ddof=1) / np.sqrt(len(gain)):
        return calibration
    return Expectation("subgroups", rate, _correction(numeric, named).fit(frame, hit), numeric, named)


def _beta() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1e4)


def _correction(numeric: Sequence[str], named: Sequence[str]) -> Any:
    """Boosting that starts from the calibration. Few small trees: what noise they add averages out over a window."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    last = len(numeric) + len(named)
    alone = make_pipeline(make_column_transformer(("passthrough", [last, last + 1]), remainder="drop"), _beta())
    trees = GradientBoostingClassifier(
        init=alone, n_estimators=60, max_leaf_nodes=6, max_depth=None, min_samples_leaf=CORRECTION_LEAF, subsample=0.5,
        random_state=0,
    )  # fmt: skip
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(_encoder(named), median, trees)


def _log_loss(hit: Array, chance: Array) -> Array:
    """Of each row, in nats."""
    return np.asarray(-np.log(np.clip(np.where(hit == 1, chance, 1 - chance), CLIP, 1.0)))


def _loss_model(kind: str, inputs: pd.DataFrame, said: Predicted, loss: Array, constant: float) -> Expectation:
    if len(loss) < MIN_ROWS or not loss.any():
        return Expectation("constant", constant)
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline

    numeric, named = _columns(inputs)
    frame = _inputs(inputs, said, numeric, named, labels=kind == "miss")
    categories = [*named, "__prediction__"] if kind == "miss" else list(named)
    trees = HistGradientBoostingRegressor(
        loss="poisson", max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=0
    )
    return Expectation(kind, constant, make_pipeline(_encoder(categories), trees).fit(frame, loss), numeric, named)


def _columns(inputs: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Input columns that are read as numbers, and those that are read as categories; points in time are left out."""
    types = pd.api.types
    columns = [str(name) for name in inputs.columns]
    numeric = tuple(n for n in columns if types.is_numeric_dtype(inputs[n]) or types.is_bool_dtype(inputs[n]))
    named = tuple(n for n in columns if n not in numeric and not types.is_datetime64_any_dtype(inputs[n]))
    return numeric, named


def _encoder(categories: Sequence[str]) -> Any:
    """Categories as numbers, first; all other columns behind them as they are."""
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OrdinalEncoder

    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=60)
    return make_column_transformer((encode, list(categories)), remainder="passthrough")


def _odds(chance: Any) -> Array:
    """The two features of beta calibration: ln p and -ln(1 - p)."""
    p = np.clip(np.asarray(chance, float), CLIP, 1 - CLIP)
    return np.column_stack([np.log(p), -np.log1p(-p)])


def _with_odds(inputs: pd.DataFrame, chance: Array, numeric: Sequence[str], named: Sequence[str]) -> pd.DataFrame:
    """Inputs, and as the last two columns the features of beta calibration."""
    first, second = _odds(chance).T
    frame = _inputs(inputs, Predicted(chance, {}), numeric, named, labels=False).drop(columns="__prediction__")
    return frame.assign(__odds__=first, __odds_against__=second)


def _inputs(
    inputs: pd.DataFrame, predicted: Predicted, numeric: Sequence[str], named: Sequence[str], *, labels: bool
) -> pd.DataFrame:
    """Inputs and prediction as the loss model reads them: numbers as double, everything else as text."""
    columns: dict[str, Any] = {}
    for name in numeric:
        columns[name] = pd.to_numeric(inputs[name]).astype("float64").to_numpy(na_value=np.nan).clip(-HUGE, HUGE)
    for name in named:
        columns[name] = inputs[name].astype("str").where(inputs[name].notna(), "").to_numpy(dtype=object)
    values = predicted.values
    columns["__prediction__"] = values.astype(str).astype(object) if labels else values.astype("float64")
    return pd.DataFrame(columns)
