"""Worlds in which only the inputs shift: what the inputs mean for the outcome stays as it was.

Two are drawn (the outcome is known to be as stated); the others are real tables, New York's flights of 2013 and those of
`tables.py`. A real table is halved at random: the model learns from one half, each row once, and windows are drawn from the
other, weighed so that the mix of inputs moves while each row keeps its own outcome. Touches numpy, pandas and files.
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

Past = Callable[[int, np.random.Generator], pd.DataFrame]
"""(rows, generator) -> at most so many rows that the model may learn from: inputs and the column `outcome`."""
Draw = Callable[[int, float, np.random.Generator], pd.DataFrame]
"""(rows, shift in [0, 1], generator) -> rows to predict: inputs and the column `outcome`."""


@dataclass(frozen=True)
class World:
    """A name, its task, the inputs, the unfitted estimator that is monitored, and how rows come.

    `tuned` says that the estimates' constants were chosen by a look at this world; the others were kept apart.
    """

    name: str
    task: Task
    inputs: tuple[str, ...]
    learner: Any
    past: Past
    draw: Draw
    tuned: bool = False


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


class Halves:
    """A table of numbers in two random halves: one to learn from, one to draw shifted windows from.

    Args:
        rows: inputs, of shape (n_rows, n_inputs); `outcome` of shape (n_rows,).
        pull: what weighs a row at shift 1, as log-weight; None takes a fixed random direction of the standardised inputs,
            of length .8, values clipped to +-3.
    """

    def __init__(self, rows: pd.DataFrame, outcome: Any, pull: Any = None) -> None:
        generator = np.random.default_rng(7)
        if pull is None:
            spread = rows.std().replace(0, 1)
            direction = generator.normal(size=rows.shape[1])
            pull = ((rows - rows.mean()) / spread).clip(-3, 3) @ (0.8 * direction / np.linalg.norm(direction))
        order = generator.permutation(len(rows))
        whole = rows.assign(outcome=np.asarray(outcome, float), pull=np.asarray(pull, float)).iloc[order]
        half = len(whole) // 2
        self.known = whole.iloc[:half].drop(columns="pull").reset_index(drop=True)
        self.later = whole.iloc[half:].reset_index(drop=True)

    def past(self, rows: int, generator: np.random.Generator) -> pd.DataFrame:
        return self.known.sample(min(rows, len(self.known)), random_state=generator).reset_index(drop=True)

    def draw(self, rows: int, shift: float, generator: np.random.Generator) -> pd.DataFrame:
        weight = np.exp(shift * self.later["pull"])
        return self.later.sample(rows, replace=True, weights=weight, random_state=generator).drop(columns="pull")


def flights() -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """All flights of 2013: what is known of each as numbers, its outcomes, and a pull to long hauls late in the day."""
    with zipfile.ZipFile(data_folder() / "flights.csv.zip") as packed, packed.open(packed.namelist()[0]) as file:
        columns = ["dep_delay", "arr_delay", "air_time", "distance", "hour", "month", "origin", "carrier"]
        raw = pd.read_csv(file, usecols=columns).dropna().reset_index(drop=True)
    for name in ("origin", "carrier"):
        raw[name] = raw[name].astype("category").cat.codes.astype(float)
    far = (raw["distance"] - raw["distance"].mean()) / raw["distance"].std()
    pull = 0.8 * far + 0.08 * (raw["hour"] - 13) + 0.5 * (raw["origin"] == 1)
    outcomes = pd.DataFrame({"late": raw["arr_delay"] > 15, "air_time": raw["air_time"]}).astype(float)
    return raw[["dep_delay", "distance", "hour", "month", "origin", "carrier"]].astype(float), outcomes, pull


def linear(task: Task) -> Any:
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LinearRegression() if task == "regression" else LogisticRegression())


def of_table(name: str, task: Task, halves: Halves, *, tuned: bool = False) -> list[World]:
    """A table with each of the usual learners."""
    inputs = tuple(c for c in halves.known.columns if c != "outcome")
    learners = {"boosted trees": boosted(task), "linear": linear(task)}
    return [
        World(f"{name}, {said}", task, inputs, learner, halves.past, halves.draw, tuned)
        for said, learner in learners.items()
    ]


def worlds() -> list[World]:
    """Two drawn worlds, two of flights with two learners each, and those of the tables that are installed."""
    from mlobs_tests.benchmarks.estimates.tables import tables

    names = ("a", "b", "c", "kind")
    found = [
        World(f"drawn, {task}", task, names, boosted(task), lambda n, g, draw=draw: draw(n, 0.0, g), draw, tuned=True)
        for task, draw in (("binary", drawn_binary), ("regression", drawn_regression))
    ]
    known, outcomes, pull = flights()
    found += of_table("flights, over 15 min late", "binary", Halves(known, outcomes["late"], pull), tuned=True)
    without_delay = known.drop(columns="dep_delay")
    found += of_table(
        "flights, time in the air", "regression", Halves(without_delay, outcomes["air_time"], pull), tuned=True
    )
    for table in tables():
        found += of_table(table.name, table.task, Halves(table.rows, table.outcome), tuned=table.tuned)
    return found
