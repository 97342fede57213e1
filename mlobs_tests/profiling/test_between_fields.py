"""What holds between fields and rows: twins that are null together, learned relations, repeated deliveries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlobs.engines import Engine
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, profile

ROWS = 600


def weather(seed: int, rows: int = ROWS) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    missing = rng.random(rows) < 0.1
    temperature = rng.normal(15, 8, rows)
    origin = rng.choice(["JFK", "LGA", "EWR"], rows)
    return {
        "temperature": pa.array(temperature, mask=missing),
        "fahrenheit": pa.array(temperature * 1.8 + 32 + rng.normal(0, 0.5, rows), mask=missing),
        "distance": pa.array(
            np.where(origin == "JFK", 1000.0, np.where(origin == "LGA", 300.0, 600.0)) + rng.normal(0, 20, rows)
        ),
        "origin": pa.array(origin),
        "noise": pa.array(rng.normal(0, 1, rows)),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.learn(pa.table(weather(1)))


def values(made: Profile, metric: str) -> dict[tuple[str, str], float]:
    return {(m.field, m.segment): m.value for m in made.measurements() if m.metric == metric}


def test_twins_are_frozen(reference: Reference) -> None:
    assert dict(reference.profile.pairs.keys()) == {
        "temperature": "fahrenheit", "fahrenheit": "temperature",
        # never null: beside what predicts it, else beside its neighbour
        "distance": "origin", "origin": "distance", "noise": "origin",
    }  # fmt: skip
    assert set(values(reference.profile, "null_alone_rate").values()) == {0.0}


def test_a_null_whose_twin_is_not_null(engine: Engine, fill: Any, reference: Reference) -> None:
    rows = weather(2)
    nulls = np.array(rows["temperature"].is_null())
    more = nulls | (np.arange(ROWS) < 6)
    rows["temperature"] = pa.array(np.nan_to_num(np.array(rows["temperature"].fill_null(0.0))), mask=more)
    made = profile((engine, fill("weather", pa.table(rows))), reference=reference)
    alone = int((more & ~nulls).sum())
    assert alone > 0
    found = values(made, "null_alone_rate")
    assert found.pop(("temperature", "twin=fahrenheit")) == alone / ROWS
    assert set(found.values()) == {0.0}


def test_relations_are_frozen_with_their_strength(reference: Reference) -> None:
    found = {key: (s.relation.kind, round(s.relation.r2, 2)) for key, s in reference.profile.relations.items()}
    assert found == {
        ("fahrenheit", "temperature"): ("linear", 1.0),
        ("temperature", "fahrenheit"): ("linear", 1.0),
        ("distance", "origin"): ("category", 1.0),
    }
    for state in reference.profile.relations.values():
        assert state.mean == pytest.approx(0.0, abs=1e-9)
        assert state.deviation == pytest.approx(1.0, rel=1e-9)


def test_residuals_stay_small_while_the_relation_holds(engine: Engine, fill: Any, reference: Reference) -> None:
    made = profile((engine, fill("weather", pa.table(weather(3)))), reference=reference)
    assert all(abs(v) < 0.2 for v in values(made, "residual_mean").values())
    assert all(v == pytest.approx(1.0, abs=0.1) for v in values(made, "residual_std").values())


def test_a_unit_change_shows_in_the_residuals(engine: Engine, fill: Any, reference: Reference) -> None:
    rows = weather(4)
    rows["temperature"] = rows["fahrenheit"]
    rows["distance"] = pa.array(np.array(rows["distance"]) * 1.15)
    made = profile((engine, fill("weather", pa.table(rows))), reference=reference)
    assert values(made, "residual_mean")["fahrenheit", "given=temperature"] < -20
    assert values(made, "residual_mean")["distance", "given=origin"] > 2


def test_a_field_that_follows_from_two_others(engine: Engine, fill: Any) -> None:
    def rows(seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        base, extra = rng.normal(10, 3, ROWS), rng.normal(0, 3, ROWS)
        return {
            "base": base,
            "extra": extra,
            "total": base + extra + rng.normal(0, 0.1, ROWS),
            "other": rng.normal(0, 1, ROWS),
        }

    reference = Reference.learn(pa.table(rows(1)))
    relation = next(s.relation for (y, _), s in reference.profile.relations.items() if y == "total")
    given = f"given={relation.x}"
    assert set(relation.explaining) == {"base", "extra"}
    assert (relation.kind, round(relation.r2, 2)) == ("linear", 1.0)
    clean = profile((engine, fill("clean", pa.table(rows(2)))), reference=reference)
    assert abs(values(clean, "residual_mean")["total", given]) < 0.2
    moved = rows(2)
    # a tenth of a standard deviation, which the field's own mean doesn't show
    moved["total"] = moved["total"] + 0.42
    found = profile((engine, fill("moved", pa.table(moved))), reference=reference)
    assert values(found, "residual_mean")["total", given] > 3
    assert Profile.from_bytes(found.to_bytes()) == found


def test_residuals_merge(reference: Reference) -> None:
    rows = pa.table(weather(5))
    whole = profile(rows, reference=reference)
    parts = profile(rows.slice(0, 200), reference=reference) + profile(rows.slice(200), reference=reference)
    for key, state in whole.relations.items():
        assert parts.relations[key].rows == state.rows
        assert parts.relations[key].total == pytest.approx(state.total, rel=1e-9)
    assert Profile.from_bytes(whole.to_bytes()) == whole


def test_overlap_of_deliveries(engine: Engine, fill: Any, reference: Reference) -> None:
    first, second = pa.table(weather(6)), pa.table(weather(7))
    today = profile((engine, fill("today", first)), reference=reference)
    again = profile(
        (engine, fill("again", first.take(np.random.default_rng(0).permutation(ROWS)))), reference=reference
    )
    half = profile(
        (engine, fill("half", pa.concat_tables([first.slice(0, 300), second.slice(300)]))), reference=reference
    )
    other = profile((engine, fill("other", second)), reference=reference)
    assert today.overlap(again) == 1.0
    assert today.overlap(other) == 0.0
    assert today.overlap(half) == pytest.approx(0.5, abs=0.12)
    doubled = profile((engine, fill("doubled", pa.concat_tables([first, first.slice(0, 60)]))), reference=reference)
    assert values(doubled, "repeat_rate")["", ""] == pytest.approx(60 / 660, abs=0.05)
    assert values(today, "repeat_rate")["", ""] == 0.0


def test_a_field_alone_has_no_relation() -> None:
    reference = Reference.learn(pa.table({"x": np.random.default_rng(0).normal(0, 1, 500)}))
    assert (reference.profile.pairs, reference.profile.relations) == ({}, {})
