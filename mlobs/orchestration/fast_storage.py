"""Opt-in speed for a replay: Dagster's SQLite storages keep their connections, and don't wait for the disk.

Dagster opens a connection, with a new engine, for every event: three quarters of the time of a short run. Measured on 2
quiet cores, a run of two assets and two check ops with ten evaluations: 0.45 s as it is, 0.35 s without fsync, 0.12 s
with kept connections. A replay can be repeated, so a power cut may cost its instance; a killed process costs nothing.
Files and layout stay Dagster's own, and other processes (the UI) may read them meanwhile. Changes one instance object
of one process, for the length of a `with` block.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

TIMEOUT = 30.0
SHARDS = 4
"""Event logs of runs that stay open; a run is one shard, and runs of a replay follow each other."""


@contextmanager
def fast_storage(
    instance: dg.DagsterInstance, *, fsync: bool = False, capture_output: bool = False
) -> Iterator[dg.DagsterInstance]:
    """Keeps SQLite connections of this instance open inside the block; other storages are left as they are.

    Args:
        instance: an instance on SQLite files (local, `DagsterInstance.local_temp`).
        fsync: wait for the disk at each commit, as Dagster does.
        capture_output: keep stdout and stderr of each run, as Dagster does by starting two processes for each.
    """
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
    from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
    from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage

    with ExitStack() as stack:
        logs = instance.compute_log_manager
        if not capture_output and isinstance(logs, LocalComputeLogManager):
            stack.enter_context(_replaced(logs, "capture_logs", _uncaptured(logs)))
        if isinstance(instance.event_log_storage, SqliteEventLogStorage):
            stack.enter_context(_event_log(instance.event_log_storage, fsync))
        for storage in (instance.run_storage, instance.schedule_storage):
            if isinstance(storage, (SqliteRunStorage, SqliteScheduleStorage)):
                stack.enter_context(_one_file(storage, fsync))
        yield instance


def _engine(url: str, fsync: bool) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": TIMEOUT, "check_same_thread": False})
    if not fsync:

        def set_pragma(connection: sqlite3.Connection, _: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        sa.event.listen(engine, "connect", set_pragma)
    return engine


@contextmanager
def _replaced(target: Any, name: str, value: Callable[..., Any]) -> Iterator[None]:
    """An attribute of one object, replaced inside the block; the class is not touched."""
    setattr(target, name, value)
    try:
        yield
    finally:
        delattr(target, name)


def _uncaptured(logs: Any) -> Callable[..., Any]:
    """Runs leave the mark that their output is complete, and no output."""
    from dagster._core.storage.compute_log_manager import CapturedLogContext

    @contextmanager
    def capture_logs(log_key: Sequence[str]) -> Iterator[Any]:
        yield CapturedLogContext(log_key)
        done = Path(logs.complete_artifact_path(log_key))
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()

    return capture_logs


@contextmanager
def _one_file(storage: Any, fsync: bool) -> Iterator[None]:
    """Run and schedule storage: one file, one engine."""
    engine = _engine(storage._conn_string, fsync)

    @contextmanager
    def connect() -> Iterator[sa.Connection]:
        with engine.begin() as connection:
            yield connection

    try:
        with _replaced(storage, "connect", connect):
            yield
    finally:
        engine.dispose()


@contextmanager
def _event_log(storage: Any, fsync: bool) -> Iterator[None]:
    """Event log: an index and one file per run, made by copying an empty one."""
    lock = threading.RLock()
    engines: OrderedDict[str, sa.Engine] = OrderedDict()
    folder = Path(storage.path_for_shard("index")).parent
    empty = folder / ".empty-event-log"  # no .db: Dagster takes every *.db here for a run
    _make_empty(storage, empty)

    @contextmanager
    def connect(shard: str) -> Iterator[sa.Connection]:
        with lock:
            engine = engines.get(shard)
            if engine is None:
                path = Path(storage.path_for_shard(shard))
                if not path.exists():
                    shutil.copyfile(empty, path)
                engine = engines[shard] = _engine(storage.conn_string_for_shard(shard), fsync)
                storage._initialized_dbs.add(shard)
            engines.move_to_end(shard)
            with engine.begin() as connection:
                yield connection
            while len(engines) > SHARDS:
                oldest = next(name for name in engines if name != "index")
                engines.pop(oldest).dispose()

    try:
        with _replaced(storage, "_connect", connect):
            yield
    finally:
        for engine in engines.values():
            engine.dispose()
        with suppress(OSError):
            empty.unlink()


def _make_empty(storage: Any, path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    storage._initdb(engine)
    engine.dispose()
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
