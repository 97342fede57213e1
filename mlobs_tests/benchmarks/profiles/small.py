"""What a profile costs beside the engine: Python's own CPU, stored bytes, reading back, drift from stored profiles."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa

from mlobs.engines import open_data
from mlobs.metrics.distances import distances
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, profile
from mlobs.profiling.watching import Watched
from mlobs_tests.benchmarks.profiles.clock import least


class Clocked(Watched):
    """An engine that adds up the CPU that passes inside it."""

    inside = 0.0

    def run(self, query: Any) -> Any:
        before = time.process_time()
        try:
            return super().run(query)
        finally:
            self.inside += time.process_time() - before


def rows_of(columns: int, rows: int, seed: int = 1) -> pa.Table:
    """Four of five columns numeric, half of these skewed; each fifth a text of 50 levels."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {}
    for i in range(columns):
        if i % 5 == 4:
            names = pa.array([f"level {k}" for k in range(50)])
            drawn = pa.array(rng.integers(0, 50, rows).astype(np.int32))
            made[f"c{i}"] = pa.DictionaryArray.from_arrays(drawn, names).cast(pa.string())
        else:
            made[f"n{i}"] = rng.lognormal(0, 1, rows) if i % 2 else rng.normal(i, 2, rows)
    return pa.table(made)


def run(columns: int, rows: int, times: int) -> dict[str, float]:
    """Least CPU in milliseconds and sizes in bytes, at so many columns and rows a profile."""
    reference = Reference.learn(rows_of(columns, min(max(rows, 2000), 20_000)))
    engine, source = open_data(rows_of(columns, rows, seed=2))
    made = profile((engine, source), reference=reference)
    stored = made.to_bytes()
    days = [profile(rows_of(columns, min(rows, 1000), seed=s), reference=reference) for s in range(3, 10)]
    week = [day.to_bytes() for day in days]
    python = float("inf")
    for _ in range(times):
        clocked, before = Clocked(engine), time.process_time()
        profile((clocked, source), reference=reference)
        python = min(python, time.process_time() - before - clocked.inside)
    cpu = least(
        {
            "profile": lambda: profile((engine, source), reference=reference),
            "read": lambda: Profile.from_bytes(stored),
            "measured": lambda: Profile.from_bytes(stored).measurements(),
            "drift": lambda: distances(reference.profile, Profile.merged(Profile.from_bytes(day) for day in week)),
        },
        times,
    )
    return {
        "profile, ms of CPU": cpu["profile"] * 1e3,
        "of these Python, ms": python * 1e3,
        "stored, bytes": float(len(stored)),
        "from_bytes, ms": cpu["read"] * 1e3,
        "measurements, ms": (cpu["measured"] - cpu["read"]) * 1e3,
        "drift of 7 stored days, ms": cpu["drift"] * 1e3,
    }
