"""CPU of profiles as multiples of the floor, in one run. CPU counts all threads; medians."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from mlobs.engines import connect, open_data
from mlobs.engines.protocol import Engine, Source
from mlobs.profiling import Reference, blank, learning
from mlobs.profiling.grouping import Segmentation
from mlobs.profiling.profiles import made_profiles
from mlobs.profiling.scanning import Request
from mlobs.windows import Window
from mlobs_tests.benchmarks.profiles.workload import CATEGORICAL, NUMERIC, make

YEAR = Window("2013-01-01", "2014-01-01")


def cpu(work: Callable[[], object], times: int) -> float:
    """Median CPU seconds of all threads."""
    found = []
    for _ in range(times):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return statistics.median(found)


def floor_sql(relation: str, columns: list[str]) -> str:
    """One query of count, min and max of every column."""
    return "SELECT " + ", ".join(f"count({c}), min({c}), max({c})" for c in columns) + f" FROM {relation}"


def request(engine: Engine, source: Source, reference: Reference, **more: object) -> Request:
    frames = {name: blank(s) for name, s in reference.profile.fields.items()}
    base = Request(source, frames, engine.columns(source), engine.kinds(source), time="day", hashed=reference.hashed)
    return replace(base, **more)  # type: ignore[arg-type]


def run(folder: Path, rows: int, kind: str, times: int) -> dict[str, float]:
    """Ratios to the floor on a DuckDB table or a Parquet file."""
    parquet, database = make(folder, rows)
    if kind == "table":
        engine, source = connect(f"duckdb:///{database}"), Source.table(("t",))
        relation = "t"
    else:
        engine, source = open_data(str(parquet))
        relation = engine.sql(source.expression)
    fields = NUMERIC + CATEGORICAL
    started = time.process_time()
    reference = learning.learn(
        engine,
        source,
        fields=fields,
        time="day",
        key=(),
        segments=(),
        where=(),
        past=Reference.__dataclass_fields__["past"].default,
    )
    learned = time.process_time() - started
    floor_text = floor_sql(relation, fields)
    floor = cpu(lambda: engine.run(floor_text), times)
    whole = request(engine, source, reference)
    full = cpu(lambda: made_profiles(engine, whole, (), "t", "x"), times)
    numbers = request(engine, source, reference, frames={n: whole.frames[n] for n in NUMERIC})
    numeric = cpu(lambda: made_profiles(engine, numbers, (), "t", "x"), times)
    split = request(
        engine, source, reference, segmentation=Segmentation(("s",), tuple((f"segment {i}",) for i in range(10)))
    )
    segmented = cpu(lambda: made_profiles(engine, split, (), "t", "x"), times)
    days = list(YEAR.split(timedelta(days=1)))
    daily = request(engine, source, reference, windows=days)
    year = cpu(lambda: made_profiles(engine, daily, (), "t", "x"), max(1, times // 2))
    return {
        "floor, s of CPU": floor,
        "learning a reference / floor": learned / floor,
        "profile / floor": full / floor,
        "numeric fields only / floor": numeric / floor,
        "by 10 segments / profile": segmented / full,
        "365 days / profile": year / full,
        "peak memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
