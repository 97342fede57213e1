"""Columns named like the query's own, types that can't be profiled, schemas that changed, and errors that say so."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlobs.engines import Engine, connect
from mlobs.engines.protocol import Source
from mlobs.errors import ProfileError, WarehouseError, WindowError
from mlobs.profiling import (
    Reference,
    explain_sql,
    grouping,
    learn_reference,
    learning,
    profile,
    profile_windows,
)
from mlobs.spec import Field, Table
from mlobs.windows import Window
from mlobs_tests.profiling.rows import START, differences, hostile_rows

OWN = (
    "p",
    "f",
    "g",
    "u1",
    "b",
    "v",
    "n",
    "s1",
    "lo",
    "hi",
    "k1",
    "x",
    "d",
    "h",
    "at",
    "number",
    "rows",
    "low",
    "scale",
    "centre",
    "place",
    "known",
)


def test_columns_named_like_the_querys_own(engine: Engine, fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    rows = pa.table(
        {name: rng.normal(i, 1, 50) if i % 3 else rng.choice(["r", "s"], 50).tolist() for i, name in enumerate(OWN)}
    )
    other = rows.rename_columns([f"column {i}" for i in range(len(OWN))])
    found = Reference.learn((engine, fill("own", rows)), segments=("g",)).profile
    expected = Reference.learn(other, segments=("column 2",)).profile if OWN.index("g") == 2 else None
    assert expected is not None
    for mine, theirs in zip(found.fields.values(), expected.fields.values(), strict=True):
        if theirs.kind == "numeric":
            assert (mine.bins.tolist(), mine.counts.tolist(), mine.distinct) == (
                theirs.bins.tolist(),
                theirs.counts.tolist(),
                theirs.distinct,
            )
        else:
            assert (mine.frequencies(), mine.rows) == (theirs.frequencies(), theirs.rows)
    assert sorted(p.rows for p in found.segments.values()) == sorted(p.rows for p in expected.segments.values())


def test_columns_that_cannot_be_profiled_are_counted_for_nulls() -> None:
    rows = pa.table(
        {
            "x": [1.0, 2.0],
            "list": pa.array([[1], None]),
            "blob": pa.array([b"a", b"b"]),
            "struct": pa.array([{"a": 1}, None]),
        }
    )
    made = Reference.learn(rows).profile
    assert list(made.unprofiled) == ["list", "blob", "struct"]
    assert {n: (s.rows, s.nulls) for n, s in made.fields.items() if n in made.unprofiled} == {
        "list": (2, 1), "blob": (2, 0), "struct": (2, 1),
    }  # fmt: skip
    assert [m.metric for m in made.measurements() if m.field == "list"] == ["null_rate"]
    assert type(made).from_bytes(made.to_bytes()) == made


def test_a_declared_kind_beats_the_types() -> None:
    rows = pa.table({"month": [1, 2, 2], "flag": [0, 1, 1], "note": ["a", "b", None]})
    kinds = [Field("month", kind="categorical"), Field("flag", kind="boolean"), Field("note", kind="text")]
    made = Reference.learn(rows, fields=kinds).profile
    assert {n: s.kind for n, s in made.fields.items()} == {"month": "categorical", "flag": "boolean", "note": "text"}
    assert made.field("month").frequencies() == {"2": 2, "1": 1}
    assert made.field("flag").trues == 2
    with pytest.raises(ProfileError, match=r"'note' is declared numeric, but its column is VARCHAR"):
        Reference.learn(rows, fields=[Field("note", kind="numeric")])


def test_a_column_that_left_or_changed_its_type_is_left_out() -> None:
    reference = Reference.learn(pa.table({"a": [1.0, 2.0], "b": [1.0, 2.0], "c": ["x", "y"]}))
    made = profile(pa.table({"a": [1.0], "b": ["one"], "new": [3]}), reference=reference)
    assert list(made.fields) == ["a"]
    assert dict(made.columns) == {"a": "DOUBLE", "b": "VARCHAR", "new": "BIGINT"}
    again = made + profile(pa.table({"a": [2.0], "b": [2.0], "c": ["z"]}), reference=reference)
    assert {n: s.rows for n, s in again.fields.items()} == {"a": 2, "b": 1, "c": 1}
    assert again.columns["b"] == "DOUBLE | VARCHAR"


def test_integers_and_decimals_keep_their_field_when_the_type_widens() -> None:
    reference = Reference.learn(pa.table({"a": pa.array([1, 2], pa.int32())}))
    assert profile(pa.table({"a": [1.5]}), reference=reference).field("a").above == 0


def test_unknown_names_are_named_with_the_nearest() -> None:
    rows = pa.table({"origin": ["JFK"], "delay": [1.0]})
    with pytest.raises(ProfileError, match="no column 'orign'; did you mean 'origin'"):
        Reference.learn(rows, fields=["orign"])
    with pytest.raises(ProfileError, match="no column 'dely'; did you mean 'delay'"):
        Reference.learn(rows, segments=("dely",))
    reference = Reference.learn(rows)
    with pytest.raises(ProfileError, match="none of the reference's fields"):
        profile(pa.table({"z": [1]}), reference=reference)
    with pytest.raises(ProfileError, match="no field 'dela'; did you mean 'delay'"):
        reference.profile.field("dela")
    with pytest.raises(ProfileError, match="no SQL condition"):
        profile(rows, reference=reference, where="delay >")
    with pytest.raises(ProfileError, match="learn the reference with time="):
        profile(rows, reference=reference, window=("2024-01-01", "2024-01-02"))


def test_an_unknown_table(engine: Engine, fill: Any) -> None:
    fill("flights", pa.table({"at": [START], "id": [1]}))
    with pytest.raises(WarehouseError, match="flights"):
        learn_reference(engine, Table("flihgts", time="at", key="id"))


def test_windows_that_overlap_or_are_missing(engine: Engine, fill: Any) -> None:
    rows = hostile_rows(60)
    fill("hostile", rows)
    table = Table("hostile", time="at", key="id")
    known = learn_reference(engine, table)
    with pytest.raises(ProfileError, match="overlap"):
        profile_windows((engine, table), [("2024-03-01", "2024-03-03"), ("2024-03-02", "2024-03-04")], reference=known)
    with pytest.raises(ProfileError, match="give at least one"):
        profile_windows((engine, table), [], reference=known)
    with pytest.raises(WindowError):
        profile((engine, table), reference=known, window=("2024-03-02", "2024-03-01"))


def test_windows_with_gaps_and_of_other_lengths(engine: Engine, fill: Any) -> None:
    rows = hostile_rows(150)
    fill("hostile", rows)
    table = Table("hostile", time="at", key="id")
    known = learn_reference(engine, table)
    windows = [
        Window("2024-03-01", "2024-03-01T06:00"),
        Window("2024-03-01T12:00", "2024-03-03"),
        Window("2024-03-09", "2024-03-10"),
    ]
    found = profile_windows((engine, table), windows, reference=known)
    assert [p.rows for p in found.values()] == [18, 72, 0]
    for window, made in found.items():
        assert differences(made, profile((engine, table), reference=known, window=window)) == []
    assert (
        found[windows[1]].field("seen").future == profile(rows, reference=known, window=windows[1]).field("seen").future
    )


@pytest.mark.parametrize("form", ["frame", "files", "relation", "query"])
def test_windows_of_data_in_hand(form: str, tmp_path: Path) -> None:
    rows = hostile_rows(150)
    known = Reference.learn(rows, time="at", key="id")
    days = list(Window("2024-03-01", "2024-03-04").split(timedelta(days=1)))
    pq.write_table(rows.slice(0, 70), tmp_path / "a.parquet")
    pq.write_table(rows.slice(70), tmp_path / "b.parquet")
    connection = duckdb.connect()
    memory = connect("duckdb:///:memory:")
    for one in (connection, memory):
        one.register("hostile", rows)
    data = {
        "frame": rows,
        "files": tmp_path / "*.parquet",
        "relation": connection.table("hostile"),
        "query": (memory, "SELECT * FROM hostile"),
    }[form]
    found = profile_windows(data, days, reference=known, where="plain IS NOT NULL")
    assert list(found) == days
    for day in days:
        assert differences(found[day], profile(rows, reference=known, window=day, where="plain IS NOT NULL")) == []
    told = explain_sql(data, days, reference=known)
    assert "2024-03-01" in told
    assert explain_sql(data, reference=known) != told
    with pytest.raises(ProfileError, match=r"window 2024-03-01 selects rows by the time column, and 'at' isn't there"):
        profile_windows(rows.drop_columns(["at"]), days, reference=known)


def test_late_rows_change_only_their_window(engine: Engine, fill: Any) -> None:
    rows = hostile_rows(150)
    known = Reference.learn(rows, time="at", key="id")
    late = rows.slice(0, 1)
    table = Table("hostile", time="at", key="id")
    fill("hostile", pa.concat_tables([rows, late]))
    days = list(Window("2024-03-01", "2024-03-04").split(timedelta(days=1)))
    found = profile_windows((engine, table), days, reference=known)
    before = {day: profile(rows, reference=known, window=day) for day in days}
    assert found[days[0]].rows == before[days[0]].rows + 1
    for day in days[1:]:
        assert differences(found[day], before[day]) == []


def test_segments_of_two_fields_and_the_rest(engine: Engine, fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.table({"a": ["x", "x", "y", None, "z"], "b": ["1", "2", "1", "1", "1"], "n": [1.0, 2.0, 3.0, 4.0, 5.0]})
    source = fill("split", rows)
    made = Reference.learn((engine, source), segments=("a", "b")).profile
    assert {key: p.rows for key, p in made.segments.items()} == {
        "a is null": 1, "a is null, b=1": 1, "b=1": 4, "a=x": 2, "a=x, b=1": 1, "b=2": 1, "a=x, b=2": 1,
        "a=y": 1, "a=y, b=1": 1, "a=z": 1, "a=z, b=1": 1,
    }  # fmt: skip
    assert made.segments["b=1"].field("n").mean == 3.25
    assert made.rows == 5
    monkeypatch.setattr("mlobs.profiling.grouping.SEGMENTS", 2)
    few = Reference.learn((engine, source), segments=("a",)).profile
    assert {key: p.rows for key, p in few.segments.items()} == {"a is null": 1, "a=(other)": 2, "a=x": 2}


def test_more_than_a_thousand_combinations_of_two_fields() -> None:
    rows = pa.table({"a": [f"a{i % 40}" for i in range(2400)], "b": [f"b{i // 80}" for i in range(2400)]})
    assert len({*zip(rows["a"].to_pylist(), rows["b"].to_pylist(), strict=True)}) == 1200
    reference = Reference.learn(rows, segments=("a", "b"))
    made = reference.profile.segments
    assert len(made) == 1001
    assert made["a=(other), b=(other)"].rows == 400
    assert {p.rows for key, p in made.items() if "(other)" not in key} == {2}
    # new combinations come after the known ones
    later = pa.concat_tables([rows, pa.table({"a": ["new"] * 900, "b": [f"b{i % 2}" for i in range(900)]})])
    again = profile(later, reference=reference).segments
    assert again.keys() == made.keys()
    assert again["a=(other), b=(other)"].rows == 1300


def test_explain_shows_what_runs(engine: Engine, fill: Any) -> None:
    rows = hostile_rows(60)
    fill("hostile", rows)
    table = Table("hostile", time="at", key="id", segments=("origin",), fields=("plain", "word", "origin"))
    known = learn_reference(engine, table)
    window = Window("2024-03-01", "2024-03-02")
    told = explain_sql((engine, table), [window], reference=known)
    assert explain_sql((engine, table), [window], reference=known) == told
    for statement in told.split(";\n\n"):
        assert engine.run(statement).num_columns > 0
    assert all(name in told for name in ("plain", "word", "origin", "2024-03-02"))
    assert Source.table(("hostile",)).label == "hostile"


@pytest.mark.parametrize("kept", [1, 2, 5, 40])
def test_rows_of_combinations_that_are_not_told_apart_are_other(
    engine: Engine, fill: Any, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(kept)
    values = np.array([None, "it's", "x", "y", "", "(z)"], dtype=object)
    drawn = [tuple(values[rng.integers(0, 6, 2)]) for _ in range(300)]
    rows = pa.table({"x": np.arange(300.0), "a": [a for a, _ in drawn], "b": [b for _, b in drawn]})
    monkeypatch.setattr(grouping, "SEGMENTS", kept)
    monkeypatch.setattr(learning, "SEGMENTS", kept)
    counts = Counter(drawn)
    ranked = sorted(counts, key=lambda c: (-counts[c], tuple(v or "" for v in c)))
    made = Reference.learn((engine, fill("combinations", rows)), segments=("a", "b")).profile.segments
    whole = {key: p.rows for key, p in made.items() if " and " in key or ", " in key}
    named = {", ".join(grouping.label(f, v) for f, v in zip("ab", c, strict=True)): counts[c] for c in ranked[:kept]}
    rest = sum(counts[c] for c in ranked[kept:])
    assert whole == named | ({"a=(other), b=(other)": rest} if rest else {})
