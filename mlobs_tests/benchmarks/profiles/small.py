"""What a profile costs beside the engine: Python's own CPU, stored bytes, reading back, drift from stored profiles."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from mlobs.engines import open_data
from mlobs.metrics.distances import distances
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, profile
from mlobs.profiling.watching import Watched


class Clocked(Watched):
    """An engine that adds up the CPU that passes inside it."""

    inside = 0.0

    def run(self, query: Any) -> Any:
        before = time.process_time()
        try:
            return super().run(query)
        finally:
            self.inside += time.process_time() - before


@contextmanager
def timed(found: dict[str, float], name: str) -> Iterator[None]:
    before = time.process_time()
    yield
    found[name] = (time.process_time() - before) * 1e3


def rows_of(columns: int, rows: int, seed: int = 1) -> pa.Table:
    """Four of five columns numeric, half of these skewed; each fifth a text of 50 levels."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for i in range(columns):
        if i % 5 == 4:
            made[f"c{i}"] = [f"level {k}" for k in rng.integers(0, 50, rows).tolist()]
        else:
            made[f"n{i}"] = rng.lognormal(0, 1, rows) if i % 2 else rng.normal(i, 2, rows)
    return pa.table(made)


def run(columns: int, rows: int) -> dict[str, float]:
    """CPU in milliseconds and sizes in bytes, at so many columns and rows a profile."""
    found: dict[str, float] = {}
    reference = Reference.learn(rows_of(columns, max(rows, 2000)))
    batch = rows_of(columns, rows, seed=2)
    profile(batch, reference=reference)
    engine, source = open_data(batch)
    clocked = Clocked(engine)
    with timed(found, "profile, ms of CPU"):
        made = profile((clocked, source), reference=reference)
    found["of these Python, ms"] = found["profile, ms of CPU"] - clocked.inside * 1e3
    stored = made.to_bytes()
    found["stored, bytes"] = float(len(stored))
    with timed(found, "from_bytes, ms"):
        Profile.from_bytes(stored)
    with timed(found, "measurements, ms"):
        Profile.from_bytes(stored).measurements()
    found["measurements, ms"] -= found["from_bytes, ms"]
    week = [profile(rows_of(columns, rows, seed=s), reference=reference).to_bytes() for s in range(3, 10)]
    with timed(found, "drift of 7 stored days, ms"):
        distances(reference.profile, Profile.merged(Profile.from_bytes(day) for day in week))
    return found
