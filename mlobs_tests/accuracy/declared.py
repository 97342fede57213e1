"""The declarations and windows that the tests of this folder share."""

from __future__ import annotations

from typing import Any

from mlobs.spec import Accuracy, Model, Table, Task
from mlobs.windows import Window

DAY_ONE, DAY_TWO = Window.day("2013-04-01"), Window.day("2013-04-02")
BOTH = DAY_ONE.hull(DAY_TWO)


def model_of(task: Task, **accuracy: Any) -> Model:
    common = {"key": "id", "time": "at"}
    return Model(
        name="m",
        task=task,
        features=Table("features", segments=("origin",), **common),
        predictions=Table("predictions", **common),
        actuals=Table("actuals", **common),
        prediction="guess",
        actual="truth",
        monitors=(Accuracy(**accuracy),),
    )
