"""One DuckDB file and many processes, for real.

Landings wait for each other, a lock held too long is one clear error, a kill loses nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from mlobs.engines import Source, connect
from mlobs.errors import WarehouseError, WarehouseLocked
from mlobs.spec import Table
from mlobs.windows import Window

ROOT = Path(__file__).resolve().parents[2]
FLIGHTS = Table("flights", key="id", time="at")

LAND = """
    import sys
    import pandas as pd
    from mlobs.engines import connect
    from mlobs.spec import Table
    from mlobs.windows import Window

    engine = connect(sys.argv[1], wait=60)
    print("ready", flush=True)
    sys.stdin.readline()
    name, days = sys.argv[2], int(sys.argv[3])
    for n in range(days):
        day = Window.day(pd.Timestamp("2013-01-01" if name == "a" else "2016-01-01") + pd.Timedelta(days=n))
        frame = pd.DataFrame({"id": [f"{name}-{n}-{i}" for i in range(50)], "at": [day.start] * 50, name: [n] * 50})
        engine.land(Table(f"of_{name}", key="id", time="at"), day, frame)
        engine.land(Table("shared", key="id", time="at"), day, frame)
    print("done", flush=True)
"""

HOLD = """
    import sys, time
    import duckdb
    connection = duckdb.connect(sys.argv[1])
    connection.execute("CREATE TABLE IF NOT EXISTS held (n INTEGER)")
    print("held", flush=True)
    sys.stdin.readline()
    connection.close()
    print("free", flush=True)
    sys.stdin.readline()
"""

INTERRUPTED = """
    import os, signal, sys
    import pandas as pd
    from mlobs.engines import connect, embedded, statements
    from mlobs.spec import Table
    from mlobs.windows import Window

    insert = statements.insert_staged
    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
    statements.insert_staged = die
    frame = pd.DataFrame({"id": [9], "at": pd.to_datetime(["2013-04-01"], utc=True), "x": [9.0], "y": ["new"]})
    connect(sys.argv[1]).land(Table("flights", key="id", time="at"), Window.day("2013-04-01"), frame)
"""


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def tell(running: subprocess.Popen[str]) -> None:
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()


def hear(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def url(path: Path) -> str:
    return f"duckdb:///{path}"


@pytest.mark.slow
def test_two_processes_land_at_once_and_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with process(LAND, url(path), "a", "6") as a, process(LAND, url(path), "b", "6") as b:
        assert (hear(a), hear(b)) == ("ready", "ready")
        tell(a)
        tell(b)
        ended = [running.communicate(timeout=120) for running in (a, b)]
        assert [out.strip() for out, _ in ended] == ["done", "done"], ended
    engine = connect(url(path))
    counts = engine.run("SELECT count(*) AS n, count(a) AS a, count(b) AS b FROM shared").to_pylist()
    assert counts == [{"n": 600, "a": 300, "b": 300}]
    assert engine.run("SELECT count(*) AS n FROM of_a").to_pylist() == [{"n": 300}]


@pytest.mark.slow
def test_a_file_held_too_long_is_one_clear_error_and_works_when_free(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    engine = connect(url(path), wait=0.3)
    frame = pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01"], utc=True)})
    with process(HOLD, str(path)) as holder:
        assert hear(holder) == "held"
        for work in (
            lambda: engine.land(FLIGHTS, Window.day("2013-04-01"), frame),
            lambda: engine.columns(Source.table(("held",))),
            lambda: engine.exists(FLIGHTS),
        ):
            started = time.monotonic()
            with pytest.raises(
                WarehouseLocked, match=r"is held by another process and was not free within 0.3 s .*PID \d+"
            ) as caught:
                work()
            assert 0.25 < time.monotonic() - started < 10
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)
        patient = connect(url(path), wait=60)
        threading.Timer(0.5, tell, [holder]).start()
        assert patient.land(FLIGHTS, Window.day("2013-04-01"), frame).rows == 1
    assert engine.exists(FLIGHTS)


@pytest.mark.slow
def test_a_landing_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    engine = connect(url(path))
    frame = pd.DataFrame({"id": [1, 2], "at": pd.to_datetime(["2013-04-01"] * 2, utc=True), "x": [1.0, 2.0]})
    engine.land(FLIGHTS, Window.day("2013-04-01"), frame)
    before = (engine.columns(Source.table(FLIGHTS.path)), engine.fetch(FLIGHTS).to_dict("records"))
    with process(INTERRUPTED, url(path)) as dying:
        out, err = dying.communicate(timeout=60)
        assert dying.returncode == -signal.SIGKILL, (out, err)
    assert (engine.columns(Source.table(FLIGHTS.path)), engine.fetch(FLIGHTS).to_dict("records")) == before


def test_threads_of_one_process_land_at_once(tmp_path: Path) -> None:
    engine = connect(url(tmp_path / "warehouse.duckdb"))
    failures: list[BaseException] = []

    def land(n: int) -> None:
        day = Window.day(pd.Timestamp("2013-01-01") + pd.Timedelta(days=n))
        frame = pd.DataFrame({"id": [n], "at": [day.start], f"x{n}": [1.0]})
        try:
            engine.land(FLIGHTS, day, frame)
            engine.fetch(FLIGHTS, day)
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            failures.append(error)

    threads = [threading.Thread(target=land, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(engine.fetch(FLIGHTS)["id"]) == list(range(8))


def test_a_connection_of_the_user_in_this_process_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as mine:
        mine.execute("CREATE TABLE t AS SELECT 1 AS n")
        engine = connect(url(path), wait=0.3)
        assert engine.columns(Source.table(("t",))) == {"n": "INTEGER"}
        frame = pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01"], utc=True)})
        engine.land(FLIGHTS, Window.day("2013-04-01"), frame)
        assert mine.execute("SELECT count(*) FROM flights").fetchall() == [(1,)]
        assert mine.execute("SELECT current_setting('python_enable_replacements')").fetchall() == [(True,)]


def test_a_session_opens_the_file_once_and_lets_it_go(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    engine = connect(url(path))
    frame = pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01"], utc=True)})
    with engine.session(), engine.session():
        engine.land(FLIGHTS, Window.day("2013-04-01"), frame)
        assert engine.run("SELECT count(*) AS n FROM flights").to_pylist() == [{"n": 1}]
        with pytest.raises(WarehouseError, match="no table 'nope'"):
            engine.columns(Source.table(("nope",)))
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('select count(*) from flights').fetchall())"
    other = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert other.stdout == "[(1,)]\n"


def test_a_thread_that_keeps_writing_is_one_clear_error_for_the_others(tmp_path: Path) -> None:
    patient, hasty = connect(url(tmp_path / "w.duckdb")), connect(url(tmp_path / "w.duckdb"), wait=0.2)
    frame = pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01"], utc=True)})
    caught: list[BaseException] = []

    def land() -> None:
        try:
            hasty.land(FLIGHTS, Window.day("2013-04-01"), frame)
        except WarehouseLocked as error:
            caught.append(error)

    with patient.session():
        thread = threading.Thread(target=land)
        thread.start()
        thread.join()
    assert [str(error) for error in caught] == [
        f"{hasty.label} is being written by another thread of this process, and was not free within 0.2 s;"  # type: ignore[attr-defined]
        " end its session, or wait longer"
    ]
    land()
    assert len(caught) == 1


def test_files_that_can_t_be_opened(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [1], "at": pd.to_datetime(["2013-04-01"], utc=True)})
    with pytest.raises(WarehouseError, match="does not exist yet: land a table first"):
        connect(url(tmp_path / "none.duckdb")).columns(Source.table(("t",)))
    assert not connect(url(tmp_path / "none.duckdb")).exists(FLIGHTS)
    assert not (tmp_path / "none.duckdb").exists()
    with pytest.raises(WarehouseError, match=r"make the folder .*missing' first"):
        connect(url(tmp_path / "missing" / "w.duckdb")).land(FLIGHTS, Window.day("2013-04-01"), frame)
    (tmp_path / "text.duckdb").write_text("hello, I am a letter" * 500)
    with pytest.raises(WarehouseError, match="not a valid DuckDB database"):
        connect(url(tmp_path / "text.duckdb")).columns(Source.table(("t",)))
    with pytest.raises(WarehouseError, match="can't be opened"):
        connect(url(tmp_path)).land(FLIGHTS, Window.day("2013-04-01"), frame)
