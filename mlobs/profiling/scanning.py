"""Run the profile query on an engine and hand its answer to `assemble`. The only file here that runs queries of a profile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from mlobs.engines.protocol import Engine, Source
from mlobs.errors import ProfileError
from mlobs.profiling import assemble, queries
from mlobs.profiling.assemble import Answer
from mlobs.profiling.grouping import Segmentation, grouped, window_number
from mlobs.profiling.nodes import Node, all_of, column, count, number, text
from mlobs.spec import FieldKind
from mlobs.states import BooleanState, CategoricalState, FieldState, NumericState, TimestampState, UnprofiledState
from mlobs.states.grid import Grid
from mlobs.windows import Window

TOGETHER = 16
"""Up to so many groups the whole profile is one query, of one snapshot; with more, one query for each part of it."""

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


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
        future: the instant from which a timestamp counts as future, where there are no windows.
    """

    source: Source
    frames: Mapping[str, FieldState]
    columns: Mapping[str, str]
    kinds: Mapping[str, FieldKind | None]
    windows: Sequence[Window] = ()
    time: str | None = None
    where: tuple[Node, ...] = ()
    segmentation: Segmentation = field(default_factory=lambda: Segmentation((), ()))
    future: datetime | None = None


@dataclass(frozen=True)
class Group:
    """The states of one window and segment."""

    rows: int
    newest: datetime | None
    fields: dict[str, FieldState]


def scan_of(engine: Engine, request: Request) -> queries.Scan:
    """The rows and groups that the request's query reads."""
    conditions = list(request.where)
    parts: list[tuple[Node, int]] = []
    if request.windows:
        assert request.time is not None
        kind = request.columns[request.time]
        span = Window(request.windows[0].start, request.windows[-1].end)
        conditions.append(engine.forms.within(column(request.time), kind, span))
        if len(request.windows) > 1:
            parts.append(
                (window_number(engine.forms, column(request.time), kind, request.windows), len(request.windows))
            )
    if request.segmentation.fields:
        parts.append((request.segmentation.number(), request.segmentation.size))
    return queries.Scan(engine.forms, request.source.expression, tuple(conditions), grouped(parts))


def parts_of(engine: Engine, request: Request) -> list[list[exp.Select]]:
    """The branches of the profile query, by part."""
    scan = scan_of(engine, request)
    table = [queries.table_branch(scan, request.time, request.columns.get(request.time or "", ""))]
    numeric, values, sketch = [], [], []
    for at, (name, state) in enumerate(request.frames.items()):
        kind = request.columns[name]
        if isinstance(state, NumericState):
            numeric.append(
                queries.numeric_branch(scan, queries.NumericColumn(at, name, state.grid, kind.upper() == "DOUBLE"))
            )
            sketch.append(queries.sketch_branch(scan, at, name))
        elif isinstance(state, CategoricalState):
            values.append(queries.values_branch(scan, at, name, is_text=kind.upper() in ("VARCHAR", "TEXT", "STRING")))
        elif isinstance(state, BooleanState):
            table.append(queries.boolean_branch(scan, at, name))
        elif isinstance(state, TimestampState):
            end = request.windows[-1].end if request.windows else request.future
            future = engine.forms.moment(end, kind) if end else None
            table.append(queries.timestamp_branch(scan, at, name, kind, state.bound, future))
        else:
            table.append(queries.unprofiled_branch(scan, at, name))
    return [part for part in (table, numeric, values, sketch) if part]


def statements(engine: Engine, request: Request) -> list[Node]:
    """The queries that make the profile: one, or one a part when there are many groups."""
    parts = parts_of(engine, request)
    if max(len(request.windows), 1) * request.segmentation.size <= TOGETHER:
        return [queries.union([branch for part in parts for branch in part])]
    return [queries.union(part) for part in parts]


def scanned(engine: Engine, request: Request) -> dict[int, Group]:
    """Group number -> its states. Groups without rows are missing."""
    answers = [_answer(engine.run(query)) for query in statements(engine, request)]
    names = list(request.frames)
    frames = dict(enumerate(request.frames.values()))
    found: dict[int, dict[str, FieldState]] = {}

    def part(number: int) -> Answer:
        return _stacked([a.where(a["p"] == number) for a in answers])

    numeric = part(queries.NUMERIC)
    grids = {at: s.grid for at, s in frames.items() if isinstance(s, NumericState)}
    special = _special(engine, request, numeric, grids)
    registers = assemble.sketch_registers(part(queries.SKETCH))
    family = engine.dialect
    states: dict[tuple[int, int], Any] = {}
    states.update(assemble.numeric_states(numeric, special, registers, grids, family))
    texts = {at: (s.levels, s.kind) for at, s in frames.items() if isinstance(s, CategoricalState)}
    states.update(assemble.categorical_states(part(queries.VALUES), texts))
    states.update(_plain_states(part(queries.PLAIN), frames))
    for (g, f), state in states.items():
        found.setdefault(g, {})[names[f]] = state
    table = part(queries.TABLE)
    groups: dict[int, Group] = {}
    for g, rows, newest in zip(table["g"].tolist(), table["n"].tolist(), table["hi"].tolist(), strict=True):
        if not rows or g < 0:
            continue
        mine = found.get(g, {})
        groups[g] = Group(int(rows), _moment(newest), {n: mine[n] for n in names if n in mine})
    return groups


def _answer(table: Any) -> Answer:
    columns: dict[str, Any] = {}
    for name in queries.COLUMNS:
        array = table.column(name).combine_chunks() if name == "v" else table.column(name)
        if name == "v":
            encoded = array.dictionary_encode()
            columns["v"] = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
            columns["texts"] = encoded.dictionary.to_pylist()
        elif name in ("p", "f", "g", "n"):
            columns[name] = np.asarray(array.to_numpy(), np.int64)
        else:
            columns[name] = np.asarray(array.to_numpy(), np.float64)
            if name == "lo":
                columns["some"] = ~np.asarray(array.is_null().to_numpy())
    texts = columns.pop("texts")
    return Answer(columns, texts)


def _stacked(answers: Sequence[Answer]) -> Answer:
    filled = [a for a in answers if len(a)] or list(answers[:1])
    if len(filled) == 1:
        return filled[0]
    raise ProfileError("a part of a profile came from two queries")  # each part is asked in one


def _special(
    engine: Engine, request: Request, numeric: Answer, grids: Mapping[int, Grid]
) -> dict[tuple[int, int], dict[str, float]]:
    fields = assemble.unbinned(numeric)
    if not fields:
        return {}
    scan = scan_of(engine, request)
    names = list(request.frames)
    branches = [
        queries.special_branch(
            scan, queries.NumericColumn(at, names[at], grids[at], request.columns[names[at]].upper() == "DOUBLE")
        )
        for at in fields
    ]
    found = _answer(engine.run(queries.union(branches)))
    keys = ("n", "k1", "k2", "k3", "b", "s1", "lo", "hi")
    rows = zip(found["g"].tolist(), found["f"].tolist(), *(found[k].tolist() for k in keys), strict=True)
    return {
        (g, f): {
            k: 0.0 if math.isnan(v) and k in ("b", "k1", "k2", "k3") else v for k, v in zip(keys, rest, strict=True)
        }
        for g, f, *rest in rows
        if rest[0]
    }


def _moment(us: float) -> datetime | None:
    if math.isnan(us):
        return None
    try:
        return _UNIX + timedelta(microseconds=round(us))
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if us > 0 else datetime.min.replace(tzinfo=UTC)


def _plain_states(plain: Answer, frames: Mapping[int, FieldState]) -> dict[tuple[int, int], FieldState]:
    states: dict[tuple[int, int], FieldState] = {}
    columns = [np.nan_to_num(plain[name]).astype(np.int64).tolist() for name in ("g", "f", "n", "k1", "k2", "k3", "b")]
    for g, f, n, k1, k2, k3, b, lo, hi in zip(*columns, plain["lo"].tolist(), plain["hi"].tolist(), strict=True):
        frame = frames[f]
        if isinstance(frame, BooleanState):
            states[g, f] = BooleanState(n, n - k1, k2)
        elif isinstance(frame, TimestampState):
            states[g, f] = TimestampState(frame.bound, n, n - k1, k2, k3, b, _moment(lo), _moment(hi))
        elif isinstance(frame, UnprofiledState):
            states[g, f] = UnprofiledState(frame.type, n, n - k1)
    return states


def histograms(engine: Engine, base: Request, grids: Mapping[str, Grid]) -> dict[str, NumericState]:
    """The histogram of numeric fields on the given grids, over all of the request's rows."""
    scan = scan_of(engine, _ungrouped(engine, base))
    branches = [
        queries.numeric_branch(scan, queries.NumericColumn(at, name, grid, base.columns[name].upper() == "DOUBLE"))
        for at, (name, grid) in enumerate(grids.items())
    ]
    answer = _answer(engine.run(queries.union(branches)))
    states = assemble.numeric_states(answer, {}, {}, dict(enumerate(grids.values())), "")
    return {name: states.get((0, at), NumericState(grid)) for at, (name, grid) in enumerate(grids.items())}


def level_counts(engine: Engine, base: Request, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Value -> rows of text and categorical fields, over all of the request's rows."""
    if not names:
        return {}
    scan = scan_of(engine, _ungrouped(engine, base))
    branches = [queries.values_branch(scan, at, name, is_text=False) for at, name in enumerate(names)]
    answer = _answer(engine.run(queries.union(branches)))
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    for f, v, n in zip(answer["f"].tolist(), answer["v"].tolist(), answer["n"].tolist(), strict=True):
        if v >= 0:
            counts[names[f]][answer.texts[v]] = n
    return counts


def _ungrouped(engine: Engine, base: Request) -> Request:
    """The request with its windows as a condition instead of groups."""
    if len(base.windows) < 2:
        return base
    assert base.time is not None
    return Request(base.source, {}, base.columns, base.kinds, (), base.time, (*base.where, in_any(engine, base)))


def in_any(engine: Engine, base: Request) -> Node:
    """The condition that a row lies in one of the request's windows; neighbours are joined into one interval."""
    assert base.time is not None
    joined: list[Window] = []
    for w in base.windows:
        if joined and joined[-1].end == w.start:
            joined[-1] = joined[-1].hull(w)
        else:
            joined.append(w)
    kind = base.columns[base.time]
    return exp.or_(*[engine.forms.within(column(base.time), kind, w) for w in joined], copy=False)


def combinations(engine: Engine, base: Request, names: Sequence[str]) -> dict[tuple[str | None, ...], int]:
    """Rows of each combination of values of one or two fields."""
    scan = scan_of(engine, _ungrouped(engine, base))
    parts: list[Node] = [text(column(name)) for name in names]
    query = exp.Select(
        expressions=[exp.alias_(p.copy(), f"v{i}", quoted=True) for i, p in enumerate(parts)]
        + [exp.alias_(count(), "n", quoted=True)]
    )
    query.set("from_", exp.From(this=scan.relation.copy()))
    if scan.where:
        query.set("where", exp.Where(this=all_of([w.copy() for w in scan.where])))
    query.set("group", exp.Group(expressions=[p.copy() for p in parts]))
    table = engine.run(query)
    values = [table.column(i).to_pylist() for i in range(len(names))]
    return dict(zip(zip(*values, strict=True), table.column(len(names)).to_pylist(), strict=True))


def duplicate_keys(engine: Engine, request: Request, key: Sequence[str]) -> dict[int, int] | None:
    """Window number -> rows whose key an earlier row of the window has; None without a key."""
    if not key or any(name not in request.columns for name in key):
        return None
    scan = scan_of(
        engine,
        Request(request.source, {}, request.columns, request.kinds, request.windows, request.time, request.where),
    )
    g: Node = scan.group.copy() if scan.group is not None else number(0)
    keys: list[Node] = [column(name) for name in key]
    inner = exp.Select(expressions=[exp.alias_(g, "g", quoted=True), exp.alias_(count(), "n", quoted=True)])
    inner.set("from_", exp.From(this=scan.relation.copy()))
    if scan.where:
        inner.set("where", exp.Where(this=all_of([w.copy() for w in scan.where])))
    inner.set("group", exp.Group(expressions=([g.copy()] if scan.group is not None else []) + keys))
    inner.set("having", exp.Having(this=exp.GT(this=count(), expression=number(1))))
    extra = exp.Sum(this=exp.Sub(this=column("n"), expression=number(1)))
    outer = exp.Select(expressions=[column("g"), exp.alias_(extra, "d", quoted=True)])
    outer.set(
        "from_",
        exp.From(this=exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("repeated", quoted=True)))),
    )
    outer.set("group", exp.Group(expressions=[column("g")]))
    table = engine.run(outer)
    return {int(g): int(d) for g, d in zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True)}


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
