"""`scene` puts literal predictions and labels, duplicates and all, into an empty warehouse on each real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from mlobs.engines import Engine
from mlobs.spec import Model


def _table(columns: dict[str, Any]) -> pa.Table:
    moments = pd.to_datetime(pd.Series(columns["at"]), utc=True).dt.tz_convert(None)
    arrays = {name: pa.array(values, from_pandas=False) for name, values in columns.items() if name != "at"}
    return pa.table({**arrays, "at": pa.array(moments.to_numpy(dtype="datetime64[us]"), pa.timestamp("us", tz="UTC"))})


@pytest.fixture
def scene(engine: Engine, fill: Callable[..., Any]) -> Callable[..., Engine]:
    """Predictions as (id, at, origin, version, guess), labels as (id, at, truth)."""

    def put(model: Model, rows: list[tuple[Any, ...]], labels: list[tuple[Any, ...]]) -> Engine:
        ids, at, origin, version, guess = (list(column) for column in zip(*rows, strict=True))
        known = dict(zip(ids, zip(at, origin, strict=True), strict=True))
        features = {"id": list(known), "at": [k[0] for k in known.values()], "origin": [k[1] for k in known.values()]}
        fill("features", _table(features))
        fill("predictions", _table({"id": ids, "at": at, "model_version": version, "guess": guess}))
        keys, moments, truth = (list(column) for column in zip(*labels, strict=True))
        fill("actuals", _table({"id": keys, "at": moments, "truth": truth}))
        return engine

    return put
