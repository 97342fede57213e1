"""Deliveries as they come in real life: odd names, odd types, odd values. Each is landed whole or refused whole."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlobs.engines import Engine, Source, connect
from mlobs.errors import DataError, WarehouseError
from mlobs.spec import Table
from mlobs.windows import Window

FLIGHTS = Table("flights", key="id", time="at")
DAY = Window.day("2013-04-01")
NAMES = [
    "select",
    "a b",
    "a.b",
    'q"uote',
    "back\\slash",
    "it's",
    '"; drop table x; --',
    "über",
    "100%",
    ":name",
    "%s",
    "%(x)s",
    "?",
]


def frame(**columns: Any) -> pd.DataFrame:
    count = len(next(iter(columns.values()))) if columns else 1
    return pd.DataFrame({"id": range(count), "at": pd.to_datetime(["2013-04-01"] * count, utc=True), **columns})


def landed(engine: Engine, table: Table = FLIGHTS) -> list[dict[str, Any]]:
    found = engine.run(Source.table(table.path).select()).to_pylist()
    return sorted(found, key=lambda row: str(row[table.keys[0]]))


@pytest.mark.parametrize("name", NAMES)
def test_any_column_name_can_be_landed(engine: Engine, name: str) -> None:
    table = Table("flights", key=name, time=name + " time")
    rows = pd.DataFrame(
        {name: ["k1", "k2"], name + " time": pd.to_datetime(["2013-04-01"] * 2), name + " x": [1.0, 2.0]}
    )
    engine.land(table, DAY, rows)
    engine.land(table, DAY, rows.assign(**{name + " new": [3, 4]}).iloc[1:])
    expected = {name: "k2", name + " time": datetime(2013, 4, 1), name + " x": 2.0, name + " new": 4}
    assert landed(engine, table) == [expected]
    assert engine.fetch(table, DAY, [name])[name].tolist() == ["k2"]


@pytest.mark.parametrize("name", NAMES)
def test_any_table_and_schema_name_can_be_landed(engine: Engine, name: str) -> None:
    table = Table(name, schema="schema " + name, key="id", time="at")
    if engine.dialect == "spark":
        schemas = engine.run("SHOW SCHEMAS").to_pylist()
        with pytest.raises(WarehouseError, match=r"takes letters, digits and _ only"):
            engine.land(table, DAY, frame(x=[1.0]))
        assert engine.run("SHOW SCHEMAS").to_pylist() == schemas
        return
    assert not engine.exists(table)
    engine.land(table, DAY, frame(x=[1.0]))
    engine.land(table, DAY, frame(x=[2.0], y=["b"]))
    assert engine.exists(table)
    assert [(row["x"], row["y"]) for row in landed(engine, table)] == [(2.0, "b")]


def test_a_composite_key_matches_as_a_whole(engine: Engine) -> None:
    table = Table("flights", key=("day", "flight"), time="at")
    first = pd.DataFrame(
        {"day": [1, 1], "flight": ["a", "b"], "at": pd.to_datetime(["2013-04-01"] * 2, utc=True), "x": [1, 2]}
    )
    second = pd.DataFrame(
        {"day": [1, 2], "flight": ["a", "b"], "at": pd.to_datetime(["2013-04-02"] * 2, utc=True), "x": [3, 4]}
    )
    engine.land(table, Window.day("2013-04-01"), first)
    engine.land(table, Window.day("2013-04-02"), second)
    assert sorted(row["x"] for row in landed(engine, table)) == [2, 3, 4]


def test_duplicate_and_missing_keys_are_kept_for_the_monitors_to_see(engine: Engine) -> None:
    at = pd.to_datetime(["2013-04-01"] * 4, utc=True)
    rows = pd.DataFrame({"id": ["a", "a", None, None], "at": at, "x": [1, 2, 3, 4]})
    for _ in range(2):
        assert engine.land(FLIGHTS, DAY, rows).rows == 4
    assert sorted(row["x"] for row in landed(engine)) == [1, 2, 3, 4]
    elsewhere = pd.DataFrame({"id": ["b", None], "at": pd.to_datetime(["2013-04-02"] * 2, utc=True), "x": [5, 6]})
    engine.land(FLIGHTS, Window.day("2013-04-02"), elsewhere)
    assert sorted(row["x"] for row in landed(engine)) == [1, 2, 3, 4, 5, 6]


def test_nan_is_missing_in_pandas_and_a_value_in_arrow(engine: Engine) -> None:
    engine.land(FLIGHTS, DAY, frame(x=[math.nan, math.inf, -math.inf, 1e308, 5e-324]))
    assert [row["x"] for row in landed(engine)] == [None, math.inf, -math.inf, 1e308, 5e-324]
    at = pa.array([datetime(2013, 4, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC"))
    engine.land(FLIGHTS, DAY, pa.table({"id": [0, 1], "at": at, "x": [math.nan, None]}))
    nan, null = (row["x"] for row in landed(engine))
    assert math.isnan(nan)
    assert null is None


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e300, 0.5, 2.0**63])
def test_a_double_that_is_no_integer_does_not_enter_a_wide_integer_column(engine: Engine, value: float) -> None:
    engine.land(FLIGHTS, DAY, frame(x=[2**62 + 1]))
    with pytest.raises(DataError, match=r"column 'x' is .* would not survive the cast"):
        engine.land(FLIGHTS, DAY, frame(x=[value]))
    assert [row["x"] for row in landed(engine)] == [2**62 + 1]


def test_extreme_integers(engine: Engine) -> None:
    values = [2**63 - 1, -(2**63), 0]
    engine.land(
        FLIGHTS,
        DAY,
        frame(x=values, u=np.array([2**64 - 1, 0, 1], dtype="uint64"), s=np.array([1, 2, 3], dtype="int8")),
    )
    found = landed(engine)
    assert [row["x"] for row in found] == values
    assert [row["u"] for row in found] == [float(2**64 - 1), 0.0, 1.0]
    assert [row["s"] for row in found] == [1, 2, 3]


def test_decimals_widen(engine: Engine) -> None:
    engine.land(FLIGHTS, DAY, frame(x=[Decimal("1.50")]))
    engine.land(FLIGHTS, DAY, frame(x=[Decimal("12345678901.125"), Decimal("-0.5")]))
    assert [row["x"] for row in landed(engine)] == [12345678901.125, -0.5]


def test_times_of_every_zone_land_as_the_same_instant(engine: Engine) -> None:
    east = timezone(timedelta(hours=9))
    day = {
        "utc": pd.to_datetime(["2013-04-01 03:00"], utc=True),
        "zone": pd.to_datetime(["2013-04-01 03:00"], utc=True).tz_convert("America/New_York"),
        "object": pd.Series([datetime(2013, 4, 1, 12, tzinfo=east)], dtype=object),
    }
    for name, at in day.items():
        engine.land(Table(name, key="id", time="at"), DAY, pd.DataFrame({"id": [1], "at": at}))
        assert [row["at"] for row in landed(engine, Table(name, key="id", time="at"))] == [
            datetime(2013, 4, 1, 3, tzinfo=UTC)
        ]
    text = Table("text", key="id", time="at")
    assert engine.land(text, DAY, pd.DataFrame({"id": [1], "at": ["2013-04-01T12:00:00+09:00"]})).outside == 0
    assert [row["at"] for row in landed(engine, text)] == [datetime(2013, 4, 1, 3, tzinfo=UTC)]


def test_a_zone_that_comes_or_goes_moves_no_instant(engine: Engine) -> None:
    wall, zoned = pd.to_datetime(["2013-04-01 05:00"]), pd.to_datetime(["2013-04-01 05:00"], utc=True)
    for name, first, second in (("gains", wall, zoned), ("loses", zoned, wall)):
        table = Table(name, key="id", time="at")
        engine.land(table, DAY, pd.DataFrame({"id": [1], "at": first}))
        landing = engine.land(table, DAY, pd.DataFrame({"id": [2], "at": second}))
        assert landing.newest == datetime(2013, 4, 1, 5, tzinfo=UTC)
        assert [row["id"] for row in landed(engine, table)] == [2]
        assert landed(engine, table)[0]["at"].replace(tzinfo=UTC) == datetime(2013, 4, 1, 5, tzinfo=UTC)
        assert landing.columns["at"] != engine.columns(Source.table(table.path))["at"]


def test_nanoseconds_are_cut_to_microseconds(engine: Engine) -> None:
    engine.land(
        FLIGHTS, DAY, pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01 00:00:00.123456789"], utc=True)})
    )
    assert landed(engine)[0]["at"] == datetime(2013, 4, 1, 0, 0, 0, 123456, tzinfo=UTC)


def test_text_of_every_kind(engine: Engine) -> None:
    texts = [
        "",
        " ",
        "it's",
        'a"b',
        "tab\tline\nfeed\r",
        "back\\slash \\N",
        "👩‍🚀 ünïcode",
        "null",
        "NULL",
        None,
        "%s %(a)s",
        "1" * 10_000,
    ]
    engine.land(FLIGHTS, DAY, frame(s=texts).assign(id=[f"{i:02}" for i in range(len(texts))]))
    assert [row["s"] for row in landed(engine)] == texts


def test_every_kind_of_column(engine: Engine) -> None:
    columns = {
        "b": [True, None], "o": pd.array([True, None], dtype="boolean"), "i": pd.array([1, None], dtype="Int64"),
        "c": pd.Categorical(["a", None]), "day": [date(2013, 4, 1), None], "blob": [b"\x00\xff\\", None], "list": [[1, 2], None],
        "f32": np.array([0.5, np.nan], dtype="float32"),
    }  # fmt: skip
    engine.land(FLIGHTS, DAY, frame(**columns))
    first, second = landed(engine)
    expected = {
        "b": True,
        "o": True,
        "i": 1,
        "c": "a",
        "day": date(2013, 4, 1),
        "blob": b"\x00\xff\\",
        "list": [1, 2],
        "f32": 0.5,
    }
    assert {name: first[name] for name in columns} == expected
    assert {second[name] for name in columns} == {None}
    kinds = engine.kinds(Source.table(FLIGHTS.path))
    assert [kinds[n] for n in columns] == [
        "boolean", "boolean", "numeric", "categorical", "timestamp", None, None, "numeric"
    ]  # fmt: skip


def test_frames_of_other_libraries(engine: Engine) -> None:
    rows = frame(x=[1.5, None], s=["a", "b"])
    polars = pl.DataFrame(
        {"id": [0, 1], "at": [datetime(2013, 4, 1, tzinfo=UTC)] * 2, "x": [1.5, None], "s": ["a", "b"]}
    )
    for other in (polars, polars.lazy(), rows.set_index("id"), rows.set_index(["id", "at"])):
        engine.land(FLIGHTS, DAY, other)
        assert [(row["id"], row["x"], row["s"]) for row in landed(engine)] == [(0, 1.5, "a"), (1, None, "b")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pd.DataFrame({"at": ["2013-04-01"]}), r"no column 'id', which is the table's key"),
        (pd.DataFrame({"id": [1], "att": ["2013-04-01"]}), r"no column 'at', which is the table's time; did you mean 'att'"),
        (pd.DataFrame({"id": [1], "at": ["yesterday"]}), r"column 'at': 'yesterday' is no time"),
        (pd.DataFrame({"id": [1], "at": [20130401]}), r"time column 'at' holds int64, no timestamps"),
        (pd.DataFrame([[1, "2013-04-01", 2]], columns=["id", "at", 3]), r"column name 3 is no text"),
        (pd.DataFrame([[1, "2013-04-01", 2, 3]], columns=["id", "at", "x", "x"]), r"columns 'x' and 'x' are the same"),
        (pd.DataFrame([[1, "2013-04-01", 2, 3]], columns=["id", "at", "x", "X"]), r"columns 'x' and 'X' are the same"),
        (pd.DataFrame([[1, "2013-04-01", 2]], columns=["id", "at", "a\x00b"]), r"null character"),
        (frame(x=[1, "a"]), r"column 'x' can't be read: .*; it holds 1 \(int\), 'a' \(str\)"),
        (frame(x=[object()]), r"column 'x' can't be read"),
        (frame(x=[timedelta(minutes=5)]), r"column 'x' holds lengths of time .* seconds"),
        (frame(x=[{"a": 1}]), r"column 'x' holds struct.* can't be landed"),
        (frame(x=pd.Series(["\ud800"], dtype=object)), r"column 'x' can't be read"),
        ([1, 2], r"a list was delivered"),
        (None, r"a NoneType was delivered"),
    ],
)  # fmt: skip
def test_what_is_refused(engine: Engine, rows: Any, message: str) -> None:
    engine.land(FLIGHTS, DAY, frame(x=[1.0]))
    before = (engine.columns(Source.table(FLIGHTS.path)), landed(engine))
    with pytest.raises(DataError, match=message) as caught:
        engine.land(FLIGHTS, DAY, rows)
    assert str(caught.value).startswith("table 'flights', window 2013-04-01: ")
    assert "\n" not in str(caught.value)
    assert (engine.columns(Source.table(FLIGHTS.path)), landed(engine)) == before


VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=5),
    st.lists(
        st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))), min_size=1, max_size=5),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=VALUES, second=VALUES)
def test_any_delivery_after_any_other_lands_whole_or_changes_nothing(first: list[Any], second: list[Any]) -> None:
    """Whatever comes after whatever: what was stored before reads the same afterwards, or the column was converted
    without loss, and what was delivered is there."""
    engine = connect("duckdb:///:memory:")
    engine.land(FLIGHTS, DAY, delivered(first, "a", "2013-04-01"))
    before = [row["x"] for row in landed(engine)]
    assert before == first
    try:
        engine.land(FLIGHTS, Window.day("2013-04-02"), delivered(second, "b", "2013-04-02"))
    except DataError:
        assert [row["x"] for row in landed(engine)] == first
        return
    found = landed(engine)
    old = [row["x"] for row in found if row["id"].startswith("a")]
    new = [row["x"] for row in found if row["id"].startswith("b")]
    assert old == first
    assert len(new) == len(second)
    for value, expected in zip(new, second, strict=True):
        assert value == expected or (isinstance(value, str) and expected is not None), (value, expected)


def delivered(values: list[Any], prefix: str, at: str) -> pa.Table:
    count = len(values)
    times = pa.array([datetime.fromisoformat(at).replace(tzinfo=UTC)] * count, pa.timestamp("us", "UTC"))
    return pa.table({"id": [f"{prefix}{i}" for i in range(count)], "at": times, "x": pa.array(values)})
