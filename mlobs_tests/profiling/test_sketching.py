"""Distinct sketches are the same, however the engine handed over their hashes."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from mlobs.engines import open_data
from mlobs.profiling import Reference, profile, profile_windows, sketching
from mlobs.states import NumericState
from mlobs.states import distinct as sketches
from mlobs.windows import Window

ROWS = 150_000


def rows(**columns: Any) -> pa.Table:
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()})


def drawn(seed: int, size: int = ROWS) -> pa.Table:
    """Fields with nearly as many values as rows, but for `few`; `zeros` is 0 in a third, `holes` is null in a tenth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=size)
    return rows(
        x=x,
        zeros=np.where(rng.random(size) < 1 / 3, 0.0, x * 1e9),
        holes=np.where(rng.random(size) < 0.1, np.nan, x + 7),
        number=rng.integers(0, 2**62, size),
        few=rng.integers(0, 50, size),
    )


def registers_of(table: pa.Table, name: str, sampling: int) -> np.ndarray[Any, Any]:
    """The registers from the hashes of all values."""
    relation = duckdb.from_arrow(table)
    found = relation.filter(f"{name} IS NOT NULL").project(f"(hash({name}) >> 1)::BIGINT AS h").distinct().fetchnumpy()
    h = np.sort(np.asarray(found["h"], np.int64))
    index, first = np.unique(h & (sketches.REGISTERS - 1), return_index=True)
    smallest = (h >> sketches.REGISTER_BITS)[first]
    return sketches.sampled_to(sketches.registers(index, smallest), sampling)


def numeric(table: pa.Table, reference: Reference, **more: Any) -> dict[str, NumericState]:
    states = profile(table, reference=reference, **more).fields
    return {name: s for name, s in states.items() if isinstance(s, NumericState)}


def test_bins_list_the_hashes_of_the_fields_that_have_nearly_as_many_values_as_rows() -> None:
    reference = Reference.learn(drawn(1))
    grids = {at: s.grid for at, s in enumerate(numeric(drawn(1), reference).values())}
    listed = sketching.listing(grids, [ROWS])
    assert listed == {at: sketching.sampling_of(ROWS - ROWS // 8, grids[at].distinct) for at in range(4)}
    assert all(level >= 6 for level in listed.values())
    assert sketching.listing(grids, [ROWS, 900]) == {}, "the small group needs every hash"
    assert sketching.listing(grids, []) == {}


@pytest.mark.parametrize("name", ["x", "zeros", "holes", "number"])
def test_listed_hashes_make_the_sketch_of_all_values(name: str) -> None:
    reference, day = Reference.learn(drawn(1)), drawn(2)
    state = numeric(day, reference)[name]
    assert state.sampling >= 6
    assert np.array_equal(state.registers, registers_of(day, name, state.sampling))


def test_a_listing_needs_no_query_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    reference, day = Reference.learn(drawn(1)), drawn(2)
    asked: list[str] = []

    def run(handed_over: int) -> dict[str, NumericState]:
        monkeypatch.setattr(sketching, "HANDED_OVER", handed_over)
        monkeypatch.setattr(sketching, "OF_A_GROUP", handed_over)
        engine, source = open_data(day)
        ask = engine.run
        monkeypatch.setattr(
            engine, "run", lambda sql: (asked.append(sql if isinstance(sql, str) else engine.sql(sql)), ask(sql))[1]
        )
        found = numeric((engine, source), reference)  # type: ignore[arg-type]
        engine.close()
        return found

    listed, count = run(1 << 16), sum(sql.count("511") for sql in asked)
    asked.clear()
    grouped, more = run(0), sum(sql.count("511") for sql in asked)
    assert count < more
    for name, state in grouped.items():
        assert np.array_equal(state.registers, listed[name].registers)
        assert state.sampling == listed[name].sampling


def test_days_of_one_pass_list_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = np.arange(ROWS) * (20 * 24 * 3600) // ROWS
    time = pa.array(np.datetime64("2013-01-01", "us") + hours.astype("timedelta64[s]"))
    reference, day = (
        Reference.learn(drawn(1).append_column("time", time), time="time"),
        drawn(2).append_column("time", time),
    )
    days = [Window(f"2013-01-{d:02d}", f"2013-01-{d + 1:02d}") for d in range(1, 21)]
    listed = profile_windows(day, days, reference=reference)
    monkeypatch.setattr(sketching, "HANDED_OVER", 0)
    monkeypatch.setattr(sketching, "OF_A_GROUP", 0)
    grouped = profile_windows(day, days, reference=reference)
    for window in days:
        for name in ("x", "zeros", "holes", "number", "few"):
            one, other = listed[window].fields[name], grouped[window].fields[name]
            assert isinstance(one, NumericState)
            assert isinstance(other, NumericState)
            assert one.sampling == other.sampling == (0 if name == "few" else 2)
            assert np.array_equal(one.registers, other.registers)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_field_that_has_become_null_in_most_rows_is_asked_for_again(share: float) -> None:
    rng = np.random.default_rng(3)
    reference = Reference.learn(drawn(1))
    day = drawn(2)
    x = np.where(rng.random(ROWS) < share, np.nan, day["x"].to_numpy())
    state = numeric(day.set_column(0, "x", pa.array(x, from_pandas=True)), reference)["x"]
    assert state.sampling == sketching.sampling_of(int(np.isfinite(x).sum()), state.grid.distinct)
    assert sketches.estimate(state.registers, state.sampling) == pytest.approx(
        np.isfinite(x).sum(), rel=4 * sketches.ERROR
    )


def test_a_field_that_has_become_one_value_is_one_value() -> None:
    reference = Reference.learn(drawn(1))
    day = drawn(2)
    for value in (0.0, 1.0, 60747.0):
        state = numeric(day.set_column(0, "x", pa.array(np.full(ROWS, value))), reference)["x"]
        assert state.distinct == 1


def test_segments_list_too_and_add_up() -> None:
    day = drawn(2)
    day = day.append_column("s", pa.array(np.arange(ROWS) % 3).cast(pa.string()))
    reference = Reference.learn(day, segments=["s"])
    found = profile(day, reference=reference)
    whole = found.fields["x"]
    assert isinstance(whole, NumericState)
    assert np.array_equal(whole.registers, registers_of(day, "x", whole.sampling))
    assert len(found.segments) == 3


def test_groups_that_are_numbered_with_gaps_cost_what_there_are_of_them() -> None:
    far = np.array([0, 364 << 40, 0, -1, 364 << 40, 1 << 20], np.int64)  # segments number groups in steps of 2^20
    assert sketching.sizes_of(far, [1, 2, 3, 9, 4, 0]) == [4, 6]
    assert sketching.sizes_of(np.array([], np.int64), []) == []
