"""Run the queries of a profile on an engine and hand their answers to `assemble`. Knows how many queries there are, and why.

1. One wide query counts what takes one number, and tells which segments and how many rows there are.
2. Fine bins and distinct texts: one query (one for each of the two when there are many windows).
3. What needs the answer of the second: follow-ups on a few fields, distinct sketches, row hashes; one query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from mlobs.engines.protocol import Engine
from mlobs.profiling import assemble, queries
from mlobs.profiling.assemble import Answer, FollowUps, Key
from mlobs.profiling.grouping import Combination, Segmentation, after_window
from mlobs.profiling.nodes import Node, column, count, literal, named, nested, number, select
from mlobs.profiling.open_text import open_states
from mlobs.profiling.request import (
    Request,
    counted_apart,
    numeric_columns,
    scan_of,
    text_columns,
    text_limit,
    ungrouped,
)
from mlobs.profiling.sketching import Sketches, grouped_registers, listed_registers, listing, sizes_of, with_zeros
from mlobs.profiling.wide import wide_query
from mlobs.states import (
    BooleanState,
    CategoricalState,
    FieldState,
    NumericState,
    PairState,
    ResidualState,
    RowSketch,
    TimestampState,
    UnprofiledState,
)
from mlobs.states.rows import HASHES, KEPT

TOGETHER = 16
"""Up to so many groups bins and texts are one query, of one snapshot; with more, one each."""

EXACT_ROWS = 10_000
"""Windows of at most so many rows have their distinct numbers counted exactly."""

_UNIX = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Group:
    """The states of the rows of one window and combination of segment values."""

    window: int
    combination: Combination
    rows: int
    newest: datetime | None
    fields: dict[str, FieldState]
    pairs: dict[tuple[str, str], PairState]
    relations: dict[tuple[str, str], ResidualState]


@dataclass(frozen=True)
class Scanned:
    """All groups that have rows, and what is known of windows only: exact distinct counts and row hashes."""

    groups: list[Group]
    distinct: Mapping[tuple[int, str], int]
    rows: Mapping[int, RowSketch]


class Groups:
    """Numbers groups: window and combination of segment values -> 0, 1, 2 ..."""

    def __init__(self, segments: int) -> None:
        self.segments = segments
        self.size = 1 << 20 if segments else 1
        self.combinations: dict[Combination, int] = {}

    def number(self, table: Any) -> NDArray[np.int64]:
        """The group of each row of an answer; negative for rows outside all windows."""
        window = np.asarray(table.column("g").to_numpy(), np.int64)
        if not self.segments:
            return window
        parts = [table.column(f"u{i}").to_pylist() for i in range(1, self.segments + 1)]
        at = [self.combinations.setdefault(c, len(self.combinations)) for c in zip(*parts, strict=True)]
        return window * self.size + np.array(at, np.int64)

    def split(self, group: int) -> tuple[int, Combination]:
        """(window, combination) of a group."""
        window, at = divmod(group, self.size)
        return window, (list(self.combinations)[at] if self.segments else ())


def late(engine: Engine, request: Request) -> Callable[[str], Node] | None:
    """The condition that a field's timestamp lies at or after the end of its row's window (or `now`); None without either."""

    def of(name: str) -> Node:
        x, kind = column(name), request.columns[name]
        if len(request.windows) < 2:
            end = request.windows[0].end if request.windows else request.now
            assert end is not None
            return exp.GTE(this=x, expression=engine.forms.moment(end, kind))
        assert request.time is not None
        return after_window(engine.forms, x, kind, column(request.time), request.columns[request.time], request.windows)

    return of if request.windows or request.now is not None else None


def wide_text(engine: Engine, request: Request, found: Sequence[Combination]) -> str:
    """The text of the wide query."""
    scan = scan_of(engine, request, found)
    tree = wide_query(
        scan, request.frames, request.columns, request.time, late(engine, request), request.pairs, request.relations
    )
    return engine.sql(tree)


def binned_texts(
    engine: Engine, request: Request, found: Sequence[Combination], listed: Mapping[int, int]
) -> list[str]:
    """The text of the queries for fine bins and distinct texts: one, or one each. The bins of the fields `listed` list
    hashes, sampled as it says."""
    scan = scan_of(engine, request, found)
    numeric = [replace(c, listed=listed.get(c.at, 0)) for c in numeric_columns(engine, request)]
    texts = text_columns(engine, request)
    limit = text_limit(request, found)
    alone = queries.LENIENT_BINS if scan.lenient else queries.NUMBERS
    if scan.lenient and any(c.zeros for c in numeric):
        alone = (*alone, queries.ZEROS_BESIDE)
    if listed:
        alone = (*alone, queries.LISTED)
    if numeric and texts and groups_of(request, found) <= TOGETHER:
        shown = ("v", *alone)
        return [
            queries.union(
                [
                    *queries.numeric_queries(scan, numeric, shown=shown),
                    *queries.value_queries(scan, texts, limit, shown=shown),
                ]
            )
        ]
    parts = [queries.numeric_queries(scan, numeric, shown=alone), queries.value_queries(scan, texts, limit)]
    return [queries.union(part) for part in parts if part]


def _listing(
    engine: Engine, request: Request, found: Sequence[Combination], groups: NDArray[np.int64], rows: Sequence[int]
) -> dict[int, int]:
    """Field -> the share 2^-r of its values' hashes that its bins list; empty where the engine's bins can't."""
    if not scan_of(engine, request, found).lenient:
        return {}
    grids = {at: state.grid for at, (_, state) in request.only(NumericState).items()}
    return listing(grids, sizes_of(groups, rows))


def groups_of(request: Request, found: Sequence[Combination]) -> int:
    """How many groups there can be."""
    return max(len(request.windows), 1) * max(len(found), 1)


def scanned(engine: Engine, request: Request) -> Scanned:
    """Profile the request's rows."""
    with engine.session():
        found = _combinations_found(engine, request)
        numbering = Groups(len(request.segmentation.fields))
        wide = engine.run(wide_text(engine, request, found))
        rows = wide.column("rows").to_pylist()
        request = replace(request, rows=sum(rows))
        listed = _listing(engine, request, found, numbering.number(wide), rows)
        tables = [engine.run(text) for text in binned_texts(engine, request, found, listed)]
        answers = [answer(table, numbering) for table in tables]
        numeric, texts = _part(answers, queries.NUMERIC), _part(answers, queries.VALUES)
        states: dict[tuple[int, int], Any] = {}
        if numeric is not None:
            lists = tables[0].column(queries.LISTED).combine_chunks() if listed else None
            from_bins = {} if lists is None else listed_registers(answers[0], lists)
            states.update(_numeric(engine, request, found, numbering, numeric, from_bins, listed))
        states.update(_texts(engine, request, found, numbering, texts))
        groups = _groups(request, numbering, wide, states)
        return of_windows(engine, request, groups)


def _texts(
    engine: Engine, request: Request, found: Sequence[Combination], numbering: Groups, texts: Answer | None
) -> dict[tuple[int, int], CategoricalState]:
    """States of text fields: from all their distinct values, or counted in the engine where these are too many."""
    fields = request.only(CategoricalState)
    limit = text_limit(request, found)
    cut: set[int] = {at for at, (_, s) in fields.items() if counted_apart(s.levels)}
    states: dict[tuple[int, int], CategoricalState] = {}
    if texts is not None:
        asked = set(fields) - cut
        if len(texts) >= limit * len(asked):  # a scan of all fields at once was cut short, in any of them
            cut |= asked
        else:
            numbers, counts = np.unique(texts["f"], return_counts=True)
            cut |= {int(f) for f, n in zip(numbers, counts, strict=True) if n >= limit}
        whole = texts.where(~np.isin(texts["f"], sorted(cut))) if cut else texts
        states = assemble.categorical_states(whole, {at: (s.levels, s.kind) for at, (_, s) in fields.items()})
    scan = scan_of(engine, request, found)
    for at in sorted(cut):
        name, frame = fields[at]
        made = open_states(engine, scan, name, frame.levels, frame.kind, numbering.number)
        states.update({(g, at): state for g, state in made.items()})
    return states


def _part(answers: Sequence[Answer], number: int) -> Answer | None:
    for one in answers:
        part = one.part(number)
        if len(part):
            return part
    return None


def _combinations_found(engine: Engine, request: Request) -> list[Combination]:
    """The combinations of segment values in the rows, most frequent first; empty without segments."""
    if not request.segmentation.fields:
        return []
    counts = combinations(engine, request, request.segmentation.fields)
    return sorted(counts, key=lambda c: (-counts[c], tuple(v or "" for v in c)))


def _numeric(
    engine: Engine,
    request: Request,
    found: Sequence[Combination],
    numbering: Groups,
    numeric: Answer,
    from_bins: Mapping[Key, NDArray[np.uint8]],
    listed: Mapping[int, int],
) -> dict[tuple[int, int], NumericState]:
    """Numeric states with their follow-ups and distinct sketches; the bins of the fields `listed` gave registers."""
    columns = {c.at: c for c in numeric_columns(engine, request)}
    grids = {at: c.grid for at, c in columns.items()}
    scan = scan_of(engine, request, found)
    texts: list[str] = []
    asked: dict[int, set[int]] = {}
    if scan.lenient:
        asked = {part: fields for part, fields in assemble.wanted(numeric, grids).items() if fields}
        fields = {f for some in asked.values() for f in some}
        templates = {form: queries.follow_up_templates(scan, tailed=form) for form in {grids[f].tailed for f in fields}}
        texts = [
            templates[grids[f].tailed][p].poured(columns[f].tokens(engine.forms))
            for p, some in asked.items()
            for f in sorted(some)
        ]
    states = assemble.numeric_states(numeric, grids)
    shifts = assemble.ill_conditioned(states)
    if shifts:
        template = queries.follow_up_templates(scan, tailed=False)[queries.MOMENTS]
        for f, shift in sorted(shifts.items()):
            texts.append(template.poured({**columns[f].tokens(engine.forms), "shift": literal(shift)}))
    sketches = Sketches.of(states, listed)
    together = bool(texts) and groups_of(request, found) <= TOGETHER
    shown = queries.NUMBERS if together else queries.COUNTED
    sketched = [(columns[f], sketches.levels[f]) for f in sketches.asked]
    sketch_texts = queries.sketch_queries(scan, sketched, shown=shown)
    asking = [[*texts, *sketch_texts]] if together else [part for part in (texts, sketch_texts) if part]
    answers = [answer(engine.run(queries.union(part)), numbering) for part in asking]
    follow_ups = FollowUps(
        {p: rows.counts() for p in asked if (rows := _part(answers, p)) is not None},
        {p: frozenset(fields) for p, fields in asked.items()},
        {} if (special := _part(answers, queries.SPECIAL)) is None else special.by_key("b", "n", "s1", "lo", "hi"),
        {} if (sums := _part(answers, queries.MOMENTS)) is None else assemble.moments(sums, shifts),
    )
    states = assemble.followed_up(states, follow_ups)
    registers = with_zeros(from_bins, {key: s for key, s in states.items() if key[1] in sketches.listed})
    if (rows := _part(answers, queries.SKETCH)) is not None:
        registers.update(grouped_registers(rows))
    thin = sketches.thin(registers)
    again = sorted({f for _, f in thin if sketches.levels[f] > 0})
    if again:
        unsampled = queries.sketch_queries(scan, [(columns[f], 0) for f in again])
        rows = answer(engine.run(queries.union(unsampled)), numbering)
        registers.update(grouped_registers(rows.part(queries.SKETCH)))
    return sketches.put(states, registers, thin, engine.dialect)


def _groups(
    request: Request, numbering: Groups, wide: Any, states: Mapping[tuple[int, int], FieldState]
) -> list[Group]:
    names = list(request.frames)
    numbers = numbering.number(wide).tolist()
    columns = {name: wide.column(name).to_pylist() for name in wide.column_names if name not in ("g", "u1", "u2")}
    by_group: dict[int, dict[str, FieldState]] = {}
    for (g, f), state in states.items():
        by_group.setdefault(g, {})[names[f]] = state
    groups = []
    for line, g in enumerate(numbers):
        rows = columns["rows"][line]
        if not rows or g < 0:
            continue
        one = {name: values[line] for name, values in columns.items()}
        mine = by_group.get(g, {})
        mine.update(_plain_states(request, rows, one))
        window, combination = numbering.split(g)
        groups.append(
            Group(
                window,
                combination,
                rows,
                moment(one.get("newest")),
                {n: mine[n] for n in names if n in mine},
                {pair: PairState(*pair, rows, one[f"alone_{at}"] or 0) for at, pair in enumerate(request.pairs)},
                {
                    (r.y, r.x): ResidualState(
                        r, one[f"residuals_{at}"], one[f"total_{at}"] or 0.0, one[f"squares_{at}"] or 0.0
                    )
                    for at, r in enumerate(request.relations)
                },
            )
        )
    return groups


def _plain_states(request: Request, rows: int, one: Mapping[str, Any]) -> dict[str, FieldState]:
    states: dict[str, FieldState] = {}
    for at, (name, frame) in enumerate(request.frames.items()):
        if isinstance(frame, (BooleanState, TimestampState, UnprofiledState)):
            nulls = rows - (one[f"valued_{at}"] or 0)
        if isinstance(frame, BooleanState):
            states[name] = BooleanState(rows, nulls, one[f"trues_{at}"] or 0)
        elif isinstance(frame, TimestampState):
            future, past, zero = (int(one.get(f"{what}_{at}") or 0) for what in ("future", "past", "zero"))
            low, high = moment(one[f"low_{at}"]), moment(one[f"high_{at}"])
            states[name] = TimestampState(frame.bound, rows, nulls, future, past, zero, low, high)
        elif isinstance(frame, UnprofiledState):
            states[name] = UnprofiledState(frame.type, rows, nulls)
    return states


def of_windows(engine: Engine, request: Request, groups: Sequence[Group]) -> Scanned:
    """Exact distinct counts of small windows, and row hashes of all."""
    rows: dict[int, int] = {}
    for g in groups:
        rows[g.window] = rows.get(g.window, 0) + g.rows
    if not rows:
        return Scanned(list(groups), {}, {})
    scan = scan_of(engine, replace(request, segmentation=Segmentation()))
    small = {w for w, n in rows.items() if n <= EXACT_ROWS}
    texts: list[str] = []
    columns = numeric_columns(engine, request)
    if small and columns:
        limited = scan
        if len(small) < len(rows) and scan.window is not None:
            limited = scan.filtered(exp.In(this=scan.window.copy(), expressions=[number(w) for w in sorted(small)]))
        texts += queries.exact_queries(limited, columns)
    limits = {w: row_limit(n) for w, n in rows.items()}
    hashed = request.hashed
    if hashed:
        texts.append(queries.row_query(scan, hashed, max(limits.values())))
    if not texts:
        return Scanned(list(groups), {}, {})
    found = answer(engine.run(queries.union(texts)), Groups(0))
    names = list(request.frames)
    distinct = {(g, names[f]): n for (g, f), n in found.part(queries.EXACT).counts().items()}
    by_window: dict[int, dict[int, int]] = {w: {} for w in rows}
    part, runs = found.part(queries.ROWS).runs()
    for window, _, start, stop in runs:
        if window in limits:
            mine = zip(part["h"][start:stop].tolist(), part["n"][start:stop].tolist(), strict=True)
            by_window[window] = {h: n for h, n in mine if h < limits[window]}
    family = f"{engine.dialect}:{','.join(hashed)}"
    made = {w: RowSketch.of(family, limits[w], hashes) for w, hashes in by_window.items()} if hashed else {}
    return Scanned(list(groups), distinct, made)


def row_limit(rows: int) -> int:
    """Hashes below it are about twice as many as a sketch keeps, if all rows differ."""
    return min(HASHES, HASHES // max(rows, 1) * 2 * KEPT)


def answer(table: Any, numbering: Groups) -> Answer:
    """An answer as arrays: groups numbered, texts as positions, NULL numbers as NaN."""
    columns: dict[str, Any] = {"g": numbering.number(table)}
    texts: Sequence[str] = ()
    for name in table.column_names:
        array = table.column(name)
        if name == "v":
            encoded = array.combine_chunks().dictionary_encode()
            columns["v"] = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
            texts = encoded.dictionary.to_pylist()
        elif name in ("p", "f", "n"):
            columns[name] = np.asarray(array.to_numpy(), np.int64)
        elif name in queries.NUMBERS:
            if name == "b" and ("s1" not in table.column_names or columns["p"].max(initial=0) >= queries.SKETCH):
                columns["h"] = np.asarray(array.fill_null(0).to_numpy(), np.int64)  # row hashes need all 63 bits
                if "s1" not in table.column_names:
                    continue
            if name == "lo":
                columns["some"] = ~np.asarray(array.is_null().to_numpy())
            columns[name] = np.asarray(array.to_numpy(), np.float64)
    return Answer(columns, texts)


def moment(us: float | None) -> datetime | None:
    """The instant so many microseconds after 1970, at most what a datetime holds."""
    if us is None:
        return None
    try:
        return _UNIX + timedelta(microseconds=int(us))
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if us > 0 else datetime.min.replace(tzinfo=UTC)


def combinations(engine: Engine, base: Request, names: Sequence[str]) -> dict[Combination, int]:
    """Rows of each combination of values of one or two fields."""
    request = replace(ungrouped(engine, base), segmentation=Segmentation(tuple(names)))
    scan = scan_of(engine, request)
    query = select([*scan.named_keys[1:], named(count(), "n")], scan.relation, scan.where, scan.keys)
    table = engine.run(query)
    values = [table.column(i).to_pylist() for i in range(len(names))]
    return dict(zip(zip(*values, strict=True), table.column(len(names)).to_pylist(), strict=True))


def duplicate_keys(engine: Engine, request: Request, key: Sequence[str]) -> dict[int, int] | None:
    """Window number -> rows whose key an earlier row of the window has; None without a key."""
    if not key or any(name not in request.columns for name in key):
        return None
    scan = scan_of(engine, replace(request, segmentation=Segmentation()))
    inner = select(
        [*scan.named_keys, named(count(), "n")], scan.relation, scan.where, [*scan.keys, *(column(n) for n in key)]
    )
    inner.set("having", exp.Having(this=exp.GT(this=count(), expression=number(1))))
    extra = exp.Sum(this=exp.Sub(this=column("n"), expression=number(1)))
    outer = select([column("g"), named(extra, "d")], nested(inner, "repeated"), (), [column("g")])
    table = engine.run(outer)
    return {int(g): int(d) for g, d in zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True)}
