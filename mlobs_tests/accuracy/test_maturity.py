"""How long labels take is learned, past windows are judged again when they come, and what was known when can be asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlobs.engines import connect
from mlobs.history import History
from mlobs.metrics.accuracy import typical
from mlobs.metrics.maturity import learned_maturity
from mlobs.monitor import Monitoring
from mlobs.spec import Accuracy, Field, Model, Table
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import DAY, Window

START = Window.day("2024-01-01")
ROWS = 60


def day(n: int) -> Window:
    return START.shifted(n * DAY)


def seen(windows: int, arriving: list[float], lag: int = 0) -> list[tuple[Window, datetime, float]]:
    """Each window's coverage on the days after its end."""
    return [(day(n), day(n + age + lag).end, share) for n in range(windows) for age, share in enumerate(arriving)]


@pytest.mark.parametrize(
    ("windows", "arriving", "days", "expected"),
    [
        (20, [0.2, 0.9, 0.98, 1.0], 40, timedelta(days=2)),  # 98% of all that come are there after two days
        (20, [0.1, 0.39, 0.4], 40, timedelta(days=1)),  # six in ten never get a label
        (20, [1.0], 40, timedelta(0)),
        (7, [0.2, 1.0], 40, None),  # too few windows
        (20, [0.2, 0.9, 1.0], 2, None),  # none has settled yet
        (20, [], 40, None),
    ],
)
def test_maturity_is_learned_from_how_labels_came_in(
    windows: int, arriving: list[float], days: int, expected: timedelta | None
) -> None:
    assert learned_maturity(seen(windows, arriving), day(days).start) == expected


class Shop:
    """Predictions every day, whose labels come in thirds on the three days after; errors of 1 until day 20, of 9 then."""

    def __init__(self, **accuracy: Any) -> None:
        common: dict[str, Any] = {"key": "id", "time": "at", "start": START.start}
        self.model = Model(
            name="m", task="regression", prediction="said", actual="truth",
            features=Table("features", fields=(Field("x"),), **common),
            predictions=Table("predictions", **common),
            actuals=Table("actuals", **common),
            monitors=(Accuracy(**{"span": 5, "min_rows": 20, "maximum": 5.0, "relative": None} | accuracy),),
        )  # fmt: skip
        self.history = History("sqlite://")
        self.engine = connect("duckdb:///:memory:")
        self.monitoring = Monitoring([self.model], self.engine, self.history)

    def rows(self, window: Window) -> pd.DataFrame:
        at = pd.Timestamp(window.start) + pd.to_timedelta(np.arange(ROWS), "min")
        return pd.DataFrame({"id": [f"{window.key}-{i}" for i in range(ROWS)], "at": at.as_unit("us")})

    def live(self, n: int) -> None:
        """The morning after day n: its predictions are there, and a third of the labels of the last three days each."""
        window, now = day(n), day(n).end + timedelta(hours=6)
        self.engine.land(self.model.predictions, window, self.rows(window).assign(said=0.0, model_version="1"))
        for age in range(3):
            past = day(n - age)
            known = self.rows(past)[: ROWS // 3 * (age + 1)]
            noise = np.where(np.arange(len(known)) % 2, 0.9, 1.1)
            self.engine.land(self.model.actuals, past, known.assign(truth=noise * (1.0 if n - age < 20 else 9.0)))
        self.monitoring.score(self.model, window, now)

    def status(self, n: int, **asked: Any) -> set[str]:
        found = self.history.verdicts("m.performance", metric="mae", **asked)
        return {s.verdict.status for s in found if s.verdict.window == day(n)}


def test_a_window_is_pending_until_its_labels_are_in_and_both_verdicts_are_kept() -> None:
    shop = Shop(maturity=None)
    for n in range(29):
        shop.live(n)
    now = day(28).end + timedelta(hours=6)
    assert shop.monitoring.maturity(shop.model, now) == timedelta(days=2, hours=6)
    assert shop.monitoring.maturity(shop.model, day(5).end) is None
    assert (shop.status(28), shop.status(27), shop.status(25)) == ({"pending"}, {"pending"}, {"failed"})
    assert shop.status(25, as_of=day(25).end + timedelta(hours=7)) == {"pending"}
    assert shop.status(25, live=False) == {"pending", "failed"}
    known = [
        AccuracyState.from_bytes(shop.history.accuracy("m", since=day(25).start, until=day(25).end, as_of=at)[0][2])
        for at in (day(25).end + timedelta(hours=7), day(26).end + timedelta(hours=7), now)
    ]
    assert [state.labelled for state in known] == [20, 40, 60]


def test_late_labels_turn_a_verdict_and_its_history_is_kept() -> None:
    shop = Shop(maturity=timedelta(0), min_coverage=0.1)
    for n in range(18):
        shop.live(n)
    window = day(17)
    assert shop.status(17) == {"passed"}
    shop.engine.land(shop.model.actuals, window, shop.rows(window).assign(truth=90.0))
    for n in (15, 16):
        shop.engine.land(shop.model.actuals, day(n), shop.rows(day(n)).assign(truth=80.0 + n))
        shop.monitoring.score(shop.model, day(n), day(30).start)
    shop.monitoring.score(shop.model, window, day(30).start)
    assert shop.status(17) == {"failed"}
    assert shop.status(17, live=False) == {"passed", "failed"}
    assert shop.status(17, as_of=day(18).end) == {"passed"}


def test_a_learned_range_needs_no_stated_limit() -> None:
    shop = Shop(maturity=timedelta(0), min_coverage=0.1, maximum=None, min_skill=None, learned=True)
    for n in range(21):
        shop.live(n)
    assert (shop.status(4), shop.status(19), shop.status(20)) == ({"learning"}, {"passed"}, {"failed"})


def test_skill_against_the_value_before() -> None:
    shop = Shop(maturity=timedelta(0), min_coverage=0.1, naive="previous")
    shop.history.save_version("m", "1", START.start, {})
    for n in range(8):
        shop.live(n)
    state = AccuracyState.from_bytes(shop.history.accuracy("m")[-1][2])
    assert state["naive_rows"] == state.labelled
    assert state["naive_abs_error"] / state.labelled == pytest.approx(
        0.1
    )  # labels stray by .1 about yesterday's mean of 1


@pytest.mark.parametrize(
    ("task", "truth", "expected"),
    [("regression", [1.0, 2.0, 6.0], 3.0), ("binary", [0, 1, 1, 1], 0.75), ("multiclass", list("abb"), "b")],
)
def test_what_was_typical_of_a_window(task: Any, truth: list[Any], expected: float | str) -> None:
    said = truth if task == "multiclass" else [0.5] * len(truth)
    assert typical(AccuracyState.of_rows(task, truth, said)) == expected
    assert typical(AccuracyState(task)) is None
