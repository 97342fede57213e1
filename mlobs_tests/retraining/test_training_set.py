"""The training set as of an instant: what could be known then, and not a row more. Leaks are planted and must not show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlobs.engines import Engine
from mlobs.errors import DataError
from mlobs.retraining.training_set import TIME, build, newest_mature
from mlobs.windows import Window, instant
from mlobs_tests.retraining.flights import ROWS, day, declared, land, rows

UNTIL = day(10).start  # labels mature after a day: the windows of days 0 to 8 are known


def test_only_mature_windows_are_in_it(engine: Engine) -> None:
    model = declared()
    land(engine, model, *rows(12))
    data = build(engine, model, UNTIL)
    assert list(data.frame.columns) == [TIME, "hour", "wind", "delay"]
    assert (data.window, len(data.frame), data.windows) == (
        Window(day(0).start, day(9).start),
        9 * ROWS,
        tuple(day(n) for n in range(9)),
    )
    assert data.frame[TIME].is_monotonic_increasing


def test_the_same_rows_have_the_same_fingerprint_whatever_came_later(engine: Engine) -> None:
    model = declared()
    features, actuals = rows(20)
    early = features["at"] < pd.Timestamp(day(10).start)
    land(engine, model, features[early], actuals[early])
    first = build(engine, model, UNTIL)
    land(engine, model, features.sample(frac=1, random_state=1), actuals.sample(frac=1, random_state=2))
    again = build(engine, model, UNTIL)
    assert again.fingerprint == first.fingerprint
    pd.testing.assert_frame_equal(again.frame, first.frame)
    assert build(engine, model, day(11).start).fingerprint != first.fingerprint


def test_planted_leaks_stay_out(engine: Engine) -> None:
    """Each leak carries a value that would be seen: a label not mature yet, a label landed later under an old key, a
    feature row recorded after its outcome."""
    model = declared()
    features, actuals = rows(9)
    leak = 1e9
    at = lambda n, hours=12: pd.Timestamp(day(n).start) + pd.Timedelta(hours=hours)  # noqa: E731
    planted_features = pd.DataFrame(
        {
            "id": [9001, 9002, 9003],
            "at": [at(9), at(3), at(5, 20)],
            "hour": [leak, leak, leak],
            "wind": [leak, leak, leak],
        }
    )
    planted_actuals = pd.DataFrame(
        {"id": [9001, 9002, 9003], "at": [at(9), at(11), at(5, 8)], "delay": [leak, leak, leak]}
    )
    land(engine, model, pd.concat([features, planted_features]), pd.concat([actuals, planted_actuals]))
    data = build(engine, model, UNTIL)
    assert len(data.frame) == 9 * ROWS
    assert float(data.frame[["hour", "wind", "delay"]].max().max()) < leak


def test_the_planted_labels_do_enter_once_they_may_be_known(engine: Engine) -> None:
    model = declared()
    features, actuals = rows(9)
    late = pd.DataFrame({"id": [9002], "at": [pd.Timestamp(day(3).start)], "hour": [1.0], "wind": [1.0]})
    label = pd.DataFrame({"id": [9002], "at": [pd.Timestamp(day(11).start)], "delay": [77.0]})
    land(engine, model, pd.concat([features, late]), pd.concat([actuals, label]))
    assert 77.0 not in set(build(engine, model, UNTIL).frame["delay"])
    assert 77.0 in set(build(engine, model, day(12).start).frame["delay"])


def test_broken_windows_are_left_out_and_named(engine: Engine) -> None:
    model = declared()
    land(engine, model, *rows(9))
    data = build(engine, model, UNTIL, [day(4), day(7), day(300)])
    assert data.excluded == (day(4), day(7))
    assert [w for w in data.windows if w in (day(4), day(7))] == []
    assert len(data.frame) == 7 * ROWS


def test_history_limits_how_far_it_reaches_back(engine: Engine) -> None:
    model = declared(history=timedelta(days=3))
    land(engine, model, *rows(9))
    assert build(engine, model, UNTIL).window == Window(day(6).start, day(9).start)


def test_rows_without_a_label_are_left_out(engine: Engine) -> None:
    model = declared()
    features, actuals = rows(9)
    actuals.loc[:99, "delay"] = np.nan
    land(engine, model, features, actuals)
    assert len(build(engine, model, UNTIL).frame) == 9 * ROWS - 100


@pytest.mark.parametrize(
    ("task", "label"), [("regression", np.inf), ("regression", np.nan), ("binary", 2.0), ("binary", 0.5)]
)
def test_labels_that_the_task_can_not_have_are_left_out(engine: Engine, task: Any, label: float) -> None:
    features, actuals = rows(9)
    if task == "binary":
        actuals["delay"] = (actuals["delay"] > 20).astype(float)
    actuals.loc[:99, "delay"] = label
    model = replace(declared(), task=task)
    land(engine, model, features, actuals)
    frame = build(engine, model, UNTIL).frame
    assert len(frame) == 9 * ROWS - 100
    assert frame.index.equals(pd.RangeIndex(len(frame)))


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_labels_of_the_wrong_type_are_named(engine: Engine, task: Any) -> None:
    features, actuals = rows(9)
    model = replace(declared(), task=task)
    land(engine, model, features, actuals.assign(delay=actuals["delay"].astype(str)))
    with pytest.raises(
        DataError, match=f"column 'delay' of actuals table 'actuals' is .*, and a {task} model needs numeric"
    ):
        build(engine, model, UNTIL)


def test_nothing_to_train_on_is_said_with_a_mend(engine: Engine) -> None:
    model = declared()
    land(engine, model, *rows(9))
    with pytest.raises(
        DataError, match=r"model 'delays': no labelled row before 2013-01-01 .* load features into 'features'"
    ):
        build(engine, model, day(1).start)


def test_a_missing_input_is_named(engine: Engine) -> None:
    model = declared()
    features, actuals = rows(9)
    land(engine, model, features.rename(columns={"wind": "winds"}), actuals)
    with pytest.raises(
        DataError, match=r"features table 'features' has no column 'wind' to train on; did you mean 'winds'"
    ):
        build(engine, model, UNTIL)


@pytest.mark.parametrize(
    ("until", "maturity", "expected"),
    [
        ("2013-01-10T00:00", timedelta(days=1), "2013-01-09"),
        ("2013-01-10T23:59", timedelta(days=1), "2013-01-09"),
        ("2013-01-10T06:00", timedelta(hours=6), "2013-01-10"),
        ("2013-01-10T05:59", timedelta(hours=6), "2013-01-09"),
        ("2013-01-10T00:00", timedelta(0), "2013-01-10"),
    ],
)
def test_the_newest_mature_window(until: str, maturity: timedelta, expected: str) -> None:
    model = declared()
    monitor = replace(model.monitors[0], maturity=maturity)
    assert newest_mature(replace(model, monitors=(monitor,)), instant(until)) == instant(expected)
