"""Outside requests for training: the newest row that others wrote into a table of theirs. One small query; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
from sqlglot import exp

from mlobs.errors import DataError, nearest
from mlobs.spec import Model, Table
from mlobs.windows import instant

if TYPE_CHECKING:
    from mlobs.engines import Engine
    from mlobs.history import History


@dataclass(frozen=True)
class Request:
    """A row that asks for training: when it was written, and why."""

    at: datetime
    reason: str


def newest_signal(engine: Engine, model: Model, history: History, now: datetime) -> Request | None:
    """The newest row of the signal's table that no training has answered yet; None without one, or without the table.

    A training answers all rows that were written before it. Rows of the future don't count.

    Raises:
        DataError: the table lacks the time or note column.
        WarehouseError: the warehouse can't be read.
    """
    from mlobs.engines import Source

    signal = model.retraining.signal if model.retraining else None
    if signal is None:
        return None
    answered = max((version.at for version in history.versions(model.name)), default=None)
    if answered is None:
        return None
    source = Source.table(signal.path)
    *schema, name = signal.path
    if not engine.exists(Table(name, time=signal.time, key=signal.time, schema=".".join(schema))):
        return None
    columns = engine.columns(source)
    for name in filter(None, (signal.time, signal.note)):
        if name not in columns:
            raise DataError(
                f"model {model.name!r}: the table {signal.table!r} of its retraining signal has no column {name!r};"
                f" {nearest(name, columns)}"
            )
    time, kind = exp.column(signal.time, quoted=True), columns[signal.time]
    note = exp.cast(exp.column(signal.note, quoted=True), exp.DataType.build("text")) if signal.note else exp.null()
    query = (
        exp.select(exp.alias_(time.copy(), "at", quoted=True), exp.alias_(note, "note", quoted=True))
        .from_(source.expression.copy())
        .where(
            exp.GT(this=time.copy(), expression=engine.forms.moment(answered, kind)),
            exp.LTE(this=time.copy(), expression=engine.forms.moment(instant(now), kind)),
        )
        .order_by(exp.Ordered(this=time.copy(), desc=True))
        .limit(1)
    )
    rows = engine.run(query).to_pylist()
    if not rows:
        return None
    stamp = pd.Timestamp(rows[0]["at"])
    at = instant((stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp).to_pydatetime())
    said = f": {rows[0]['note']}" if rows[0]["note"] else ""
    return Request(at, f"a row of {at:%Y-%m-%d %H:%M} UTC in {signal.table} asks for training{said}")
