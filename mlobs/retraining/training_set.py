"""The training set as of an instant: features joined with labels that were mature by then; nothing from later.

Runs one query in the engine and fetches its rows; touches spec, engines and profiling, no MLflow and no Dagster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sqlglot import exp

from mlobs.errors import DataError, nearest
from mlobs.profiling.accuracy import LABELS, column, joined_on_keys, need_type, table_as
from mlobs.spec import Model
from mlobs.windows import DAY, Window, instant

if TYPE_CHECKING:
    from mlobs.engines import Engine

TIME = "__time__"
"""Column of the frame with the time of each row; not handed to `train` or `predict`."""


@dataclass(frozen=True)
class TrainingSet:
    """Labelled rows, oldest first.

    Attributes:
        frame: one row a label: the model's inputs, the actual, and the row's time in column `TIME`.
        window: from the first row's window to the end of the newest mature window.
        excluded: windows left out because their data is broken.
        fingerprint: 16 hex digits over the rows; the same rows give the same digits.
        cadence: length of one window.
    """

    frame: pd.DataFrame
    window: Window
    excluded: tuple[Window, ...]
    fingerprint: str
    cadence: timedelta = DAY

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that hold rows, oldest first."""
        numbers = sorted(set(self.numbers().tolist()))
        start = self.window.start
        return tuple(Window(start + n * self.cadence, start + (n + 1) * self.cadence) for n in numbers)

    def numbers(self) -> pd.Series:
        """For each row the number of its window, counted from the start of `window`."""
        return (self.frame[TIME] - pd.Timestamp(self.window.start)) // pd.Timedelta(self.cadence)

    def rows_in(self, windows: Sequence[Window]) -> pd.DataFrame:
        """The rows of these windows."""
        numbers = {(w.start - self.window.start) // self.cadence for w in windows}
        return self.frame[self.numbers().isin(numbers)]


def newest_mature(model: Model, until: datetime) -> datetime:
    """The end of the newest window whose labels are mature at `until`; windows are counted from the features' start."""
    anchor = model.features.start or instant("1970-01-01")
    maturity = model.accuracy.maturity if model.accuracy else timedelta(0)
    if maturity is None:
        maturity = model.features.cadence
    whole = (instant(until) - maturity - anchor) // model.features.cadence
    return anchor + whole * model.features.cadence


def build(
    engine: Engine,
    model: Model,
    until: datetime,
    excluded: Sequence[Window] = (),
    *,
    since: datetime | None = None,
) -> TrainingSet:
    """Features joined with their labels, as they could be known at `until`.

    Point in time: only windows whose labels are mature at `until`; no row of features or actuals that carries a later
    time; no features newer than the label they are joined with. Of several labels of one key the newest known counts,
    of several feature rows the newest. Rows without a usable label are left out: none is known, it is infinite, or it is
    neither 0 nor 1 where the task is `binary`. Their number is part of the accuracy of their window, which says so.

    Args:
        until: data time of the training.
        excluded: windows to leave out (broken data).
        since: first instant; None means `retraining.history` before the end, or all.

    Raises:
        DataError: a column is missing, labels are of a type that the task can't have, or no labelled row is left.
        WarehouseError: a table is missing or the warehouse refused.
    """
    from mlobs.engines import Source

    until = instant(until)
    end = newest_mature(model, until)
    policy = model.retraining
    start = instant(since) if since else (end - policy.history if policy and policy.history else None)
    types = {role: engine.columns(Source.table(model.tables[role].path)) for role in ("features", "actuals")}
    _need(model, types)
    need_type(engine, model, "actuals", model.actual, types["actuals"], LABELS)
    query = _query(engine, model, types, start, end, until, excluded)
    frame = engine.run(query).to_pandas()
    frame[TIME] = pd.to_datetime(frame[TIME], utc=True)
    frame = frame[_usable(model, frame[model.actual])].reset_index(drop=True)
    if frame.empty:
        before = f" since {start:%Y-%m-%d}" if start else ""
        raise DataError(
            f"model {model.name!r}: no labelled row before {end:%Y-%m-%d %H:%M} UTC{before} to train on: load features into"
            f" {model.features.id!r} and labels into {model.actuals.id!r} first"
        )
    first = frame[TIME].iloc[0].to_pydatetime()
    anchor = start or model.features.start or instant("1970-01-01")
    first = anchor + (first - anchor) // model.features.cadence * model.features.cadence
    window = Window(first, end)
    left_out = tuple(sorted(w for w in excluded if w.overlaps(window)))
    digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()[:16]
    return TrainingSet(frame, window, left_out, digest, model.features.cadence)


def _usable(model: Model, actual: pd.Series) -> np.ndarray:
    """For each label whether the task can have it, as the accuracy query decides it."""
    if model.task == "multiclass":
        return actual.notna().to_numpy()
    numbers = actual.astype("float64").to_numpy(na_value=np.nan)
    return np.isin(numbers, (0.0, 1.0)) if model.task == "binary" else np.isfinite(numbers)


def _need(model: Model, types: dict[str, dict[str, str]]) -> None:
    wanted = {"features": (*model.input_names, model.features.time), "actuals": (model.actual, model.actuals.time)}
    for role, names in wanted.items():
        for name in names:
            if name not in types[role]:
                raise DataError(
                    f"model {model.name!r}: {role} table {model.tables[role].id!r} has no column {name!r} to train on;"
                    f" {nearest(name, types[role])}"
                )


def _query(
    engine: Engine,
    model: Model,
    types: dict[str, dict[str, str]],
    start: datetime | None,
    end: datetime,
    until: datetime,
    excluded: Sequence[Window],
) -> exp.Select:
    time, labelled = column(model.features.time, "f"), column(model.actuals.time, "a")

    def at(value: datetime, role: str) -> exp.Expr:
        return engine.forms.moment(value, types[role][model.tables[role].time])

    conditions: list[exp.Expr] = [
        exp.LT(this=time.copy(), expression=at(end, "features")),
        exp.LT(this=labelled.copy(), expression=at(until, "actuals")),
        exp.LTE(this=time.copy(), expression=labelled.copy()),
        exp.Is(this=column(model.actual, "a"), expression=exp.null()).not_(),
    ]
    if start:
        conditions.append(exp.GTE(this=time.copy(), expression=at(start, "features")))
    for window in excluded:
        outside = exp.or_(
            exp.LT(this=time.copy(), expression=at(window.start, "features")),
            exp.GTE(this=time.copy(), expression=at(window.end, "features")),
        )
        conditions.append(outside)
    keys = [column(k, "f") for k in model.features.keys]
    newest = exp.Window(
        this=exp.RowNumber(),
        partition_by=[k.copy() for k in keys],
        order=exp.Order(
            expressions=[exp.Ordered(this=labelled.copy(), desc=True), exp.Ordered(this=time.copy(), desc=True)]
        ),
    )
    names = [n for n in model.input_names if n != model.actual]
    inner = (
        exp.select(
            exp.alias_(time.copy(), TIME, quoted=True),
            *(exp.alias_(column(n, "f"), n, quoted=True) for n in names),
            exp.alias_(column(model.actual, "a"), model.actual, quoted=True),
            *(exp.alias_(k, f"__key_{i}__", quoted=True) for i, k in enumerate(keys)),
            exp.alias_(newest, "__place__", quoted=True),
        )
        .from_(table_as(model.features, "f"))
        .join(table_as(model.actuals, "a"), on=joined_on_keys(model, "f", "a"), join_type="inner")
        .where(*conditions)
    )
    chosen = [column(n, "rows") for n in (TIME, *names, model.actual)]
    order = [column(n, "rows") for n in (TIME, *(f"__key_{i}__" for i in range(len(keys))))]
    return (
        exp.select(*chosen)
        .from_(exp.alias_(inner.subquery(), "rows", table=True))
        .where(column("__place__", "rows").eq(1))
        .order_by(*order)
    )
