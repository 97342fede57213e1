"""What engines say of tables and queries: columns, kinds, values, forms, and errors that name what was meant."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from sqlglot import exp

from mlobs.engines import Engine, Source
from mlobs.engines.warehouse import quoted
from mlobs.errors import WarehouseError
from mlobs.spec import Table
from mlobs.windows import Window

HOSTILE = [
    "select",
    "a b",
    "a.b",
    'q"uote',
    "b`tick",
    "back\\slash",
    "it's",
    '"; drop table x; --',
    "über",
    "100%",
    ":name",
    "%s",
    "?",
]

EVERYTHING = pa.table(
    {
        "n": pa.array([1, -(2**62), None], pa.int64()),
        "x": pa.array([float("nan"), float("-inf"), None], pa.float64()),
        "d": pa.array([Decimal("1.50"), Decimal("-0.25"), None], pa.decimal128(10, 2)),
        "b": pa.array([True, False, None], pa.bool_()),
        "s": pa.array(["naïve 👩‍🚀", "", None], pa.string()),
        "day": pa.array([date(2013, 4, 1), date(1969, 12, 31), None], pa.date32()),
        "wall": pa.array([datetime(2013, 4, 1, 5, 0, 0, 1), datetime(1, 1, 1), None], pa.timestamp("us")),
        "at": pa.array(
            [datetime(2013, 4, 1, 5, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")
        ),
        "list": pa.array([[1, 2], [], None], pa.list_(pa.int64())),
        "blob": pa.array([b"\x00\xff", b"", None], pa.binary()),
    }
)


def one(engine: Engine, source: Source, chosen: exp.Expression) -> Any:
    table = engine.run(source.select(exp.alias_(chosen, "v")))
    return table.column("v").to_pylist()[0]


def column(engine: Engine, source: Source, chosen: exp.Expression) -> list[Any]:
    query = source.select(exp.alias_(chosen, "v")).order_by(quoted("id"))
    return engine.run(query).column("v").to_pylist()


def test_kinds_follow_from_types(engine: Engine, fill: Any) -> None:
    source = fill("everything", EVERYTHING)
    assert list(engine.columns(source)) == EVERYTHING.column_names
    assert engine.kinds(source) == {
        "n": "numeric", "x": "numeric", "d": "numeric", "b": "boolean", "s": "categorical",
        "day": "timestamp", "wall": "timestamp", "at": "timestamp", "list": None, "blob": None,
    }  # fmt: skip


def test_values_come_back_alike_from_every_engine(engine: Engine, fill: Any) -> None:
    source = fill("everything", EVERYTHING)
    found = engine.run(source.select()).sort_by("n").to_pydict()
    assert found["n"] == [-(2**62), 1, None]
    assert found["x"][0] == -math.inf
    assert math.isnan(found["x"][1])
    assert found["x"][2] is None
    assert found["d"] == [-0.25, 1.5, None]
    assert found["b"] == [False, True, None]
    assert found["s"] == ["", "naïve 👩‍🚀", None]
    assert found["day"] == [date(1969, 12, 31), date(2013, 4, 1), None]
    assert found["wall"] == [datetime(1, 1, 1), datetime(2013, 4, 1, 5, 0, 0, 1), None]
    assert found["at"] == [datetime(1970, 1, 1, tzinfo=UTC), datetime(2013, 4, 1, 5, tzinfo=UTC), None]
    assert found["list"] == [[], [1, 2], None]
    assert found["blob"] == [b"", b"\x00\xff", None]


def test_types_of_results_are_settled(engine: Engine, fill: Any) -> None:
    source = fill("everything", EVERYTHING)
    found = engine.run(
        source.select(
            exp.alias_(exp.Count(this=exp.Star()), "rows"),
            exp.alias_(exp.Sum(this=quoted("n")), "n"),
            exp.alias_(exp.Sum(this=quoted("d")), "d"),
            exp.alias_(exp.Max(this=quoted("s")), "s"),
            exp.alias_(exp.Max(this=quoted("wall")), "wall"),
            exp.alias_(exp.Max(this=quoted("at")), "at"),
        ).where(exp.EQ(this=quoted("n"), expression=exp.Literal.number(1)))
    )
    assert [f.type for f in found.schema] == [
        pa.int64(), pa.int64(), pa.float64(), pa.string(), pa.timestamp("us"), pa.timestamp("us", "UTC")
    ]  # fmt: skip
    nothing = engine.run(
        source.select(quoted("n"), quoted("x"), quoted("d"), quoted("s"), quoted("at")).where(exp.false())
    )
    assert nothing.num_rows == 0
    assert [f.type for f in nothing.schema] == [
        pa.int64(),
        pa.float64(),
        pa.float64(),
        pa.string(),
        pa.timestamp("us", "UTC"),
    ]


def test_hostile_column_names(engine: Engine, fill: Any) -> None:
    rows = pa.table({name: [float(i)] for i, name in enumerate(HOSTILE)})
    source = fill("hostile", rows)
    assert list(engine.columns(source)) == HOSTILE
    found = engine.run(source.select(*(exp.alias_(quoted(n), n, quoted=True) for n in HOSTILE)))
    assert found.to_pylist() == [{name: float(i) for i, name in enumerate(HOSTILE)}]


def test_a_query_is_a_source(engine: Engine, fill: Any) -> None:
    fill("numbers", pa.table({"n": [1, 2, 3]}))
    source = Source.query("SELECT n * 2 AS twice, 'it''s 100%' AS note FROM numbers WHERE n > 1;", "duckdb")
    assert list(engine.columns(source)) == ["twice", "note"]
    assert one(engine, source, exp.Sum(this=quoted("twice"))) == 10
    assert engine.run(source.select(quoted("note")).limit(1)).to_pylist() == [{"note": "it's 100%"}]


@pytest.mark.parametrize(
    "text", ["DROP TABLE numbers", "SELECT 1; DROP TABLE numbers", "", "SELEC 1 FRM", "INSERT INTO t SELECT 1"]
)
def test_only_one_query_is_a_source(text: str) -> None:
    with pytest.raises(WarehouseError, match=r"exactly one SELECT|can't be parsed"):
        Source.query(text, "duckdb")


def test_fetches_a_window(engine: Engine) -> None:
    table = Table("flights", key="id", time="at")
    days = pd.to_datetime(
        ["2013-03-31 23:59:59.999999", "2013-04-01", "2013-04-01 23:59:59.999999", "2013-04-02"],
        utc=True,
        format="ISO8601",
    )
    engine.land(
        table,
        Window("2013-03-31", "2013-04-03"),
        pd.DataFrame({"id": [1, 2, 3, 4], "at": days, "x": [1.0, None, 3.0, 4.0]}),
    )
    day = engine.fetch(table, Window.day("2013-04-01")).sort_values("id")
    assert list(day.columns) == ["id", "at", "x"]
    assert day["id"].tolist() == [2, 3]
    assert str(day["at"].dtype) == "datetime64[us, UTC]"
    assert day["x"].isna().tolist() == [True, False]
    assert sorted(engine.fetch(table, columns=["id"])["id"]) == [1, 2, 3, 4]
    with pytest.raises(WarehouseError, match="has no column 'idd'; did you mean 'id'"):
        engine.fetch(table, columns=["idd"])


@pytest.mark.parametrize("kind", ["wall", "day"])
def test_windows_select_on_times_without_zone_and_on_dates(engine: Engine, kind: str) -> None:
    moments = pd.to_datetime(["2013-03-31", "2013-04-01", "2013-04-02"])
    frame = pd.DataFrame({"id": [1, 2, 3], "at": moments if kind == "wall" else moments.date})
    table = Table("flights", key="id", time="at")
    landing = engine.land(table, Window.day("2013-04-01"), frame)
    assert (landing.outside, landing.newest) == (2, datetime(2013, 4, 2, tzinfo=UTC))
    assert engine.fetch(table, Window.day("2013-04-01"))["id"].tolist() == [2]


def test_an_unknown_table_is_named_with_the_nearest(engine: Engine, fill: Any) -> None:
    fill("features", pa.table({"origin": ["JFK"]}))
    for read in (engine.columns, engine.kinds, lambda s: engine.run(s.select())):
        with pytest.raises(WarehouseError, match="no table 'feature'; did you mean 'features'"):
            read(Source.table(("feature",)))
    assert not engine.exists(Table("feature", key="id", time="at"))
    assert not engine.exists(Table("features", key="id", time="at", schema="no_such_schema"))
    with pytest.raises(WarehouseError, match=r"no table 'no_such_schema\.features'"):
        engine.columns(Source.table(("no_such_schema", "features")))


def test_an_unknown_column_is_named_with_the_nearest(engine: Engine, fill: Any) -> None:
    source = fill("features", pa.table({"origin": ["JFK"], "delay": [1.0]}))
    with pytest.raises(WarehouseError, match="no column 'orign'; did you mean 'origin'") as caught:
        engine.run(source.select(quoted("orign")))
    assert "\n" not in str(caught.value)


def test_a_query_that_fails_says_why_in_one_line(engine: Engine, fill: Any) -> None:
    source = fill("features", pa.table({"origin": ["JFK"]}))
    with pytest.raises(WarehouseError) as caught:
        engine.run(source.select(exp.cast(quoted("origin"), "bigint")))
    assert "\n" not in str(caught.value)
    assert "JFK" in str(caught.value)
    assert one(engine, source, exp.Max(this=quoted("origin"))) == "JFK"


def test_a_closed_engine_says_so(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(WarehouseError, match="was closed"):
        engine.exists(Table("features", key="id", time="at"))
    with pytest.raises(WarehouseError, match="was closed"):
        engine.run("SELECT 1")


# Forms


def test_forms_of_numbers(engine: Engine, fill: Any) -> None:
    values = [float("nan"), math.inf, -math.inf, 1.7976931348623157e308, -0.0, 5e-324, None]
    source = fill("numbers", pa.table({"id": range(7), "x": pa.array(values, pa.float64())}))
    forms, x = engine.forms, quoted("x")
    finite = exp.Case(ifs=[exp.If(this=forms.finite(x), true=exp.Literal.number(1))], default=exp.Literal.number(0))
    assert column(engine, source, finite) == [0, 0, 0, 1, 1, 1, 0]
    nan = exp.Case(ifs=[exp.If(this=forms.is_nan(x), true=exp.Literal.number(1))], default=exp.Literal.number(0))
    assert column(engine, source, nan) == [1, 0, 0, 0, 0, 0, 0]
    if forms.casts_nan_to_null:
        assert column(engine, source, exp.TryCast(this=x, to=exp.DataType.build("smallint"), safe=True))[0] is None


def test_forms_of_text(engine: Engine, fill: Any) -> None:
    values = ["", "a", "äöü", "👍", "42", "42\n", " 42", "4 2", None]
    source = fill("texts", pa.table({"id": range(9), "s": values}))
    forms, s = engine.forms, quoted("s")
    assert column(engine, source, forms.text_length(s)) == [0, 1, 3, 1, 2, 3, 3, 3, None]
    number = exp.Case(
        ifs=[exp.If(this=forms.matches(s, "[+-]?[0-9]+"), true=exp.Literal.number(1))], default=exp.Literal.number(0)
    )
    assert column(engine, source, number) == [0, 0, 0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([0.0, -0.0, 1.5, 1.5, None, float("nan")], pa.float64()),
        pa.array([2**62, -1, 7, 7, None, 0], pa.int64()),
        pa.array(["a", "b", "c", "c", None, ""], pa.string()),
        pa.array(
            [datetime(2013, 4, 1, tzinfo=UTC)] * 4 + [None, datetime(1970, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")
        ),
        pa.array([True, False, True, True, None, False], pa.bool_()),
    ],
    ids=["double", "integer", "text", "time", "boolean"],
)
def test_hashes_are_63_bits_and_tell_values_apart(engine: Engine, fill: Any, values: pa.Array) -> None:
    source = fill("hashed", pa.table({"id": range(6), "v": values}))
    hashed = column(
        engine, source, engine.forms.hash64(quoted("v"), "numeric" if pa.types.is_floating(values.type) else None)
    )
    assert hashed[4] is None
    assert hashed[2] == hashed[3]
    assert all(0 <= h < 2**63 for h in hashed if h is not None)
    # -0.0 and 0.0 are one value; others differ.
    distinct = {("0" if v in (0.0, -0.0) else str(v)) for v in values.to_pylist() if v is not None}
    assert len({h for h in hashed if h is not None}) == len(distinct)


def test_forms_of_time(engine: Engine, fill: Any) -> None:
    moments = [datetime(1970, 1, 1), datetime(2013, 4, 1, 5, 0, 0, 123456), datetime(1900, 1, 1), None]
    rows = pa.table(
        {
            "id": range(4),
            "wall": pa.array(moments, pa.timestamp("us")),
            "at": pa.array([m and m.replace(tzinfo=UTC) for m in moments], pa.timestamp("us", "UTC")),
            "day": pa.array([m and m.date() for m in moments], pa.date32()),
        }
    )
    source = fill("times", rows)
    types = engine.columns(source)
    micros = [0, 1364792400123456, -2208988800000000, None]
    for name in ("wall", "at"):
        assert column(engine, source, engine.forms.epoch_us(quoted(name), types[name])) == micros, name
    assert column(engine, source, engine.forms.epoch_us(quoted("day"), types["day"])) == [
        0,
        1364774400000000,
        -2208988800000000,
        None,
    ]
    for name in ("wall", "at", "day"):
        inside = engine.forms.within(quoted(name), types[name], Window.day("2013-04-01"))
        assert engine.run(source.select(quoted("id")).where(inside)).to_pydict() == {"id": [1]}, name
