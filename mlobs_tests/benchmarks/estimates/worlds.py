"""Worlds in which only the inputs shift: what the inputs mean for the outcome stays as it was.

Two are drawn (the outcome is known to be as stated), two are New York's flights of 2013, sampled anew so that the mix of
airports, hours and distances moves while each row keeps its own outcome. Touches numpy, pandas and the packaged flights.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mlobs.demo.flights import data_folder
from mlobs.spec import Task

Draw = Callable[[int, float, np.random.Generator], pd.DataFrame]
"""(rows, shift in [0, 1], generator) -> inputs and the column `outcome`."""


@dataclass(frozen=True)
class World:
    """A name, its task, the inputs, the model that is monitored, and how rows are drawn."""

    name: str
    task: Task
    inputs: tuple[str, ...]
    learner: Callable[[], Any]
    draw: Draw


def boosted(task: Task, **settings: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return kind(random_state=0, **settings)


def _drawn_inputs(rows: int, shift: float, generator: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Two numbers that drift, one that tilts, and a class whose mix moves; and the signal they carry."""
    a = generator.normal(0.5 * shift, 1.0, rows)
    b = generator.normal(-0.4 * shift, 1.0, rows)
    c = generator.uniform(0, 1, rows) ** (1 - 0.3 * shift)
    kind = generator.choice(4, rows, p=[0.4 - 0.2 * shift, 0.3, 0.2, 0.1 + 0.2 * shift])
    effect = np.array([-2.0, 0.0, 1.0, 3.0])[kind]
    signal = 3.2 * a - 2.4 * b * (c > 0.5) + 1.5 * effect + 1.2 * np.sin(3 * a) - 0.5
    return pd.DataFrame({"a": a, "b": b, "c": c, "kind": kind.astype(float)}), signal


def drawn_binary(rows: int, shift: float, generator: np.random.Generator) -> pd.DataFrame:
    frame, signal = _drawn_inputs(rows, shift, generator)
    return frame.assign(outcome=(generator.random(rows) < 1 / (1 + np.exp(-1.3 * signal))).astype(float))


def drawn_regression(rows: int, shift: float, generator: np.random.Generator) -> pd.DataFrame:
    """The spread of the outcome grows with one input and differs by class, so the error moves with the inputs."""
    frame, signal = _drawn_inputs(rows, shift, generator)
    spread = 0.5 + np.exp(0.3 * frame["a"]) + 0.8 * (frame["kind"] == 3)
    return frame.assign(outcome=3 * signal + spread * generator.normal(0, 1, rows))


class NewYork:
    """All flights of 2013; `shift` weighs the rows, so the mix of airports, hours and distances moves."""

    def __init__(self) -> None:
        with zipfile.ZipFile(data_folder() / "flights.csv.zip") as packed, packed.open(packed.namelist()[0]) as file:
            columns = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "month", "origin", "carrier"]
            raw = pd.read_csv(file, usecols=columns).dropna().reset_index(drop=True)
        for name in ("origin", "carrier"):
            raw[name] = raw[name].astype("category").cat.codes.astype(float)
        self.rows = raw.astype(float)
        self.late = (raw["arr_delay"] > 15).astype(float)
        far = (self.rows["distance"] - self.rows["distance"].mean()) / self.rows["distance"].std()
        self.pull = 0.8 * far + 0.08 * (self.rows["hour"] - 13) + 0.5 * (self.rows["origin"] == 1)

    def sample(self, rows: int, shift: float, generator: np.random.Generator) -> pd.Index:
        weight = np.exp(shift * self.pull)
        return pd.Index(generator.choice(len(self.rows), rows, p=(weight / weight.sum()).to_numpy()))

    def is_late(self, rows: int, shift: float, generator: np.random.Generator) -> pd.DataFrame:
        chosen = self.sample(rows, shift, generator)
        return self.rows.loc[chosen].assign(outcome=self.late.loc[chosen]).reset_index(drop=True)

    def time_in_air(self, rows: int, shift: float, generator: np.random.Generator) -> pd.DataFrame:
        chosen = self.sample(rows, shift, generator)
        return self.rows.loc[chosen].assign(outcome=self.rows.loc[chosen, "air_time"]).reset_index(drop=True)


def worlds() -> list[World]:
    """The four worlds of the benchmark."""
    known = ("dep_delay", "distance", "hour", "month", "origin", "carrier")
    city = NewYork()
    drawn = ("a", "b", "c", "kind")
    return [
        World("drawn, binary", "binary", drawn, lambda: boosted("binary"), drawn_binary),
        World("flights, over 15 min late", "binary", known, lambda: boosted("binary"), city.is_late),
        World("drawn, regression", "regression", drawn, lambda: boosted("regression"), drawn_regression),
        World("flights, time in the air", "regression", known[1:], lambda: boosted("regression"), city.time_in_air),
    ]
