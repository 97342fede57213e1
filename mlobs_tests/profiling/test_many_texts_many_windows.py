"""Several text fields over so many windows that each field is a branch of its own in one query."""

from datetime import timedelta

import pandas as pd

from mlobs.engines import connect
from mlobs.profiling import learn_reference, profile_windows
from mlobs.spec import Table
from mlobs.windows import Window


def test_a_year_of_days_and_three_texts_in_one_pass():
    days = pd.date_range("2013-01-01", periods=600)
    frame = pd.DataFrame(
        {"id": range(1800), "at": days.repeat(3), "a": ["x", "y", "z"] * 600, "b": "b", "c": ["u", "v", None] * 600}
    )
    frame["n"] = frame["id"].astype(float)
    engine = connect("duckdb:///:memory:")
    engine.register("t", frame)
    table = Table("t", time="at", key="id", segments=("a",))
    windows = list(Window("2013-01-01", days[-1] + timedelta(days=1)).split(timedelta(days=1)))
    profiles = profile_windows((engine, table), windows, reference=learn_reference(engine, table, windows[:28]))
    assert [p.rows for p in profiles.values()] == [3] * 600
    assert profiles[windows[500]].fields["c"].frequencies() == {"u": 1, "v": 1}
