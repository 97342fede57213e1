"""One broken weather feed, through real tables, monitors and incidents: ten fields, several tables, two models, one incident."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from mlobs import Accuracy, Drift, Field, FieldHealth, Freshness, Mix, Model, Schema, Table, Volume
from mlobs.engines import connect
from mlobs.history import History, tables
from mlobs.incidents import events, incidents, lineage_of, members, update
from mlobs.monitor import Monitoring
from mlobs.windows import Window, instant

WEATHER = [f"sensor_{i}" for i in range(10)]
FIRST, BROKEN, LAST = instant("2024-01-01"), 50, 56
ROWS = 120


def common(name: str, fields: list[str]) -> Table:
    return Table(name, key="id", time="at", fields=[Field(f, "numeric") for f in fields])


def model(name: str, features: Table) -> Model:
    """A model that predicts whatever its features say: nothing stops it."""
    return Model(
        name,
        "regression",
        features=features,
        predictions=common(f"{name}_predictions", ["predicted"]),
        actuals=common("actuals", ["actual"]),
        prediction="predicted",
        actual="actual",
        monitors=[
            FieldHealth(blocking=False),
            Drift(),
            Freshness(blocking=False),
            Volume(blocking=False),
            Mix(blocking=False),
            Schema(blocking=False),
            Accuracy(maximum=3.0, maturity=timedelta(0)),
        ],
    )


MODELS = [model("storm", common("weather", WEATHER)), model("delay", common("features", [*WEATHER, "hour"]))]
LINEAGE = {**lineage_of(MODELS), "features": ["weather"]}  # as Dagster's asset graph adds it


def deliver(file: Path) -> None:
    """All rows: from day `BROKEN` on each sensor reads a level that was never seen, and the truth stays what it was."""
    rng = np.random.default_rng(8)
    day = np.repeat(np.arange(LAST + 1), ROWS)
    at = pd.Timestamp(FIRST) + pd.to_timedelta(day * 86_400 + rng.uniform(0, 86_000, len(day)), unit="s")
    truth = rng.gamma(6, 2, (len(at), 10))
    read = np.where((day >= BROKEN)[:, None] & (rng.random(truth.shape) < 0.6), -truth - 20, truth)
    base = pd.DataFrame({"id": np.arange(len(at)), "at": at})
    weather = base.assign(**dict(zip(WEATHER, read.T, strict=True)))
    frames = {
        "weather": weather,
        "features": weather.assign(hour=rng.integers(0, 24, len(at)).astype(float)),
        "storm_predictions": base.assign(predicted=read.mean(axis=1), model_version="1"),
        "delay_predictions": base.assign(predicted=read.mean(axis=1), model_version="1"),
        "actuals": base.assign(actual=truth.mean(axis=1) + rng.normal(0, 0.5, len(at))),
    }
    with duckdb.connect(str(file)) as connection:
        for name, frame in frames.items():
            connection.from_df(frame).create(name)


@pytest.mark.slow
def test_a_broken_weather_feed_is_one_incident_from_the_feed_to_the_accuracy_of_both_models(tmp_path: Path) -> None:
    deliver(tmp_path / "warehouse.duckdb")
    days = [Window.day(FIRST + timedelta(d)) for d in range(LAST + 1)]
    watched = {t.id: t for m in MODELS for t in m.tables.values()}
    with History("sqlite://") as history:
        monitoring = Monitoring(MODELS, connect(f"duckdb:///{tmp_path}/warehouse.duckdb"), history)

        def judge(windows: list[Window]) -> None:
            now = windows[-1].end
            for table in watched.values():
                monitoring.backfill(table, windows, now)
            for one in MODELS:
                for window in windows:
                    monitoring.score(one, window, now)
            update(history, LINEAGE, now, models=MODELS)
            update(history, LINEAGE, now, models=MODELS)

        judge(days[:BROKEN])
        before = {i.id for i in incidents(history)}
        for window in days[BROKEN:]:
            judge([window])

        (found,) = [i for i in incidents(history) if i.id not in before and i.severity != "warn"]
        assert (found.state, found.severity, found.table) == ("open", "critical", "weather")
        assert found.title.startswith("weather: ")
        order = found.touched.tables
        assert {"weather", "features", "storm_predictions", "delay_predictions"} <= set(order)
        assert {"storm.performance", "delay.performance"} <= set(order)
        for above, below in (
            ("weather", "features"),
            ("features", "delay_predictions"),
            ("weather", "storm_predictions"),
        ):
            assert order.index(above) < order.index(below)
        assert {f"{table}.{sensor}" for table in ("weather", "features") for sensor in WEATHER} <= set(
            found.touched.fields
        )
        assert found.touched.models == ("delay", "storm")
        assert found.touched.held == ()
        assert found.window == days[BROKEN].hull(days[-1])
        assert len(members(history, found.id)) > 100

        kinds = [e.kind for e in events(history, found.id)]
        assert kinds[0] == "opened"
        assert set(kinds[1:]) <= {"worse"}
        c = tables.outbox.c
        with history.database.read() as connection:
            told = list(connection.scalars(select(c.change).where(c.incident_id == found.id)))
        assert told == kinds
        assert len(told) <= 3

        count = len(incidents(history))
        judge(days[BROKEN:])
        assert len(incidents(history)) == count
        with history.database.read() as connection:
            assert list(connection.scalars(select(c.change).where(c.incident_id == found.id))) == told
