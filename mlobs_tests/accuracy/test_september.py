"""September 2013: a model that was trained in winter is worse than a constant, at a lower raw error than in June."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from mlobs.demo import flights
from mlobs.demo.project import models
from mlobs.demo.story import Source
from mlobs.detectors.accuracy import judge_accuracy
from mlobs.detectors.verdict import Verdict
from mlobs.metrics.accuracy import error
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import DAY, Window, instant

INPUTS = [
    "month", "day", "hour", "minute", "weekday", "origin", "dest", "distance",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib",
]  # fmt: skip
"""Schedule, origin, destination, hourly weather: what a first model is given."""


def test_skill_catches_september_where_the_raw_error_sees_nothing() -> None:
    year = flights.load()
    rows = year.features.merge(year.actuals, on=["flight_id", "scheduled_at"]).dropna(subset=["arr_delay"])
    at = rows["scheduled_at"].dt
    rows = rows.assign(month=at.month, day=at.day, minute=at.minute)
    rows = rows.astype({"origin": "category", "dest": "category"})
    known = rows[rows["scheduled_at"] < pd.Timestamp("2013-04-01", tz="UTC")]
    trees = HistGradientBoostingRegressor(loss="absolute_error", categorical_features="from_dtype", random_state=0)
    fixed, naive = trees.fit(known[INPUTS], known["arr_delay"]), float(known["arr_delay"].median())
    model = models(Source(lambda: instant("2014-01-01")))[0]
    assert model.retraining is not None
    states: list[tuple[Window, AccuracyState]] = []
    found: dict[str, list[Verdict]] = {}
    for window in Window("2013-06-01", "2013-10-01").split(DAY):
        part = flights.rows_of(rows, window)
        states.append(
            (window, AccuracyState.of_rows("regression", part["arr_delay"], fixed.predict(part[INPUTS]), naive))
        )
        verdicts = judge_accuracy(model, states, window, window.end + timedelta(days=1), 24.6)
        found.setdefault(f"{window.start:%B}", []).extend(v for v in verdicts if v.metric == "skill")
    assert not any(v.failed for v in found["June"])
    assert sum(v.failed for v in found["September"]) >= model.retraining.failures
    assert "predicting a constant would do better" in next(v.reason for v in found["September"] if v.failed)
    raw = {
        name: error(AccuracyState.merge("regression", (s for w, s in states if f"{w.start:%B}" == name)), "mae")
        for name in ("June", "September")
    }
    assert raw["September"] < raw["June"] - 5
