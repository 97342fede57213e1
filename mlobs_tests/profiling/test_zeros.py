"""Zeros that share a bin with other values are counted with the bins, where the reference had such, else by a scan of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlobs.engines import open_data
from mlobs.profiling import Reference, profile, profile_windows
from mlobs.states import NumericState
from mlobs.windows import Window

ROWS = 40_000
DAYS = [Window(f"2013-01-{d:02d}", f"2013-01-{d + 1:02d}") for d in range(1, 5)]


def amounts(seed: int) -> np.ndarray:
    """Nothing in a third of rows, both zeros among them; some near 0, some that are no numbers."""
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(ROWS) < 1 / 3, np.where(rng.random(ROWS) < 0.5, 0.0, -0.0), rng.gamma(2.0, 10.0, ROWS))
    x[::100], x[1::100], x[2::1000], x[3::1000] = rng.uniform(0.0, 1e-3, ROWS // 100), -1e-9, np.nan, np.inf
    return x


def rows(x: np.ndarray) -> pa.Table:
    time = np.datetime64("2013-01-01", "us") + (np.arange(ROWS) * 4 * 86_400 // ROWS).astype("timedelta64[s]")
    return pa.table({"x": x, "time": time})


@pytest.mark.parametrize("mixed", [True, False])
def test_zeros_are_exact_whether_the_reference_had_them_or_not(mixed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    learned = amounts(1)
    reference = Reference.learn(rows(learned if mixed else np.where(learned == 0, 3.0, learned)), time="time")
    assert reference.mixed_zeros == ({"x"} if mixed else set())
    x = amounts(2)
    engine, source = open_data(rows(x))
    asked: list[str] = []
    ask = engine.run
    monkeypatch.setattr(engine, "run", lambda q: (asked.append(q if isinstance(q, str) else engine.sql(q)), ask(q))[1])
    whole = profile((engine, source), reference=reference).fields["x"]
    assert isinstance(whole, NumericState)
    assert whole.zeros == int((x == 0).sum())
    assert whole.negatives == int((x < 0).sum())
    assert whole.nans == int(np.isnan(x).sum())
    assert any('COUNT_IF("x" = 0)' in sql for sql in asked) == mixed
    assert any('WHERE "x" = 0' in sql for sql in asked) != mixed
    days = profile_windows((engine, source), DAYS, reference=reference)
    for at, day in enumerate(DAYS):
        state = days[day].fields["x"]
        assert isinstance(state, NumericState)
        assert state.zeros == int((x[at * ROWS // 4 : (at + 1) * ROWS // 4] == 0).sum())
    engine.close()
