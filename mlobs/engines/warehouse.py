"""What all engines share: generating SQL, kinds, and turning a refusal into one message that names what was meant.

Subclasses in this folder say how a text is run, a table described, and a landing made all or nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from mlobs.engines.column_types import kind_of
from mlobs.engines.forms import Forms
from mlobs.engines.protocol import Landing, Source, table_node
from mlobs.engines.results import as_frame
from mlobs.errors import UnfitValue, WarehouseError, nearest
from mlobs.spec import FieldKind, Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Warehouse(ABC):
    """An engine but for its connection.

    Args:
        dialect: one of `mlobs.engines.forms.DIALECTS`.
        label: how messages call the warehouse; no password in it.
    """

    def __init__(self, dialect: str, label: str) -> None:
        self.dialect = dialect
        self.forms = Forms(dialect)
        self.label = label
        self._closed = False

    # What a subclass must do

    @abstractmethod
    def columns(self, source: Source) -> dict[str, str]: ...

    @abstractmethod
    def land(self, table: Table, window: Window, frame: Any) -> Landing: ...

    @abstractmethod
    def _rows(self, text: str) -> pa.Table:
        """Run one query; errors as `WarehouseError` through `_refused`."""

    @abstractmethod
    def _tables(self, schema: str | None) -> list[tuple[str, ...]]:
        """Paths of the tables and views of a schema (None: the usual one); for messages only."""

    @abstractmethod
    def _found(self, path: Sequence[str]) -> bool: ...

    # What follows from it

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def kinds(self, source: Source) -> dict[str, FieldKind | None]:
        return {name: kind_of(text, self.dialect) for name, text in self.columns(source).items()}

    def sql(self, query: exp.Expr, *, pretty: bool = False) -> str:
        return self.forms.sql(query, pretty=pretty)

    def run(self, query: exp.Expr | str) -> pa.Table:
        text = query if isinstance(query, str) else self.sql(query)
        try:
            return self._rows(text)
        except RefusedError as refused:
            tree = None if isinstance(query, str) else query
            kind = UnfitValue if refused.misfit else WarehouseError
            raise kind(self._explained(refused, tree)) from refused.cause

    def fetch(self, table: Table, window: Window | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
        source = Source.table(table.path)
        known = self.columns(source)
        names = list(known) if columns is None else list(columns)
        for name in [*names, *([table.time] if window is not None else [])]:
            if name not in known:
                raise WarehouseError(
                    f"table {table.id!r} in {self.label} has no column {name!r}; {nearest(name, known)}"
                )
        query = source.select(*(quoted(n) for n in names))
        if window is not None:
            query = query.where(self.forms.within(quoted(table.time), known[table.time], window))
        return as_frame(self.run(query))

    def exists(self, table: Table) -> bool:
        try:
            return self._found(table.path)
        except RefusedError as refused:
            raise WarehouseError(f"{self.label}: {refused.words}") from refused.cause

    # Messages

    def _open(self) -> None:
        if self._closed:
            raise WarehouseError(f"{self.label} was closed; connect again")

    def _explained(self, refused: RefusedError, query: exp.Expr | None) -> str:
        """One message from a refusal: the unknown table or column with the nearest one, else the engine's own words."""
        try:
            reason = self._unknown(query) if query is not None and refused.unknown else None
        except (WarehouseError, RefusedError):
            reason = None
        return f"{self.label}: {reason or refused.words}"

    def _unknown(self, query: exp.Expr) -> str | None:
        own = {cte.alias for cte in query.find_all(exp.CTE)}
        known: set[str] = set()
        for node in query.find_all(exp.Table):
            path = tuple(part.name for part in node.parts)
            if not all(path) or (len(path) == 1 and path[0] in own) or not isinstance(node.this, exp.Identifier):
                continue
            if not self._found(path):
                return self._no_table(path)
            known |= set(self.columns(Source(table_node(path), ".".join(path))))
        if not known:
            return None
        named = known | own | {node.alias for node in query.find_all(exp.Alias, exp.TableAlias)} | {"*"}
        for column in query.find_all(exp.Column):
            if column.name not in named:
                return f"no column {column.name!r}; {nearest(column.name, known)}"
        return None

    def _no_table(self, path: Sequence[str]) -> str:
        name = ".".join(path)
        try:
            names = [".".join(found) for found in self._tables(path[-2] if len(path) > 1 else None)]
        except RefusedError:
            names = []  # no such schema
        hint = nearest(name, names)
        return f"no table {name!r}; " + (
            hint if len(names) <= 20 or "did you" in hint else f"{len(names)} others are there"
        )


class RefusedError(Exception):
    """A statement failed: the engine's words, and whether an unknown name or a value that does not fit is to blame."""

    def __init__(self, words: str, cause: BaseException | None, unknown: bool, misfit: bool) -> None:
        super().__init__(words)
        self.words, self.cause, self.unknown, self.misfit = words, cause, unknown, misfit


def refused(
    words: str, cause: BaseException | None = None, *, unknown: bool = False, misfit: bool = False
) -> RefusedError:
    """The first line of what an engine said, as an exception to raise inside `_rows`."""
    line = next((part.strip() for part in words.splitlines() if part.strip()), "no reason given")
    return RefusedError(line[:500], cause, unknown, misfit)


def quoted(name: str) -> exp.Column:
    """A column as a node, quoted."""
    return exp.column(exp.to_identifier(name, quoted=True))
