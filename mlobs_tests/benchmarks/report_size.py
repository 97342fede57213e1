"""Writes the report of a real history, by default of a year of 100 fields that all fail now and then; prints size and time.

The history is filled by the product itself: a table in DuckDB, one backfill, incidents. Status 1 when a page is larger
than is promised.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np

from mlobs import Field, Model, Table
from mlobs.engines import connect
from mlobs.history import History
from mlobs.incidents import lineage_of, update
from mlobs.monitor import Monitoring
from mlobs.report import write
from mlobs.windows import Window, instant

START = instant("2023-01-01")
LARGEST = 3_000_000
"""Bytes promised for a year of 100 fields."""
ROWS, CALM, BROKEN = 200, 40, 3
"""Rows a day, days before anything breaks, days on which each field is broken."""


def declared(fields: int) -> Model:
    common = {"key": "id", "time": "at"}
    numbers = [Field(f"field_{n:03d}", "numeric") for n in range(fields)]
    return Model(
        "wide",
        "regression",
        features=Table("features", fields=[*numbers, "shop"], segments=["shop"], **common),
        predictions=Table("predictions", fields=["predicted"], **common),
        actuals=Table("actuals", fields=["actual"], **common),
        prediction="predicted",
        actual="actual",
    )


def deliver(file: Path, days: int, fields: int) -> None:
    """The three tables: waits that are never negative, but on a few days of each field."""
    rng = np.random.default_rng(1)
    count = days * ROWS
    day = np.repeat(np.arange(days), ROWS)
    start = START.timestamp()
    seconds = start + day * 86_400 + rng.uniform(0, 86_000, count)
    columns = {"id": np.arange(count), "seconds": seconds, "shop": rng.choice(["a", "b", "c"], count)}
    for n in range(fields):
        values = rng.gamma(2 + n % 5, 1 + n / 10, count)
        for broken in rng.integers(min(CALM, days - 1), days, BROKEN):
            values[broken * ROWS : broken * ROWS + 5] = -1.0
        columns[f"field_{n:03d}"] = values
    columns["predicted"] = rng.normal(20, 5, count)
    columns["actual"] = columns["predicted"] + rng.normal(0, 4, count)
    with duckdb.connect(str(file)) as connection:
        connection.register("every", columns)
        at = "make_timestamp(CAST(seconds * 1000000 AS BIGINT)) AS at"
        names = ", ".join(name for name in columns if name.startswith(("field_", "shop")))
        connection.execute(f"CREATE TABLE features AS SELECT id, {at}, {names} FROM every")
        connection.execute(f"CREATE TABLE predictions AS SELECT id, {at}, predicted, '1' AS model_version FROM every")
        connection.execute(f"CREATE TABLE actuals AS SELECT id, {at}, actual FROM every")


def measure(folder: Path, days: int, fields: int) -> tuple[Path, int, float]:
    """(the model's page, fields that failed in it, seconds that the report took)."""
    deliver(folder / "warehouse.duckdb", days, fields)
    model = declared(fields)
    windows = [Window.day(START + timedelta(n)) for n in range(days)]
    now = windows[-1].end
    engine = connect(f"duckdb:///{folder / 'warehouse.duckdb'}")
    with History(f"sqlite:///{folder / 'history.db'}") as history:
        monitoring = Monitoring([model], engine, history)
        for table in (model.features, model.predictions, model.actuals):
            monitoring.backfill(table, windows, now)
        for window in windows:
            monitoring.score(model, window, now)
        update(history, lineage_of([model]), now, models=[model])
        failed = {kept.verdict.field for kept in history.verdicts("features", status="failed") if kept.verdict.field}
        begun = time.perf_counter()
        page = next(file for file in write([model], history, folder / "report", now) if file.stem == model.name)
        taken = time.perf_counter() - begun
    engine.close()
    return page, len(failed & {field.name for field in model.features.fields}), taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--fields", type=int, default=100)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        page, failed, taken = measure(Path(folder), given.days, given.fields)
        size = page.stat().st_size
    print(f"{given.days} days, {failed} of {given.fields} fields failed: {size / 1e6:.2f} MB, written in {taken:.1f} s")
    return 0 if size < LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
