"""`Monitoring` on a real DuckDB warehouse and SQLite history: windows land, are judged, corrected and judged again."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import mlobs
from mlobs.engines import connect
from mlobs.errors import DataError, TrainingError
from mlobs.windows import DAY, Window, instant

START = instant("2024-01-01")


class Shop:
    """Orders of a shop, 200 a day; `broken` maps a day to what its first delivery does to the rows."""

    def __init__(self, folder):
        self.broken = {}
        table = {"key": "id", "time": "at", "start": START}
        self.orders = mlobs.Table("orders", fields=["wait", "city"], segments=["city"], load=self.load, **table)
        self.model = mlobs.Model(
            name="delivery", task="regression", features=self.orders, predictions=mlobs.Table("predictions", **table),
            actuals=mlobs.Table("actuals", **table), prediction="predicted", actual="minutes", inputs=("wait",),
            train=lambda frame: 1.0, predict=lambda estimator, frame: estimator * frame["wait"].to_numpy(),
        )  # fmt: skip
        self.history = mlobs.History(f"sqlite:///{folder / 'history.db'}")
        self.monitoring = mlobs.Monitoring([self.model], connect(f"duckdb:///{folder / 'shop.duckdb'}"), self.history)

    def load(self, window):
        rng = np.random.default_rng(window.start.toordinal())
        frame = pd.DataFrame(
            {
                "id": [f"{window.key}-{i}" for i in range(200)],
                "at": window.start + pd.to_timedelta(np.arange(200) * 7, unit="min"),
                "wait": rng.gamma(3, 2, 200),
                "city": rng.choice(["Rome", "Oslo"], 200),
            }
        )
        return self.broken.get(window.key, lambda rows: rows)(frame)

    def day(self, number):
        """Land and judge one day, six hours into it; its failed verdicts."""
        window = Window.day(START + number * DAY)
        now = window.start + timedelta(hours=6)
        self.monitoring.land(self.orders, window, now)
        return [v for v in self.monitoring.check(self.orders, window, now) if v.failed]


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path)
    windows = list(Window(START, START + 40 * DAY).split(DAY))
    for window in windows:
        made.monitoring.land(made.orders, window, window.start + timedelta(hours=6))
    made.monitoring.backfill(made.orders, windows, START + 40 * DAY)
    return made


def negative(rows):
    return rows.assign(wait=rows.wait.where(rows.index > 0, -1.0))


def test_one_negative_value_blocks_prediction_until_a_corrected_delivery(shop):
    window = Window.day(START + 40 * DAY)
    shop.broken[window.key] = negative
    failed = shop.day(40)
    assert {(v.field, v.metric, v.severity) for v in failed} >= {("wait", "negative_rate", "error")}
    assert [v.metric for v in shop.monitoring.blocked(shop.model, window)] == [
        v.metric for v in failed if v.severity == "error"
    ]
    shop.broken.clear()
    assert [v for v in shop.day(40) if v.severity == "error"] == []
    assert shop.monitoring.blocked(shop.model, window) == []


def test_an_excused_fault_does_not_block(shop):
    window = Window.day(START + 40 * DAY)
    shop.broken[window.key] = negative
    shop.day(40)
    scope = {"table": "orders", "field": "wait", "metric": "negative_rate"}
    shop.history.add_feedback("expected", scope, "ann", window.end, start=window.start, until=window.end)
    assert "negative_rate" not in {v.metric for v in shop.monitoring.blocked(shop.model, window)}


def test_half_the_rows_fail_the_volume(shop):
    shop.broken[Window.day(START + 40 * DAY).key] = lambda rows: rows.iloc[::2]
    assert ("rows", "error") in {(v.metric, v.severity) for v in shop.day(40) if v.detector == "volume"}


def test_a_stale_delivery_fails_and_its_correction_passes(shop):
    shop.day(40)
    today = Window.day(START + 41 * DAY)
    shop.broken[today.key] = lambda rows: shop.load(today.shifted(-DAY))
    assert {"freshness", "volume"} <= {v.detector for v in shop.day(41)}
    shop.broken.clear()
    later = today.end + timedelta(hours=5)
    shop.monitoring.land(shop.orders, today, later)
    again = shop.monitoring.check(shop.orders, today, later)
    assert [v.reason for v in again if v.failed and v.severity == "error"] == []


def test_a_corrected_day_does_not_hide_the_day_after_it_from_what_is_learned(shop):
    shop.day(40)
    shop.day(41)
    shop.day(40)
    reference = mlobs.Reference.from_bytes(shop.history.reference("orders").payload)
    assert shop.day(42) == [] or all(v.severity == "warn" for v in shop.day(42))
    known = [w.key for w, _ in shop.history.profiles("orders", reference.profile.fingerprint)]
    assert known[-3:] == [Window.day(START + n * DAY).key for n in (40, 41, 42)]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.drop(columns="id"), "the delivery lacks 'id'"),
        (lambda rows: None, "returned NoneType, not a DataFrame"),
        (lambda rows: rows.nothing, "load for window 2024-02-10 failed: AttributeError"),
    ],
)
def test_a_delivery_that_can_not_be_placed_is_refused_and_nothing_is_lost(shop, spoil, message):
    window = Window.day(START + 40 * DAY)
    shop.broken[window.key] = spoil
    with pytest.raises(DataError, match=message):
        shop.day(40)
    assert len(shop.monitoring.engine.fetch(shop.orders)) == 40 * 200


def test_a_missing_column_is_named_by_schema_and_lands_as_nulls(shop):
    shop.broken[Window.day(START + 40 * DAY).key] = lambda rows: rows.drop(columns="wait")
    failed = {(v.detector, v.field, v.metric) for v in shop.day(40)}
    assert ("schema", "wait", "column_removed") in failed


@pytest.mark.parametrize(
    ("value", "metrics"),
    [(np.nan, {"null_rate", "nan_rate"}), (None, {"null_rate"}), (np.inf, {"inf_rate"}), (3.5, {"distinct"})],
    ids=["nan", "null", "inf", "constant"],
)
def test_a_field_of_one_value_fails_and_blocks(shop, value, metrics):
    """All NaN, all null, all infinite, or frozen to an ordinary number."""
    window = Window.day(START + 40 * DAY)
    shop.broken[window.key] = lambda rows: rows.assign(wait=np.array([value] * len(rows), float))
    errors = {v.metric for v in shop.day(40) if v.field == "wait" and v.severity == "error"}
    assert errors & metrics, errors
    assert shop.monitoring.blocked(shop.model, window)


def test_a_retyped_column_is_named_and_nothing_is_changed(shop):
    shop.broken[Window.day(START + 40 * DAY).key] = lambda rows: rows.assign(wait="a while")
    with pytest.raises(DataError, match="wait"):
        shop.day(40)
    assert len(shop.monitoring.engine.fetch(shop.orders)) == 40 * 200


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_or_single_row_window_is_a_failed_volume(shop, rows):
    shop.broken[Window.day(START + 40 * DAY).key] = lambda frame: frame.iloc[:rows]
    assert "rows" in {v.metric for v in shop.day(40) if v.detector == "volume"}


@pytest.mark.parametrize(
    ("predict", "message"),
    [
        (lambda estimator, frame: [1.0], r"returned shape \(1,\) for 200 rows"),
        (lambda estimator, frame: np.full(len(frame), np.nan), "200 missing or infinite values"),
        (lambda estimator, frame: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_useless_predictions_are_refused_and_none_is_written(shop, predict, message):
    from dataclasses import replace

    window = Window.day(START + 39 * DAY)
    with pytest.raises(TrainingError, match=message):
        shop.monitoring.predict(replace(shop.model, predict=predict), window, "1", 1.0, window.end)
    assert not shop.monitoring.engine.exists(shop.model.predictions)


def test_every_prediction_carries_its_version(shop):
    window = Window.day(START + 39 * DAY)
    assert shop.monitoring.predict(shop.model, window, "7", 1.0, window.end).rows == 200
    assert shop.monitoring.engine.fetch(shop.model.predictions).model_version.unique().tolist() == ["7"]
