"""What a profile says when it can't be made, on real engines: table, window and field; and the history stays as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy

import mlobs
from mlobs.engines import Engine, Source, connect
from mlobs.errors import ProfileError, WarehouseError
from mlobs.profiling import Reference, learn_reference, profile, profile_windows
from mlobs.spec import Table
from mlobs.windows import Window
from mlobs_tests.profiling.rows import START, hostile_rows

HOSTILE = Table("hostile", time="at", key="id", fields=("plain", "word"))
DAY = Window("2024-03-01", "2024-03-02")


def one_line(caught: pytest.ExceptionInfo[Any]) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_table_that_is_gone(engine: Engine, fill: Any) -> None:
    fill("hostile", hostile_rows(60))
    known = learn_reference(engine, HOSTILE)
    gone = Table("hostil", time="at", key="id")
    with pytest.raises(WarehouseError, match=r"table 'hostil', window 2024-03-01: .*did you mean 'hostile'") as caught:
        profile((engine, gone), reference=known, window=DAY)
    one_line(caught)
    days = list(Window("2024-03-01", "2024-03-04").split(timedelta(days=1)))
    with pytest.raises(WarehouseError, match=r"3 windows from 2024-03-01 to 2024-03-03: .*no table 'hostil'"):
        profile_windows((engine, gone), days, reference=known)


def test_columns_that_are_gone(engine: Engine, fill: Any) -> None:
    rows = hostile_rows(60)
    fill("hostile", rows)
    known = learn_reference(engine, HOSTILE)
    with pytest.raises(ProfileError, match="where= names an unknown column 'plan'; did you mean 'plain'"):
        profile((engine, HOSTILE), reference=known, window=DAY, where="plan > 0")
    with pytest.raises(ProfileError, match="where= names an unknown column 'plan'; did you mean 'plain'"):
        learn_reference(engine, HOSTILE, where="plan > 0")
    fill("timeless", rows.drop_columns(["at"]))
    with pytest.raises(ProfileError, match=r"timeless: .*window 2024-03-01.*time column, and 'at' isn't there"):
        profile((engine, Table("timeless", time="at", key="id")), reference=known, window=DAY)
    fill("wordless", rows.drop_columns(["word"]))
    made = profile((engine, Table("wordless", time="at", key="id")), reference=known, window=DAY)
    assert list(made.fields) == ["plain"]


def test_a_column_whose_values_can_not_be_read_is_named(engine: Engine, fill: Any) -> None:
    fill("texts", pa.table({"id": [1, 2], "good": [1.0, 2.0], "code": ["17", "seventeen"]}))
    source = Source.query("SELECT id, good, CAST(code AS INT) AS code FROM texts", "duckdb")
    reference = Reference.learn(pa.table({"good": [1.0, 2.0], "code": [1, 2]}))
    with pytest.raises(WarehouseError, match=r"field 'code': .*seventeen") as caught:
        profile((engine, source), reference=reference)
    assert "profile of query SELECT id" in one_line(caught)


def test_columns_of_types_that_no_state_fits(engine: Engine, fill: Any) -> None:
    rows = pa.table({"x": [1.0, 2.0, 3.0], "list": pa.array([[1], None, []]), "blob": pa.array([b"a", b"", None])})
    made = Reference.learn((engine, fill("odd", rows))).profile
    assert list(made.unprofiled) == ["list", "blob"]
    assert {name: (made.field(name).rows, made.field(name).nulls) for name in made.unprofiled} == {
        "list": (3, 1), "blob": (3, 1),
    }  # fmt: skip


class Watched:
    """A table of a real Postgres that is monitored, with its history in a file."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine = connect(url)
        self.engine.land(
            HOSTILE, Window("2024-03-01", "2024-03-04"), hostile_rows(200).to_pandas()[["at", "id", "plain", "word"]]
        )
        table = {"time": "at", "key": "id", "start": START}
        self.table = Table("hostile", fields=("plain", "word"), **table)
        model = mlobs.Model(
            name="m", task="regression", features=self.table, predictions=Table("p", **table), actuals=Table("a", **table),
            prediction="p", actual="a",
        )  # fmt: skip
        self.folder = folder
        self.history = mlobs.History(f"sqlite:///{folder / 'history.db'}")
        self.monitoring = mlobs.Monitoring([model], self.engine, self.history)

    def check(self, day: int) -> Any:
        window = Window.day(START + timedelta(days=day))
        return self.monitoring.check(self.table, window, window.end)

    def remembered(self) -> list[tuple[Any, ...]]:
        """Every row of every table of the history."""
        engine = sqlalchemy.create_engine(f"sqlite:///{self.folder / 'history.db'}")
        tables = sqlalchemy.MetaData()
        tables.reflect(engine)
        with engine.connect() as connection:
            found = [(t.name, *row) for t in tables.sorted_tables for row in connection.execute(sqlalchemy.select(t))]
        engine.dispose()
        return found


@pytest.fixture
def watched(postgres_url: str, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(postgres_url, tmp_path)
    made.check(0)
    yield made
    made.history.close()
    made.engine.close()


@pytest.mark.parametrize(
    ("act", "message"),
    [("pg_cancel_backend", "the query was cancelled"), ("pg_terminate_backend", "the connection was lost")],
)
def test_a_query_cut_short_leaves_the_history_as_it_was(
    watched: Watched, postgres_url: str, act: str, message: str
) -> None:
    before = watched.remembered()
    admin = sqlalchemy.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        # the profile waits for a lock, so that there is time to cut it short
        connection.execute(sqlalchemy.text("BEGIN; LOCK TABLE hostile IN ACCESS EXCLUSIVE MODE"))
        acting = sqlalchemy.select(getattr(sqlalchemy.func, act)(sqlalchemy.column("pid")))
        waiting = acting.select_from(sqlalchemy.table("pg_stat_activity")).where(
            sqlalchemy.column("wait_event_type") == "Lock",
            sqlalchemy.column("datname") == sqlalchemy.func.current_database(),
        )

        def cut() -> None:
            with admin.connect() as another:
                for _ in range(400):
                    if another.execute(waiting).fetchall():
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=cut)
        thread.start()
        with pytest.raises(WarehouseError, match=rf"table 'hostile', window 2024-03-02: .*{message}") as caught:
            watched.check(1)
        thread.join()
        connection.execute(sqlalchemy.text("ROLLBACK"))
    admin.dispose()
    one_line(caught)
    assert watched.remembered() == before
    assert watched.check(1)
    assert len(watched.remembered()) > len(before)


def test_a_table_dropped_meanwhile_leaves_the_history_as_it_was(watched: Watched, postgres_url: str) -> None:
    before = watched.remembered()
    admin = sqlalchemy.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE hostile"))
    admin.dispose()
    with pytest.raises(WarehouseError, match=r"table 'hostile', window 2024-03-02: .*no table 'hostile'"):
        watched.check(1)
    assert watched.remembered() == before
