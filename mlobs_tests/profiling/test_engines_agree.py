"""The same rows give the same profile on every engine, in every form the query takes there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlobs.engines import Engine, open_data
from mlobs.profiling import Reference, learn_reference, profile, profile_windows, request
from mlobs.spec import Field, Table
from mlobs.states import NumericState
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
    found = profile_windows((engine, table), days, reference=known)
    assert list(found) == days
    assert found[days[3]].rows == 0
    for day in days:
        alone = profile((engine, table), reference=known, window=day)
        assert differences(found[day], alone) == [], "equal but for moments, whose sums are taken in another order"
        assert (found[day].sketch, found[day].pairs, found[day].window) == (alone.sketch, alone.pairs, alone.window)
        for name, state in alone.fields.items():
            if isinstance(state, NumericState):
                assert np.array_equal(found[day].fields[name].registers, state.registers), name
    assert sum(p.rows for p in found.values()) == rows.num_rows


def test_many_rows_take_another_query_and_give_the_same(rows: pa.Table, reference: Reference, monkeypatch: Any) -> None:
    few = profile(rows, reference=reference)
    monkeypatch.setattr(request, "FEW", 0)
    assert differences(profile(rows, reference=reference), few) == []


def test_bins_of_a_grid_with_a_tail_are_those_of_its_formula(engine: Engine, fill: Any, monkeypatch: Any) -> None:
    x = np.concatenate([np.linspace(-2, 2, 90), 1e4 + np.linspace(-90, 90, 10), [1e306, -1e306]])
    rows = pa.table({"x": x, "y": np.arange(len(x)) / 7})
    reference = Reference.learn(rows.slice(0, 100))
    assert [grid.tailed for grid in reference.grids.values()] == [True, False]
    source = fill("far", rows)
    for few in (request.FEW, 0):
        monkeypatch.setattr(request, "FEW", few)
        state = profile((engine, source), reference=reference).field("x")
        assert isinstance(state, NumericState)
        bins, counts = np.unique(reference.grids["x"].bins(x), return_counts=True)
        assert (state.bins.tolist(), state.counts.tolist()) == (bins.tolist(), counts.tolist())


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
