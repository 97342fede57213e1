"""`History`: the one object through which everything that is remembered is read and written.

It is made of the parts in this folder; incidents and alerts keep their own tables through its `database`.
"""

from __future__ import annotations

from types import TracebackType

from sqlalchemy import false, update

from mlobs.history.database import Database
from mlobs.history.decided import Decided
from mlobs.history.measured import Measured
from mlobs.history.tables import schema


class History(Measured, Decided):
    """What is remembered: profiles, references, verdicts, arrivals, accuracy, decisions, versions, feedback, incidents.

    All times are UTC: naive ones are taken as UTC, and aware ones come back. Every write is one short transaction,
    idempotent by its key; several processes may write at once, and a killed one leaves nothing half-written. An
    in-memory history serves one process.

    Args:
        url: an SQLAlchemy URL of SQLite ("sqlite:///history.db", "sqlite://" for memory) or Postgres
            ("postgresql+psycopg://..."). The tables are made when missing; the folder of an SQLite file must exist.
        wait: seconds a write waits for other writers.

    Raises:
        HistoryError: when the database can't be opened, read or written, or comes from a newer mlobs.

    >>> from datetime import UTC, datetime
    >>> with History("sqlite://") as history:
    ...     history.record_promotion("arrival_delay", "1", datetime(2013, 4, 1, tzinfo=UTC), "mlobs", "first version")
    ...     history.champion("arrival_delay").version
    '1'
    """

    def __init__(self, url: str = "sqlite:///mlobs_history.db", *, wait: float = 30.0) -> None:
        self.database = Database(url, wait)

    def check_writable(self) -> None:
        """Writes nothing, as a write, before work is done whose outcome could not be remembered.

        Raises:
            HistoryError: when the database is read-only, or another process holds it too long.
        """
        with self.database.write("writable") as connection:
            connection.execute(update(schema).where(false()).values(version=schema.c.version))

    def close(self) -> None:
        """Gives the connections back; an in-memory history is gone with it."""
        self.database.close()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"History({self.database.place!r})"
