"""A challenger watched in shadow before it serves, and training asked for by a row in others' table."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from mlobs.engines import Engine, connect
from mlobs.errors import DataError, TrainingError
from mlobs.history import History
from mlobs.monitor import Monitoring
from mlobs.retraining.policy import decide
from mlobs.retraining.run import retrain
from mlobs.retraining.signals import newest_signal
from mlobs.retraining.situation import situation
from mlobs.spec import Model, Signal, Table
from mlobs.tracking import Tracking
from mlobs.windows import Window
from mlobs_tests.retraining.flights import day, declared, land, rows


@pytest.fixture
def engine() -> Engine:
    return connect("duckdb:///:memory:")


def answer(model: Model, history: History, n: int, **facts: Any) -> Any:
    assert model.retraining is not None
    return decide(model.retraining, situation(model, history, day(n).start, running=False, **facts))


def shadowed(engine: Engine, history: History, tracking: Tracking, back: int | None) -> tuple[Model, Monitoring]:
    """The world changes on day 25 (and is as before from day `back` on); version 2 wins on day 36 and goes into shadow."""
    model = declared(shadow=5, cooldown=timedelta(0))
    features, actuals = rows(60, change=25)
    if back is not None:
        known = rows(60)[1]
        late = actuals["at"] >= pd.Timestamp(day(back).start)
        actuals.loc[late, "delay"] = known.loc[late, "delay"]
    land(engine, model, features, actuals)
    monitoring = Monitoring([model], engine, history)
    assert retrain(monitoring, tracking, model, day(21).start).promoted
    outcome = retrain(monitoring, tracking, model, day(36).start, trigger="accuracy")
    assert not outcome.promoted
    assert outcome.reason.startswith("shadow: mae")
    assert [v.fate for v in history.versions("delays")] == ["promoted", "shadow"]
    return model, monitoring


@pytest.mark.parametrize(("back", "champion"), [(None, "2"), (35, "1")])
def test_a_winner_serves_only_if_it_wins_on_new_windows_too(
    engine: Engine, history: History, tracking: Tracking, back: int | None, champion: str
) -> None:
    model, monitoring = shadowed(engine, history, tracking, back)
    serving, waiting = tracking.champion("delays"), tracking.challenger("delays")
    assert serving is not None
    assert waiting is not None
    assert (serving.version, waiting.version) == ("1", "2")
    early = answer(model, history, 38)
    assert (early.answer, early.reason) == ("wait", "version 2 is watched in shadow until 2013-02-10 00:00 UTC")
    due = answer(model, history, 41)
    assert (due.answer, due.trigger, due.cause) == ("retrain", "shadow", "delays:shadow:2")
    outcome = retrain(monitoring, tracking, model, day(41).start, trigger="shadow")
    assert outcome.comparison is not None
    assert outcome.comparison.windows == tuple(day(n) for n in range(35, 40))
    serving = tracking.champion("delays")
    assert serving is not None
    assert (serving.version, tracking.challenger("delays")) == (champion, None)
    assert outcome.reason.endswith("watched in shadow")
    _, second = history.versions("delays")
    assert (second.at, second.decided) == (day(36).start, day(41).start)
    assert second.fate == ("promoted" if champion == "2" else "refused")
    assert second.info["won"].startswith("shadow: mae")
    assert answer(model, history, 41).trigger == ""
    if champion == "2":  # asked again, as by a run that was killed at its end, it says the same
        again = retrain(monitoring, tracking, model, day(41).start, trigger="shadow")
        assert (again.version.version, again.promoted, again.reason) == ("2", True, outcome.reason)
        assert again.training == outcome.training
    else:
        with pytest.raises(TrainingError, match="no version is watched in shadow"):
            retrain(monitoring, tracking, model, day(41).start, trigger="shadow")


def test_a_training_by_hand_takes_the_place_of_a_version_in_shadow(
    engine: Engine, history: History, tracking: Tracking
) -> None:
    model, monitoring = shadowed(engine, history, tracking, None)
    retrain(monitoring, tracking, model, day(38).start)
    assert [bool(v.info["shadow"]) for v in history.versions("delays")] == [False, False, True]


def ask(engine: Engine, written: list[tuple[str, str]]) -> None:
    table = Table("requests", schema="ops", time="written_at", key="why")
    frame = pd.DataFrame(
        {"written_at": pd.to_datetime([w[0] for w in written], format="mixed"), "why": [w[1] for w in written]}
    )
    engine.land(table, Window("2012-01-01", "2015-01-01"), frame)


def test_a_new_row_of_others_asks_once(engine: Engine, history: History, tracking: Tracking) -> None:
    model = declared(signal=Signal("ops.requests", "written_at", "why"), cooldown=timedelta(0))
    land(engine, model, *rows(40))
    monitoring = Monitoring([model], engine, history)
    assert newest_signal(engine, model, history, day(21).start) is None, "a model without a version is trained anyway"
    retrain(monitoring, tracking, model, day(21).start)
    assert newest_signal(engine, model, history, day(22).start) is None, "there is no such table yet"
    ask(
        engine, [("2013-01-10", "before the training"), ("2013-01-25 08:00", "new price list"), ("2013-03-01", "later")]
    )
    assert newest_signal(engine, model, history, day(23).start) is None
    found = newest_signal(engine, model, history, day(25).start)
    assert found is not None
    assert found.reason == "a row of 2013-01-25 08:00 UTC in ops.requests asks for training: new price list"
    decision = answer(model, history, 25, external=found.reason, signal=found.at)
    assert (decision.answer, decision.trigger) == ("retrain", "external")
    assert decision.cause == "delays:external:2013-01-25T08:00:00+00:00"
    retrain(monitoring, tracking, model, day(25).start, trigger="external")
    assert newest_signal(engine, model, history, day(26).start) is None, "answered"


def test_a_signal_table_without_its_columns_is_named(engine: Engine, history: History, tracking: Tracking) -> None:
    model = declared(signal=Signal("ops.requests", "written", "why"))
    land(engine, model, *rows(40))
    retrain(Monitoring([model], engine, history), tracking, model, day(21).start)
    ask(engine, [("2013-01-25", "x")])
    with pytest.raises(
        DataError, match=r"'ops.requests' of its retraining signal has no column 'written'; did you mean"
    ):
        newest_signal(engine, model, history, day(30).start)


def test_estimated_accuracy_calls_for_training_only_if_asked_to(history: History) -> None:
    facts = situation(declared(), history, day(30).start, running=False)
    facts = replace(facts, champion="1", trained=(day(1).start,), new_labels=9, estimates=3, estimate="estimated mae 9")
    policy = declared(on_estimate=True).retraining
    assert policy is not None
    assert decide(policy, facts).trigger == "estimate"
    assert decide(replace(policy, on_estimate=False), facts).trigger == ""
