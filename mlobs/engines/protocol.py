"""What every engine can do, and what it reads from: `Engine`, `Source`, `Landing`. Only types here; no database is touched.

What an engine's SQL needs beyond sqlglot's transpilation is in `engine.forms` (`mlobs.engines.forms.Forms`, which also
works without a connection): `finite`, `is_nan`, `as_double`, `text_length`, `matches`, `hash64`, `epoch_us`, `moment`,
`within`, and the flags `casts_nan_to_null` (try_cast turns NaN into NULL) and `reads_once` (a row store: one scan with
LATERAL VALUES beats one scan per field).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mlobs.errors import WarehouseError
from mlobs.spec import FieldKind, Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlobs.engines.forms import Forms

ALIAS = "source"


@dataclass(frozen=True)
class Source:
    """What to select from: a table, a query, or a scan of files, as a sqlglot tree.

    Args:
        expression: goes into FROM as it is; subqueries carry the alias `source`.
        label: how messages call it.
    """

    expression: exp.Expression
    label: str = field(compare=False)

    @classmethod
    def table(cls, path: Sequence[str]) -> Source:
        """A table by its path, (schema, name) or (name,); each part is one identifier, whatever it holds.

        >>> Source.table(("main", "odd.name; --")).expression.sql()
        '"main"."odd.name; --"'
        """
        return cls(table_node(path), ".".join(path))

    @classmethod
    def query(cls, sql: str, dialect: str | None = None) -> Source:
        """The rows of one SELECT, written in `dialect` (None: plain SQL); it is generated anew in the engine's.

        Raises:
            WarehouseError: when the text is not exactly one query.

        >>> Source.query("select 1 as a").expression.sql()
        '(SELECT 1 AS a) AS source'
        """
        try:
            trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
        except SqlglotError as error:
            raise WarehouseError(f"the query can't be parsed ({str(error).splitlines()[0]}): {_short(sql)}") from error
        if len(trees) != 1 or not isinstance(trees[0], exp.Query):
            raise WarehouseError(f"give exactly one SELECT to read from, got: {_short(sql)}")
        return cls(trees[0].subquery(ALIAS), f"query {_short(sql)}")

    def aliased(self, alias: str) -> exp.Expression:
        """A copy of the expression under another alias, for a query that joins."""
        aliased: exp.Expression = self.expression.copy()
        aliased.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
        return aliased

    def select(self, *chosen: exp.Expr | str) -> exp.Select:
        """`SELECT chosen FROM` this source; everything when nothing is chosen."""
        return exp.select(*(chosen or (exp.Star(),))).from_(self.expression.copy())


@dataclass(frozen=True)
class Landing:
    """What one delivery was.

    Args:
        rows: rows written.
        columns: name -> type of the columns as they were delivered (before any cast to the table's types).
        newest: newest time of the delivered rows, UTC; None when there is none.
        outside: rows whose time is missing or lies outside the window.
    """

    rows: int
    columns: dict[str, str]
    newest: datetime | None
    outside: int


@runtime_checkable
class Engine(Protocol):
    """Where queries run. Every method raises `WarehouseError` when the warehouse refuses or can't be reached."""

    dialect: str
    forms: Forms

    def columns(self, source: Source) -> dict[str, str]:
        """Column name -> type as the engine prints it, in the table's order.

        Raises:
            WarehouseError: the table is unknown (with the nearest name) or the query is wrong.
        """
        ...

    def kinds(self, source: Source) -> dict[str, FieldKind | None]:
        """Column name -> kind that follows from its type; None for what can't be profiled (array, struct, blob).

        Texts are `categorical`: by type alone nothing tells a category from free text.
        """
        ...

    def run(self, query: exp.Expr | str) -> pa.Table:
        """Run one query (a tree, or the text that `sql` made of it).

        Counts are int64, other numbers double (decimals too), timestamps have microseconds, with tz=UTC where the
        engine's type knows a zone and without where it doesn't (that is UTC as well).

        Raises:
            WarehouseError: names the unknown table or column and the nearest one, the lost connection, the cancel.
        """
        ...

    def sql(self, query: exp.Expr, *, pretty: bool = False) -> str:
        """Exactly the text that `run` runs. Every identifier is quoted."""
        ...

    def fetch(self, table: Table, window: Window | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows of the window (all without one), in no order; for training and prediction only, not for monitoring."""
        ...

    def land(self, table: Table, window: Window, frame: Any) -> Landing:
        """Write one window's rows, all or nothing.

        Makes schema and table when they are missing and adds new columns; deletes the rows of the window and rows with
        the same keys; inserts the frame (pandas, polars or pyarrow). Columns that the frame lacks are NULL. Landing the
        same frame again changes nothing.

        A column whose type changed is cast to the table's type when that loses nothing; else the table's column is
        widened (integer to double, date to timestamp, all-null to anything) when that loses nothing.

        Raises:
            DataError: a value fits neither way (names column and a sample), or key or time are missing. Nothing is changed.
            WarehouseError: the warehouse refused. Nothing is changed.
        """
        ...

    def exists(self, table: Table) -> bool:
        """Whether the table is there."""
        ...

    def session(self) -> AbstractContextManager[None]:
        """One step's work in this thread on one connection, kept for the length of the block.

        Saves opening an embedded file for each query; other processes that want to write wait meanwhile. Sessions may
        be nested. Engines that pool their connections have nothing to do here.
        """
        ...

    def close(self) -> None:
        """Let go of connections; the engine can't be used after it."""
        ...


def table_node(path: Sequence[str]) -> exp.Table:
    """A table as a tree, every part of its path quoted."""
    parts = [exp.to_identifier(part, quoted=True) for part in path]
    names = dict(zip(("this", "db", "catalog"), reversed(parts), strict=False))
    return exp.Table(**names)


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= 80 else text[:77] + "..."
