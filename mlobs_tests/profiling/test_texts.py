"""Texts: frequencies, forms, unseen values; and the same when the engine counts them because they are too many."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from mlobs.engines import Engine
from mlobs.profiling import Reference, profile, request
from mlobs.spec import Field
from mlobs.states import CategoricalState

VALUES = [
    "JFK", "JFK", "LGA", None, "", "  ", "Null", " n/a ", "-1,5", "2e10", "a@b.io", "2024-02-29", "2024-02-29T12:00Z",
    "123e4567-e89b-12d3-a456-426614174000", "Ñandú", "日本", "o'clock -- \"x\"", "jfk", "JFK", "new", "new",
]  # fmt: skip


def state_of(engine: Engine, source: Any, reference: Reference) -> CategoricalState:
    found = profile((engine, source), reference=reference).field("word")
    assert isinstance(found, CategoricalState)
    return found


def test_a_literal_column(engine: Engine, fill: Any) -> None:
    reference = Reference.learn(pa.table({"word": ["JFK", "LGA", "LGA", "EWR", None]}))
    state = state_of(engine, fill("words", pa.table({"word": VALUES})), reference)
    assert (state.rows, state.nulls) == (21, 1)
    assert dict(zip(state.levels.names, state.counts.tolist(), strict=True)) == {"LGA": 1, "EWR": 0, "JFK": 3}
    assert state.unseen_rows == 16
    assert {name: n for name, (_, n) in state.unseen.items()}["new"] == 2
    assert state.distinct == 17
    assert state.forms.tolist() == [1, 1, 2, 2, 1, 1, 2]
    assert (state.length_min, state.length_max) == (0, 36)
    assert state.new_shapes == 16


@pytest.mark.parametrize("reference_rows", [["JFK", "LGA", "LGA", "EWR", None], VALUES])
def test_counted_in_the_engine_or_here_is_the_same(
    engine: Engine, fill: Any, monkeypatch: pytest.MonkeyPatch, reference_rows: list[str | None]
) -> None:
    reference = Reference.learn(pa.table({"word": reference_rows}))
    source = fill("words", pa.table({"word": VALUES}))
    here = state_of(engine, source, reference)
    monkeypatch.setattr(request, "TEXTS", 3)
    assert state_of(engine, source, reference) == here


def test_a_field_with_very_many_texts_keeps_its_frequent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "TEXTS", 50)
    monkeypatch.setattr("mlobs.profiling.learning.TEXTS", 50)
    rows = [f"id {i}" for i in range(400)] + ["common"] * 100
    reference = Reference.learn(pa.table({"word": rows}))
    state = reference.profile.field("word")
    assert isinstance(state, CategoricalState)
    assert state.levels.names == ("common",)
    assert not state.levels.complete
    assert (state.counts.tolist(), state.unseen_rows, len(state.unseen)) == ([100], 400, 256)
    assert state.distinct == pytest.approx(401, rel=0.2)
    halves = [profile(pa.table({"word": part}), reference=reference) for part in (rows[:250], rows[250:])]
    assert (halves[0] + halves[1]).field("word") == state


def test_sensitive_values_are_hashed_before_they_are_remembered() -> None:
    rows = pa.table({"name": ["Ada", "Ada", "Grace", None]})
    reference = Reference.learn(rows, fields=[Field("name", sensitive=True)])
    batch = profile(pa.table({"name": ["Ada", "Edsger"]}), reference=reference)
    state = batch.field("name")
    assert isinstance(state, CategoricalState)
    assert (int(state.counts[0]), state.unseen_rows) == (1, 1)
    for stored in (reference.to_bytes(), batch.to_bytes()):
        restored = (
            repr(Reference.from_bytes(stored))
            if stored.startswith(b"mlobsr")
            else repr(type(batch).from_bytes(stored).fields)
        )
        assert not any(name in restored for name in ("Ada", "Grace", "Edsger"))
    assert set(state.frequencies()).isdisjoint({"Ada", "Edsger"})
