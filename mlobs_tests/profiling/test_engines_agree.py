"""The same rows give the same profile on every engine, in every form the query takes there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from mlobs.engines import Engine, open_data
from mlobs.profiling import Reference, learn_reference, profile, profile_table, profile_windows, scanning
from mlobs.spec import Field, Table
from mlobs.windows import Window
from mlobs_tests.profiling.rows import START, differences, hostile_rows

LEARNING: dict[str, Any] = {"time": "at", "key": "id", "segments": ("origin",)}


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return hostile_rows()


@pytest.fixture(scope="module")
def reference(rows: pa.Table) -> Reference:
    return Reference.learn(rows.slice(0, 120), **LEARNING)


def test_hostile_rows_give_equal_profiles(engine: Engine, fill: Any, rows: pa.Table, reference: Reference) -> None:
    source = fill("hostile", rows)
    assert differences(profile((engine, source), reference=reference), profile(rows, reference=reference)) == []


def test_learning_freezes_equal_frames(engine: Engine, fill: Any, rows: pa.Table) -> None:
    found = Reference.learn((engine, fill("hostile", rows)), **LEARNING)
    expected = Reference.learn(rows, **LEARNING)
    for name, grid in expected.grids.items():
        assert found.grids[name].deviation == pytest.approx(grid.deviation, rel=1e-12)
        assert replace(found.grids[name], deviation=0.0) == replace(grid, deviation=0.0)
    assert differences(found.profile, expected.profile) == []


def test_windows_in_one_pass_equal_each_by_itself(engine: Engine, fill: Any, rows: pa.Table) -> None:
    fill("hostile", rows)
    table = Table(
        "hostile",
        time="at",
        key="id",
        segments=("origin",),
        fields=tuple(Field(n) for n in rows.column_names if n not in ("at", "id")),
    )
    days = list(Window(START, START + timedelta(days=4)).split(timedelta(days=1)))
    known = learn_reference(engine, table, days[:2])
    found = profile_windows(engine, table, days, known)
    assert list(found) == days
    assert found[days[3]].rows == 0
    for day in days:
        assert found[day] == profile_table(engine, table, day, known)
    assert sum(p.rows for p in found.values()) == rows.num_rows


def test_many_rows_take_another_query_and_give_the_same(rows: pa.Table, reference: Reference, monkeypatch: Any) -> None:
    few = profile(rows, reference=reference)
    monkeypatch.setattr(scanning, "FEW", 0)
    assert differences(profile(rows, reference=reference), few) == []


def test_an_empty_table(engine: Engine, fill: Any, rows: pa.Table, reference: Reference) -> None:
    source = fill("empty", rows.slice(0, 0))
    found = profile((engine, source), reference=reference)
    assert found.rows == 0
    assert {name: (s.rows, s.nulls) for name, s in found.fields.items()} == dict.fromkeys(found.fields, (0, 0))
    learned = Reference.learn((engine, source), **LEARNING)
    assert learned.profile.rows == 0
    assert profile((engine, source), reference=learned).rows == 0


def test_a_where_filter(engine: Engine, fill: Any, rows: pa.Table, reference: Reference) -> None:
    source = fill("hostile", rows)
    found = profile((engine, source), reference=reference, where="flag = true")
    assert found.rows == 80
    assert differences(found, profile(rows.filter(rows["flag"]), reference=reference)) == []
    assert open_data(rows)[0].dialect == "duckdb"
