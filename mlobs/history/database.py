"""Opens the history database and runs short transactions in it; turns the driver's errors into words.

Knows SQLite and Postgres, and nothing of what the tables mean.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from mlobs.addresses import shown, sign_in_password
from mlobs.errors import HistoryError
from mlobs.history.tables import SCHEMA_VERSION, schema
from mlobs.history.upgrading import upgrade

WRITING = "mlobs_writing"
KINDS = ("sqlite", "postgresql")


class Database:
    """A history database: short transactions, several processes at once.

    On SQLite every write takes the write lock at its start (BEGIN IMMEDIATE) and waits for it up to `wait` seconds,
    readers never wait (WAL). A transaction that was not committed leaves nothing behind, also when the process is
    killed. A file that this process may not write, or whose folder it may not, is opened for reading.

    Raises:
        HistoryError: when it can't be opened, or was written by a newer mlobs; says the mend.
    """

    def __init__(self, url: str, wait: float) -> None:
        self.url = _parsed(url)
        self.wait = wait
        self.kind = self.url.get_backend_name()
        self.place = self.url.database if self.kind == "sqlite" else shown(url)
        self._in_memory = self.kind == "sqlite" and self.url.database in (None, "", ":memory:")
        self._one_at_a_time: AbstractContextManager[Any] = threading.RLock() if self._in_memory else nullcontext()
        if self.kind == "sqlite" and not self._in_memory:
            folder = Path(str(self.url.database).removeprefix("file:")).parent
            if not folder.is_dir():
                raise HistoryError(
                    f"history {self.place}: its folder {folder} doesn't exist; make it, or choose another"
                )
            self.url = _as_allowed(self.url)
        self.engine = self._engine()
        try:
            with self._in_words():
                self._prepare()
        except BaseException:
            self.engine.dispose()
            raise

    def _engine(self) -> Engine:
        if self.kind != "sqlite":
            return create_engine(self.url, pool_pre_ping=True)
        if self._in_memory:
            options: dict[str, Any] = {"poolclass": StaticPool}
        else:
            options = {"pool_size": 2, "max_overflow": 8}
        arguments = {"check_same_thread": False, "timeout": self.wait}
        engine = create_engine(self.url, connect_args=arguments, **options)
        event.listen(engine, "connect", self._configure)
        event.listen(engine, "begin", _begin)
        return engine

    def _configure(self, connection: Any, record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own BEGIN is used, not the driver's late one
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(self.wait * 1000)}")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.close()

    def _prepare(self) -> None:
        """An empty database gets its tables, an older one what it lacks; two processes at once do it once."""
        with self.engine.connect() as connection:
            if self._known_version(connection) == SCHEMA_VERSION:
                return
        if self.kind == "sqlite" and not self._in_memory:
            self._use_wal()
        with self.write("schema") as connection:
            if self._known_version(connection) != SCHEMA_VERSION:
                upgrade(connection)

    def _known_version(self, connection: Connection) -> int | None:
        """The database's schema version, None for an empty database."""
        if not inspect(connection).has_table(schema.name):
            return None
        found = connection.scalar(select(func.max(schema.c.version)))
        if found is not None and found > SCHEMA_VERSION:
            raise HistoryError(
                f"history {self.place} was written by a newer mlobs (schema {found}, this one knows {SCHEMA_VERSION});"
                " upgrade mlobs, or point `history` at another database"
            )
        return None if found is None else int(found)

    def _use_wal(self) -> None:
        """SQLite doesn't wait by itself when two processes switch a new file to WAL at once, so this does."""
        give_up = time.monotonic() + self.wait
        while True:
            connection = self.engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except Exception as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise HistoryError(self._words(error)) from error
                time.sleep(0.02)
            finally:
                connection.close()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state."""
        with self._in_words(), self._one_at_a_time, self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, lock: str) -> Iterator[Connection]:
        """A transaction that commits when the block ends well, and else leaves no trace.

        Writers of the same `lock` come one after the other (on SQLite all writers do).
        """
        with self._in_words(), self._one_at_a_time, self.engine.connect() as plain:
            connection = plain.execution_options(**{WRITING: True})
            with connection.begin():
                if self.kind == "postgresql":
                    connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("mlobs:" + lock))))
                yield connection

    def upsert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str] = ()
    ) -> None:
        """Inserts rows; a row whose key (the primary key if left out) is there already replaces it."""
        if not rows:
            return
        dialect = sqlite if self.kind == "sqlite" else postgresql
        insert = dialect.insert(table)
        keys = list(key) or [column.name for column in table.primary_key]
        others = {name: insert.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), list(rows))

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise HistoryError(self._words(error.orig or error)) from error
        except SQLAlchemyError as error:
            raise HistoryError(self._words(error)) from error

    def _words(self, error: BaseException) -> str:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        mends = {
            "locked": f"another process has held it for more than {self.wait:g} s; end that process, or try again",
            "not a database": "the file is damaged or no history; move it away, and a new one is made",
            "malformed": "the file is damaged; restore a backup, or move it away, and a new one is made",
            "unable to open": "its folder can't be written; change its permissions, or choose another place",
            "readonly": "it can't be written; change its permissions, or choose another place",
            "read-only": "it can't be written; change its permissions, or choose another place",
            "full": "the disk is full; free some space",
            "no such table": "it lacks a table and may be another program's; point `history` at another database",
            "no such column": "it was made by another version of mlobs; move it away, and a new one is made",
            "connection": "check that the server runs and that host, port, user and password are right",
        }
        mend = next((mend for sign, mend in mends.items() if sign in said.lower()), "check the database")
        return f"history {self.place}: {said}; {mend}"

    def close(self) -> None:
        self.engine.dispose()


def _as_allowed(url: URL) -> URL:
    """The address of an SQLite file as this process may open it: one that can't be written is opened for reading.

    SQLite reads a file in WAL mode through two files beside it, which it makes. Where it can't, and there is no log that
    has to be read with it, the file is taken to stand still (`immutable`).
    """
    path = str(url.database)
    file = Path(path)
    if path.startswith("file:") or not file.is_file():
        return url
    folder_writable = os.access(file.parent, os.W_OK)
    if folder_writable and os.access(file, os.W_OK):
        return url
    still = not folder_writable and not Path(f"{path}-wal").exists()
    query = {"mode": "ro", "uri": "true", **({"immutable": "1"} if still else {})}
    return url.set(database=f"file:{quote(str(file.absolute()))}").update_query_dict(query)


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _parsed(url: str) -> URL:
    mend = "give 'sqlite:///history.db' or 'postgresql+psycopg://user:password@host/database'"
    if sign_in_password(url):
        raise HistoryError(f"history {shown(url)}: its password holds an @; write it as %40")
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise HistoryError(f"history: its address is no database URL; {mend}") from error
    if parsed.get_backend_name() not in KINDS:
        raise HistoryError(f"history can't live in {parsed.get_backend_name()}; {mend}")
    return parsed
