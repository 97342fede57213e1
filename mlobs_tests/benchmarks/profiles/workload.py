"""The benchmark's rows: 15 numeric columns (1% null, skewed ones among them) and 5 categorical (5 to 5,000 levels), seeded."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMERIC = [f"n{i}" for i in range(15)]
LEVELS = [5, 50, 500, 1000, 5000]
CATEGORICAL = [f"c{i}" for i in range(5)]
CHUNK = 1_000_000
SEED = 20130101


def chunk(number: int, rows: int, total: int) -> pa.Table:
    """One part of the rows; `day` spreads all `total` rows evenly over the 365 days of 2013."""
    rng = np.random.default_rng([SEED, number])
    columns: dict[str, pa.Array] = {}
    at = number * CHUNK + np.arange(rows, dtype=np.int64)
    columns["day"] = pa.array(
        np.datetime64("2013-01-01", "us") + (at * (365 * 86_400_000_000 // total)).astype("timedelta64[us]")
    )
    for i, name in enumerate(NUMERIC):
        if i % 3 == 0:
            x = rng.normal(100.0 * i, 1.0 + i, rows)
        elif i % 3 == 1:
            x = rng.lognormal(1.0, 1.0 + i / 15, rows)
        else:
            x = np.where(rng.random(rows) < 0.3, 0.0, rng.gamma(2.0, 10.0, rows)) - (2.0 if i > 8 else 0.0)
        columns[name] = pa.array(x, mask=rng.random(rows) < 0.01)
    for name, levels in zip(CATEGORICAL, LEVELS, strict=True):
        names = pa.array([f"level {i:05d}" for i in range(levels)])
        drawn = (levels * rng.random(rows) ** 2).astype(np.int32)
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(drawn), names).cast(pa.string())
    columns["s"] = pa.DictionaryArray.from_arrays(
        pa.array(rng.integers(0, 10, rows).astype(np.int32)), pa.array([f"segment {i}" for i in range(10)])
    ).cast(pa.string())
    return pa.table(columns)


def make(folder: Path, rows: int) -> tuple[Path, Path]:
    """The Parquet file and the DuckDB file (table `t`) with so many rows, made when they aren't there."""
    folder.mkdir(parents=True, exist_ok=True)
    parquet, database = folder / f"rows_{rows}.parquet", folder / f"rows_{rows}.duckdb"
    if not parquet.exists():
        writer = None
        for number in range((rows + CHUNK - 1) // CHUNK):
            table = chunk(number, min(CHUNK, rows - number * CHUNK), rows)
            writer = writer or pq.ParquetWriter(parquet, table.schema, compression="snappy")
            writer.write_table(table, row_group_size=122_880)
        assert writer is not None
        writer.close()
    if not database.exists() and rows <= 20_000_000:
        with duckdb.connect(str(database)) as con:
            con.execute("CREATE TABLE t AS SELECT * FROM read_parquet(?)", [str(parquet)])
    return parquet, database
