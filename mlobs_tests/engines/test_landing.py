"""Landing on every engine: literal rows in, literal rows out. Uses the real engines of conftest."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from mlobs.engines import Engine, Landing, Source
from mlobs.errors import DataError
from mlobs.spec import Table
from mlobs.windows import Window

FLIGHTS = Table("flights", key="id", time="at")
FIRST, SECOND = Window.day("2013-04-01"), Window.day("2013-04-02")


def frame(ids: list[int], at: str, **columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "at": pd.to_datetime([at] * len(ids), utc=True), **columns})


def rows(engine: Engine, table: Table = FLIGHTS) -> list[dict[str, object]]:
    found = engine.run(Source.table(table.path).select()).to_pylist()
    return sorted(found, key=lambda row: (row["at"], row["id"]))


def test_lands_and_lands_again(engine: Engine) -> None:
    assert not engine.exists(FLIGHTS)
    landing = engine.land(FLIGHTS, FIRST, frame([1, 2], "2013-04-01 05:00", delay=[1.5, None], dest=["BOS", None]))
    assert (landing.rows, landing.outside, landing.newest) == (2, 0, datetime(2013, 4, 1, 5, tzinfo=UTC))
    assert landing.columns == engine.columns(Source.table(FLIGHTS.path))
    assert engine.exists(FLIGHTS)
    once = rows(engine)
    assert [(row["id"], row["delay"], row["dest"]) for row in once] == [(1, 1.5, "BOS"), (2, None, None)]
    assert [row["at"] for row in once] == [datetime(2013, 4, 1, 5, tzinfo=UTC)] * 2
    engine.land(FLIGHTS, FIRST, frame([1, 2], "2013-04-01 05:00", delay=[1.5, None], dest=["BOS", None]))
    assert rows(engine) == once


def test_replaces_the_window_and_the_keys_and_nothing_else(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1, 2], "2013-04-01", x=[1.0, 2.0]))
    engine.land(FLIGHTS, SECOND, frame([3, 4], "2013-04-02", x=[3.0, 4.0]))
    landing = engine.land(FLIGHTS, SECOND, frame([1, 5], "2013-04-02 23:59:59.999999", x=[10.0, 50.0]))
    assert landing.rows == 2
    assert [(row["id"], row["x"]) for row in rows(engine)] == [(2, 2.0), (1, 10.0), (5, 50.0)]


def test_an_empty_delivery_empties_the_window(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[1.0]))
    engine.land(FLIGHTS, SECOND, frame([2], "2013-04-02", x=[2.0]))
    assert engine.land(FLIGHTS, SECOND, frame([], "2013-04-02", x=[])).rows == 0
    assert [row["id"] for row in rows(engine)] == [1]
    assert engine.land(FLIGHTS, FIRST, pd.DataFrame()) == Landing(0, {}, None, 0)
    assert rows(engine) == []


def test_counts_rows_outside_the_window(engine: Engine) -> None:
    late = pd.DataFrame({"id": [1, 2, 3], "at": pd.to_datetime(["2013-04-02", None, "2013-04-01"], utc=True)})
    landing = engine.land(FLIGHTS, FIRST, late)
    assert (landing.rows, landing.outside, landing.newest) == (3, 2, datetime(2013, 4, 2, tzinfo=UTC))


def test_adds_new_columns_and_leaves_missing_ones_null(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[1.0]))
    landing = engine.land(FLIGHTS, SECOND, frame([2], "2013-04-02", y=["b"]))
    assert list(landing.columns) == ["id", "at", "y"]
    assert [(row["x"], row["y"]) for row in rows(engine)] == [(1.0, None), (None, "b")]


def test_whole_doubles_fit_an_integer_column(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[7]))
    before = engine.columns(Source.table(FLIGHTS.path))
    landing = engine.land(FLIGHTS, SECOND, frame([2, 3], "2013-04-02", x=[8.0, None]))
    assert engine.columns(Source.table(FLIGHTS.path)) == before == landing.columns
    assert [row["x"] for row in rows(engine)] == [7, 8, None]


def test_an_integer_column_widens_to_double_when_nothing_is_lost(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[7]))
    engine.land(FLIGHTS, SECOND, frame([2], "2013-04-02", x=[0.5]))
    assert [row["x"] for row in rows(engine)] == [7.0, 0.5]
    assert engine.kinds(Source.table(FLIGHTS.path))["x"] == "numeric"


def test_an_integer_column_that_a_double_can_t_hold_refuses(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[2**53 + 1]))
    with pytest.raises(DataError, match=r"column 'x' .* 0\.5 would not survive"):
        engine.land(FLIGHTS, SECOND, frame([2], "2013-04-02", x=[0.5]))
    assert [row["x"] for row in rows(engine)] == [2**53 + 1]


def test_an_all_null_column_takes_the_type_that_comes(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[None]))
    engine.land(FLIGHTS, SECOND, frame([2], "2013-04-02", x=[0.5]))
    assert [row["x"] for row in rows(engine)] == [None, 0.5]
    assert engine.kinds(Source.table(FLIGHTS.path))["x"] == "numeric"


def test_text_in_a_number_column_refuses_and_changes_nothing(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[1.0]))
    before = (engine.columns(Source.table(FLIGHTS.path)), rows(engine))
    with pytest.raises(
        DataError, match=r"table 'flights', window 2013-04-01: column 'x' is .* the delivered 'n/a' would"
    ):
        engine.land(FLIGHTS, FIRST, frame([1, 2], "2013-04-01", x=["3", "n/a"], new=[1, 2]))
    assert (engine.columns(Source.table(FLIGHTS.path)), rows(engine)) == before


def test_numbers_written_as_text_are_read(engine: Engine) -> None:
    engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=[1.0], n=[1]))
    landing = engine.land(FLIGHTS, FIRST, frame([1], "2013-04-01", x=["2.5"], n=["7"]))
    assert [(row["x"], row["n"]) for row in rows(engine)] == [(2.5, 7)]
    assert landing.columns["x"] != engine.columns(Source.table(FLIGHTS.path))["x"]
