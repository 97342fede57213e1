"""What a model says of rows, checked: one usable value a row, and for multiclass with probabilities one a class too.

Asks the model (`estimators.py`) and nothing else; knows the declaration, no warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlobs.errors import MlobsError, TrainingError
from mlobs.estimators import ask, said
from mlobs.spec import Model

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Predicted:
    """What a model said of some rows.

    Attributes:
        values: of shape (n_rows,): numbers, probabilities (`binary`) or labels (`multiclass`).
        probabilities: class -> probabilities of shape (n_rows,); empty unless the model declares them.
    """

    values: Array
    probabilities: dict[str, Array]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def confidence(self) -> Array | None:
        """The probability given to the predicted label; None when probabilities aren't known."""
        return np.max(np.column_stack(list(self.probabilities.values())), axis=1) if self.probabilities else None


def predicted(model: Model, estimator: Any, frame: pd.DataFrame, where: str = "") -> Predicted:
    """What the model says of the inputs in `frame` (`ask`), checked.

    Args:
        where: who predicts what, for messages.

    Raises:
        TrainingError: it raised, or returned the wrong shape, missing or infinite values, or for `binary` or declared
            probabilities something outside [0, 1].
    """
    where = where or f"model {model.name!r}: predict"
    if not model.predicts:
        raise TrainingError(f"model {model.name!r} has no predict function: its predictions are made elsewhere")
    rows = frame[list(model.input_names)].reset_index(drop=True)
    numbers = model.task != "multiclass" or bool(model.probabilities)
    try:
        values = np.asarray(ask(model, estimator, rows) if len(rows) else [], dtype=float if numbers else None)
    except MlobsError:
        raise
    except Exception as failure:
        raise TrainingError(f"{where} raised {said(failure)} on {len(rows)} rows") from failure
    names = [name for name, _ in model.probabilities]
    shape = (len(rows), len(names)) if names else (len(rows),)
    if not len(rows):
        values = values.reshape(shape)
    if values.shape != shape:
        wanted = f"one probability a class ({', '.join(names)})" if names else "one value a row"
        raise TrainingError(f"{where} returned shape {values.shape} for {len(rows)} rows: return {wanted}")
    missing = int((~np.isfinite(values)).sum()) if numbers else int(pd.isna(values).sum())
    if missing:
        raise TrainingError(f"{where} returned {missing} missing or infinite values in {len(rows)} rows; none was kept")
    if (model.task == "binary" or names) and values.size and (values.min() < 0 or values.max() > 1):
        raise TrainingError(
            f"{where} returned values in [{values.min():.3g}, {values.max():.3g}]: a {model.task} model must return"
            " probabilities"
        )
    if not names:
        return Predicted(values, {})
    labels = np.array(names, dtype=object)[values.argmax(axis=1)] if len(rows) else np.array([], dtype=object)
    return Predicted(labels, {name: values[:, place] for place, name in enumerate(names)})
