"""Categories of sensitive fields are hashed everywhere: history, Dagster metadata, messages, the report, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlobs
from mlobs.alerts import Note, body, subject
from mlobs.engines import connect
from mlobs.errors import DataError, ProfileError, SpecError
from mlobs.history import History
from mlobs.incidents import incidents, lineage_of, update
from mlobs.monitor import Monitoring
from mlobs.orchestration.evaluations import evaluate
from mlobs.profiling import Reference
from mlobs.report import write
from mlobs.spec import Field, Model, Table
from mlobs.windows import Window

START = Window.day("2024-01-01")
USUAL = ["Lovelace", "Hopper", "Dijkstra"]
NEW = ["Turing", "Zuse"]
NAMES = [*USUAL, *NEW]
DAYS = 30


def rows(window: Window, names: list[str]) -> pd.DataFrame:
    random = np.random.default_rng(int(window.start.timestamp()) // 3600)
    count = 200
    return pd.DataFrame(
        {
            "id": [f"{window.key}-{n}" for n in range(count)],
            "at": pd.Timestamp(window.start) + pd.to_timedelta(np.arange(count), unit="min"),
            "customer": random.choice(names, count),
            "amount": random.normal(10, 1, count),
        }
    )


@pytest.fixture
def model() -> Model:
    common = {"key": "id", "time": "at", "start": "2024-01-01"}
    fields = (Field("customer", "categorical", sensitive=True), "amount")
    features = Table("orders", fields=fields, **common)
    predictions, actuals = Table("predictions", **common), Table("actuals", **common)
    return Model(
        "spend", "regression", features=features, predictions=predictions, actuals=actuals, prediction="p", actual="a"
    )


def test_no_category_is_remembered_told_or_shown(model: Model, tmp_path: Path) -> None:
    windows = [START.shifted(n * (START.end - START.start)) for n in range(DAYS + 1)]
    last = windows[-1]
    engine = connect(f"duckdb:///{tmp_path}/warehouse.duckdb")
    with History(f"sqlite:///{tmp_path}/history.db") as history:
        monitoring = Monitoring([model], engine, history)
        for window in windows:
            engine.land(model.features, window, rows(window, NEW if window == last else USUAL))
        monitoring.backfill(model.features, windows[:-1], last.start)
        verdicts = monitoring.check(model.features, last, last.end)
        failed = [v for v in verdicts if v.failed and v.field == "customer"]
        assert {v.detector for v in failed} >= {"field_health"}
        update(history, lineage_of([model]), last.end)
        found = incidents(history)
        notes = [Note(incident, "opened", last.end) for incident in found]
        assert notes
        told = [repr(evaluate(check, verdicts)) for check in ("field_health", "drift", "mix", "schema", "volume")]
        told += [subject(notes), *(body(notes, form) for form in ("text", "markdown", "html"))]
        told += [file.read_text() for file in write([model], history, tmp_path / "report", last.end)]
        told += [repr(v) for v in verdicts]
        pinned = history.reference("orders")
        assert pinned is not None
        reference = Reference.from_bytes(pinned.payload)
        told += [repr(reference), repr(history.profiles("orders", reference.profile.fingerprint))]
    told += [file.read_bytes().decode("latin-1") for file in tmp_path.glob("history.db*")]
    engine.close()
    assert [name for name in NAMES for text in told if name in text] == []


def test_no_value_is_in_a_refusal(model: Model, tmp_path: Path) -> None:
    engine = connect(f"duckdb:///{tmp_path}/warehouse.duckdb")
    number = rows(START, USUAL).assign(customer=7)
    engine.land(model.features, START, number)
    tomorrow = START.shifted(START.end - START.start)
    with pytest.raises(DataError, match="column 'customer'") as refused:
        engine.land(model.features, tomorrow, rows(tomorrow, USUAL))
    mixed = rows(tomorrow, USUAL)
    mixed["customer"] = [1, *mixed["customer"][1:]]
    with pytest.raises(DataError, match="it holds values of types") as unreadable:
        engine.land(model.features, tomorrow, mixed)
    engine.close()
    said = str(refused.value) + str(unreadable.value)
    assert [name for name in NAMES if name in said] == []


def test_a_sensitive_field_is_no_segment() -> None:
    field = Field("customer", sensitive=True)
    with pytest.raises(SpecError, match="segment 'customer' is sensitive"):
        Table("orders", key="id", time="at", fields=(field, "amount"), segments="customer")
    with pytest.raises(ProfileError, match="segment 'customer' is sensitive"):
        mlobs.Reference.learn(rows(START, USUAL), fields=[field, "amount"], segments="customer")
