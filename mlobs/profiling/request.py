"""What is to be profiled, and the rows, columns and groups that its queries read. Builds trees; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from mlobs.engines.column_types import data_type
from mlobs.engines.protocol import Engine, Source
from mlobs.errors import ProfileError, nearest
from mlobs.profiling import queries
from mlobs.profiling.grouping import Combination, Segmentation, window_date, window_number
from mlobs.profiling.nodes import Node, any_of, column
from mlobs.spec import FieldKind
from mlobs.states import CategoricalState, FieldState, Levels, NumericState, Relation
from mlobs.windows import Window

HASHED = 8
"""Most fields that row hashes are made of: enough to tell rows apart, without reading every column again."""

FEW = 20_000
"""Up to so many rows one scan that unpivots all fields beats a branch for each field on DuckDB."""

TEXTS = 20_000
"""Most distinct texts of a field and group that are handed over; with more, `open_text` counts them in the engine."""


@dataclass(frozen=True)
class Request:
    """What is profiled.

    Attributes:
        frames: field -> a state of no rows that carries its frozen frame.
        columns, kinds: what the engine says of the source's columns.
        windows: sorted and disjoint; empty profiles all rows.
        time: the time column.
        where: further conditions.
        segmentation: how rows are split.
        now: the instant from which a timestamp counts as future, where there are no windows.
        pairs, relations: the twins and relations frozen in the reference.
        hashed: the fields that row hashes are made of.
        zeros: the fields whose zeros shared a bin with other values in the reference, so that they are counted with the bins.
        rows: how many rows there are, as far as known; it decides which form of a query is the faster one.
    """

    source: Source
    frames: Mapping[str, FieldState]
    columns: Mapping[str, str]
    kinds: Mapping[str, FieldKind | None]
    windows: Sequence[Window] = ()
    time: str | None = None
    where: tuple[Node, ...] = ()
    segmentation: Segmentation = field(default_factory=Segmentation)
    now: datetime | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    relations: tuple[Relation, ...] = ()
    hashed: tuple[str, ...] = ()
    zeros: frozenset[str] = frozenset()
    rows: int = 1 << 62

    def only(self, kind: type) -> dict[int, tuple[str, Any]]:
        """Field number -> (name, state) of the fields of a kind."""
        return {at: (n, s) for at, (n, s) in enumerate(self.frames.items()) if isinstance(s, kind)}


def is_double(type_text: str, dialect: str) -> bool:
    """Whether a column holds doubles, so that no cast is needed."""
    found = data_type(type_text, dialect)
    return found is not None and found.this == exp.DataType.Type.DOUBLE


def is_text(type_text: str, dialect: str) -> bool:
    """Whether a column holds texts, so that no cast is needed."""
    found = data_type(type_text, dialect)
    return found is not None and found.this in (exp.DataType.Type.TEXT, exp.DataType.Type.VARCHAR)


def numeric_columns(engine: Engine, request: Request) -> list[queries.NumericColumn]:
    return [
        queries.NumericColumn(
            at, name, state.grid, is_double(request.columns[name], engine.dialect), zeros=name in request.zeros
        )
        for at, (name, state) in request.only(NumericState).items()
    ]


def text_columns(engine: Engine, request: Request) -> list[tuple[int, str, bool]]:
    return [
        (at, name, is_text(request.columns[name], engine.dialect))
        for at, (name, state) in request.only(CategoricalState).items()
        if not counted_apart(state.levels)
    ]


def scan_of(engine: Engine, request: Request, found: Sequence[Combination] = ()) -> queries.Scan:
    """The rows and groups that the request's queries read, when the rows hold the combinations `found`."""
    conditions, window, date = list(request.where), None, None
    if request.windows:
        assert request.time is not None
        kind = request.columns[request.time]
        span = Window(request.windows[0].start, request.windows[-1].end)
        conditions.append(engine.forms.within(column(request.time), kind, span))
        if len(request.windows) > 1:
            window = window_number(engine.forms, column(request.time), kind, request.windows)
            date = window_date(engine.forms, column(request.time), kind, request.windows)
    segments = request.segmentation.expressions(found) if request.segmentation.fields else ()
    compact = queries.always_compact(engine.forms) or (engine.dialect == "duckdb" and request.rows <= FEW)
    return queries.Scan(engine.forms, request.source.expression, tuple(conditions), window, segments, compact, date)


def counted_apart(levels: Levels) -> bool:
    """Whether the reference had so many distinct texts that they are counted in the engine from the start."""
    return levels.distinct > TEXTS


def text_limit(request: Request, found: Sequence[Combination] = ()) -> int:
    """Rows that a field's distinct texts may take in an answer; as many mean that it was cut short."""
    return (TEXTS + 1) * max(len(request.windows), 1) * max(len(found), 1)


def ungrouped(engine: Engine, base: Request) -> Request:
    """The request with its windows as a condition instead of groups."""
    if len(base.windows) < 2:
        return replace(base, segmentation=Segmentation())
    assert base.time is not None
    joined: list[Window] = []
    for w in base.windows:
        if joined and joined[-1].end == w.start:
            joined[-1] = joined[-1].hull(w)
        else:
            joined.append(w)
    kind = base.columns[base.time]
    inside = any_of([engine.forms.within(column(base.time), kind, w) for w in joined])
    return replace(base, windows=(), where=(*base.where, exp.Paren(this=inside)), segmentation=Segmentation())


def condition(engine: Engine, where: str | None) -> tuple[Node, ...]:
    """A condition as a tree.

    Raises:
        ProfileError: when it can't be parsed as one SQL condition.
    """
    if where is None:
        return ()
    try:
        tree = parse_one(where, dialect=engine.dialect, into=exp.Condition)
    except SqlglotError as error:
        raise ProfileError(f"where={where!r} is no SQL condition ({str(error).splitlines()[0]})") from error
    return (exp.Paren(this=tree),)


def check_condition(where: Sequence[Node], columns: Mapping[str, str], label: str) -> None:
    """Refuse a condition on a column that isn't there, before anything runs.

    Raises:
        ProfileError: names the column and the nearest one.
    """
    known = {name.casefold() for name in columns}
    for node in where:
        for found in node.find_all(exp.Column):
            if not found.table and not found.find_ancestor(exp.Query) and found.name.casefold() not in known:
                raise ProfileError(
                    f"{label}: where= names an unknown column {found.name!r}; {nearest(found.name, columns)}"
                )
