"""What a prediction's accuracy will be, foretold row by row when it is made: learned at training, applied at prediction.

Learned from predictions that the model made of rows it was not fitted to. Pure: frames and arrays in, arrays out; what is
learned is a scikit-learn estimator, kept beside the model without pickle.

Binary, and multiclass with probabilities: confidence-based estimation. The probability is calibrated (beta calibration:
Kull, Silva Filho and Flach 2017), and a calibrated probability is the chance of the outcome, from which every expected
figure follows. One that is right for the rows of each probability is not yet right for each kind of rows among them, and
is off when their mix shifts; so its level and slope vary with the inputs (a varying-coefficient model: Hastie and
Tibshirani 1993), where that is nearer on the newest rows. What is left is then uncorrelated with every input, at any
probability, and a calibration of which that is true stays right when inputs shift along their scales (multiaccuracy: Kim,
Ghorbani and Zou 2019, Kim et al. 2022).

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

EVENTS = 20
"""Outcomes, and failures to come out, that each coefficient of a varying calibration must have; with fewer, the calibration is
one for all inputs. Ten are the least at which a logistic regression is thought sound (Peduzzi et al. 1996)."""

CALIBRATION_ROWS = 200_000
"""Newest rows that a varying calibration is learned from: so many settle it, and take seconds."""

UNSEEN = 0.3
"""Newest share of the rows on which a varying calibration must have the lower log loss, learned from the others, to be kept:
with time the mix moves and relations do, and one that was learned too closely is worse there than none."""

FAR = 4.0
"""Standard deviations from the mean to which inputs count, and beyond which a calibration learned of others isn't stretched."""

SURE = 10.0
"""Log-odds to which the slope varies with the inputs; AUC bins end there too."""

CLIP = 1e-9
"""Probabilities are clipped to [CLIP, 1 - CLIP] before their logarithm is taken."""

HUGE = 1e30
"""Numbers are clipped to [-HUGE, HUGE], which single precision still holds; infinities with them."""


_PLAIN: dict[str, Any] = {"C": 1e4}
_VARYING: dict[str, Any] = {"solver": "newton-cholesky"}
"""Of the logistic regressions: of the odds alone, next to no penalty; with the inputs, scikit-learn's usual one."""


@dataclass(frozen=True)
class Expectation:
    """What was learned of a model version's accuracy, as plain parts.

    Attributes:
        kind: `constant` (one figure for all rows), `calibration` (of the probability alone), `varying` (a calibration whose
            level and slope vary with the inputs), `loss` (absolute errors) or `miss` (wrong labels).
        value: the constant; the mean of what was learned from otherwise.
        estimator: of scikit-learn; None for a constant.
        numeric, named: input columns that are read as numbers and as categories.
        encoder: of scikit-learn, makes numbers of about one size of the inputs for a varying calibration.
    """

    kind: str
    value: float
    estimator: Any = None
    numeric: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    encoder: Any = None

    def of(self, inputs: pd.DataFrame, predicted: Predicted) -> Array:
        """The expected absolute error, calibrated probability, or probability to be right, of each row; shape (n_rows,)."""
        if self.kind == "constant" or not len(predicted):
            return np.full(len(predicted), self.value, dtype=float)
        if self.kind in ("calibration", "varying"):
            chance = np.asarray(predicted.confidence if predicted.probabilities else predicted.values, float)
            said = _odds(chance)
            if self.kind == "varying":
                said = _varying(said, self.encoder.transform(_read(inputs, self.numeric, self.named)))
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
    from sklearn.linear_model import LogisticRegression

    hit, (numeric, named) = hit.astype(int), _columns(inputs)
    newest = slice(-CALIBRATION_ROWS, None)
    if numeric or named:
        frame = _read(inputs.iloc[newest], numeric, named)
        encoder = _standard(numeric, named).fit(frame)
        odds, known = _odds(chance[newest]), hit[newest]
        design = _varying(odds, encoder.transform(frame))
        enough = min(known.sum(), len(known) - known.sum()) >= EVENTS * design.shape[1]
        if enough and _gains(design, odds, known):
            learned = LogisticRegression(**_VARYING).fit(design, known)
            return Expectation("varying", rate, learned, numeric, named, encoder)
    return Expectation("calibration", rate, LogisticRegression(**_PLAIN).fit(_odds(chance), hit), numeric, named)


def _gains(design: Array, odds: Array, hit: Array) -> bool:
    """Whether the regression on `design` has a lower log loss than that on `odds` on the newest rows, by more than its
    standard error; both learned from the others."""
    from sklearn.linear_model import LogisticRegression

    at = int(len(hit) * (1 - UNSEEN))
    if len(set(hit[:at])) < 2:
        return False
    losses = []
    for how, x in ((_PLAIN, odds), (_VARYING, design)):
        chance = LogisticRegression(**how).fit(x[:at], hit[:at]).predict_proba(x[at:])[:, 1]
        losses.append(-np.log(np.clip(np.where(hit[at:] == 1, chance, 1 - chance), CLIP, 1.0)))
    gain = losses[0] - losses[1]
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _standard(numeric: Sequence[str], named: Sequence[str]) -> Any:
    """Numbers with mean 0 and deviation 1, gaps at the median; categories by one column each, rare ones together."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    kinds = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=MIN_ROWS, max_categories=60, sparse_output=False
    )
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    scaled = make_column_transformer((numbers, list(numeric)), (kinds, list(named)))
    return make_pipeline(scaled, StandardScaler())


def _varying(odds: Array, inputs: Array) -> Array:
    """Log-odds, inputs, and inputs times log-odds; the first are so large that no penalty weighs on their coefficients.

    Args:
        odds: the features of beta calibration, of shape (n_rows, 2).
        inputs: of shape (n_rows, n_inputs), standardised.
    """
    near = np.clip(inputs, -FAR, FAR)
    return np.column_stack([100 * odds, near, near * np.clip(odds.sum(axis=1), -SURE, SURE)[:, None]])


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


def _inputs(
    inputs: pd.DataFrame, predicted: Predicted, numeric: Sequence[str], named: Sequence[str], *, labels: bool
) -> pd.DataFrame:
    """Inputs and prediction as the loss model reads them."""
    values = predicted.values
    said = values.astype(str).astype(object) if labels else values.astype("float64")
    return _read(inputs, numeric, named).assign(__prediction__=said)


def _read(inputs: pd.DataFrame, numeric: Sequence[str], named: Sequence[str]) -> pd.DataFrame:
    """Inputs as they are learned from: numbers as double, everything else as text."""
    columns: dict[str, Any] = {}
    for name in numeric:
        columns[name] = pd.to_numeric(inputs[name]).astype("float64").to_numpy(na_value=np.nan).clip(-HUGE, HUGE)
    for name in named:
        columns[name] = inputs[name].astype("str").where(inputs[name].notna(), "").to_numpy(dtype=object)
    return pd.DataFrame(columns, index=inputs.index)
