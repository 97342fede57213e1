"""CPU of profiles as multiples of the floor, in one run: least CPU (user and system, all threads) of each, taken in turns."""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from mlobs.engines import connect, open_data
from mlobs.engines.protocol import Source
from mlobs.profiling import Reference, profile, profile_windows
from mlobs.profiling.grouping import Segmentation
from mlobs.windows import Window
from mlobs_tests.benchmarks.profiles.clock import least
from mlobs_tests.benchmarks.profiles.workload import CATEGORICAL, CHUNK, NUMERIC, chunk, make

YEAR = Window("2013-01-01", "2014-01-01")
FIELDS = NUMERIC + CATEGORICAL
SEGMENTS = tuple((f"segment {i}",) for i in range(10))


def floor_sql(relation: str, columns: list[str]) -> str:
    """One query of count, min and max of every column."""
    return "SELECT " + ", ".join(f"count({c}), min({c}), max({c})" for c in columns) + f" FROM {relation}"


def run(folder: Path, rows: int, kind: str, times: int) -> dict[str, float]:
    """Ratios to the floor on a DuckDB table or a Parquet file."""
    parquet, database = make(folder, rows)
    if kind == "table":
        engine, source = connect(f"duckdb:///{database}"), Source.table(("t",))
        relation = "t"
    else:
        engine, source = open_data(str(parquet))
        relation = engine.sql(source.expression)
    started = time.process_time()
    reference = Reference.learn((engine, source), fields=FIELDS, time="day")
    learned = time.process_time() - started
    data, days = (engine, source), list(YEAR.split(timedelta(days=1)))
    split = replace(reference, segmentation=Segmentation(("s",), SEGMENTS))
    numeric = {name: reference.profile.fields[name] for name in NUMERIC}
    numbers = replace(reference, profile=replace(reference.profile, fields=numeric))
    cpu = least(
        {
            "floor": lambda: engine.run(floor_sql(relation, FIELDS)),
            "whole": lambda: profile(data, reference=reference),
            "numeric": lambda: profile(data, reference=numbers),
            "segments": lambda: profile(data, reference=split),
            "year": lambda: profile_windows(data, days, reference=reference),
        },
        times,
    )
    return {
        "floor, s of CPU": cpu["floor"],
        "learning a reference / floor": learned / cpu["floor"],
        "profile / floor": cpu["whole"] / cpu["floor"],
        "numeric fields only / floor": cpu["numeric"] / cpu["floor"],
        "by 10 segments / profile": cpu["segments"] / cpu["whole"],
        "365 days / profile": cpu["year"] / cpu["whole"],
        "peak memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_limited(folder: Path, rows: int, limit: str, times: int) -> dict[str, float]:
    """The whole-table profile of a Parquet file under a memory limit and without a place to spill to."""
    parquet, _ = make(folder, rows)
    reference = Reference.learn(chunk(0, min(rows, CHUNK), rows), fields=FIELDS, time="day")
    con = duckdb.connect(config={"memory_limit": limit, "temp_directory": ""})
    engine, source = open_data(con.sql(f"SELECT * FROM read_parquet('{parquet}')"))
    relation = f"read_parquet('{parquet}')"
    cpu = least(
        {
            "floor": lambda: con.execute(floor_sql(relation, FIELDS)).fetchall(),
            "whole": lambda: profile((engine, source), reference=reference),
        },
        times,
    )
    return {
        "floor, s of CPU": cpu["floor"],
        "profile / floor": cpu["whole"] / cpu["floor"],
        "peak memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_texts(rows: int, times: int) -> dict[str, float]:
    """One text field, of few values and of as many as rows: what its values look like is asked of distinct values only."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(f"{folder}/texts.duckdb") as con:
        forms = (
            "CASE range % 4 WHEN 0 THEN substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13, 4) || '-'"
            " || substr(h, 17, 4) || '-' || substr(h, 21, 12) WHEN 1 THEN h || '@example.org' WHEN 2 THEN range::TEXT ELSE h END"
        )
        con.execute(
            f"CREATE TABLE t AS SELECT {forms} AS many, 'level ' || (hash(range) % 500)::TEXT AS few"
            f" FROM (SELECT range, md5(range::TEXT) AS h FROM range({rows}))"
        )
        engine, source = open_data(con.sql("FROM t"))
        few = Reference.learn(pa.table({"few": [f"level {i}" for i in range(500)]}))
        many = Reference.learn((engine, source), fields=["many"])
        every = "count_if(regexp_full_match(trim(many), '{}'))"
        from mlobs.states.categorical import PATTERNS

        cpu = least(
            {
                "few, floor": lambda: con.execute(floor_sql("t", ["few"])).fetchall(),
                "few": lambda: profile((engine, source), reference=few),
                "many, floor": lambda: con.execute(floor_sql("t", ["many"])).fetchall(),
                "many": lambda: profile((engine, source), reference=many),
                "distinct": lambda: con.execute(
                    "SELECT count(*) FROM (SELECT many, count(*) FROM t GROUP BY 1)"
                ).fetchall(),
                "patterns": lambda: con.execute(
                    "SELECT " + ", ".join(every.format(p) for p in PATTERNS.values()) + " FROM t"
                ).fetchall(),
            },
            times,
        )
    return {
        "500 values: profile, s of CPU": cpu["few"],
        "500 values: profile / floor": cpu["few"] / cpu["few, floor"],
        "all distinct: profile, s of CPU": cpu["many"],
        "all distinct: profile / floor": cpu["many"] / cpu["many, floor"],
        "the grouping alone, s of CPU": cpu["distinct"],
        "the patterns on every row alone, s": cpu["patterns"],
    }
