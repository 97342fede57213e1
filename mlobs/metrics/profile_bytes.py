"""The stored form of a profile: all states laid out as columns, so that reading a hundred fields costs little. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlobs.errors import ProfileError
from mlobs.metrics.profiles import Profile
from mlobs.states import (
    BooleanState,
    CategoricalState,
    FieldState,
    Grid,
    Levels,
    NumericState,
    PairState,
    Relation,
    ResidualState,
    RowSketch,
    TimestampState,
    UnprofiledState,
)
from mlobs.states.categorical import form
from mlobs.states.distinct import REGISTERS
from mlobs.states.grid import HALF
from mlobs.states.numeric import STEPS
from mlobs.states.packing import pack, unpack
from mlobs.windows import Window

MAGIC = b"mlobsp"
VERSION = 3

READ = (VERSION, 2)
"""Format versions that are read."""

LAYOUT, PLAIN = 3, 2
"""Layouts of the arrays. In the older one no grid has a tail, and positions inside bins are in 7ths."""

Arrays = dict[str, NDArray[Any]]


def encode(profile: Profile) -> bytes:
    """See `Profile.to_bytes`."""
    header, arrays = laid_out(profile)
    return pack(MAGIC, VERSION, header, arrays)


def decode(data: bytes) -> Profile:
    """See `Profile.from_bytes`."""
    header, arrays = unpack(MAGIC, READ, data, "profile")
    try:
        return restored(header, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ProfileError(f"this profile is damaged and can't be read ({error}): profile the rows again") from error


def laid_out(profile: Profile) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays; segments follow the whole table as further sections with the same frames."""
    sections = [profile, *profile.segments.values()]
    frames: dict[str, FieldState] = {}
    for section in sections:
        for name, state in section.fields.items():
            frames.setdefault(name, state)
    header = {
        "layout": LAYOUT,
        "table": profile.table,
        "columns": dict(profile.columns),
        "fingerprint": profile.fingerprint,
        "fields": [[name, _frame(state)] for name, state in frames.items()],
        "sections": [_section(key, s) for key, s in zip(["", *profile.segments], sections, strict=True)],
        "order": [[list(frames).index(n) for n in s.fields] for s in sections]
        if _disordered(sections, list(frames))
        else [],
    }
    present = [[name in s.fields for name in frames] for s in sections]
    arrays: Arrays = {"present": np.array(present, np.uint8).reshape(-1)}
    groups: dict[type, list[Any]] = {}
    for section in sections:
        for name in frames:
            held = section.fields.get(name)
            if held is not None:
                groups.setdefault(type(held), []).append(held)
    arrays.update(_numeric_arrays(groups.get(NumericState, [])))
    arrays.update(_categorical_arrays(groups.get(CategoricalState, []), header))
    header["plain"] = [
        _plain(s) for kind in (BooleanState, TimestampState, UnprofiledState) for s in groups.get(kind, [])
    ]
    _lay_out_rows(sections, header, arrays)
    grids = [s.grid for s in frames.values() if isinstance(s, NumericState)]
    numbers = [(g.centre, g.scale, g.low, g.high, g.deviation, g.tail) for g in grids]
    arrays["grids"] = np.array(numbers, np.float64).reshape(-1)
    return header, arrays


def restored(header: dict[str, Any], arrays: Arrays) -> Profile:
    """The profile that `laid_out` took apart."""
    plain = header.get("layout", PLAIN) == PLAIN
    grids = iter(arrays["grids"].reshape(-1, 5 if plain else 6))
    frames = [(name, _unframed(frame, grids)) for name, frame in header["fields"]]
    present = arrays["present"].reshape(len(header["sections"]), len(frames)).astype(bool)
    numeric = _numeric_states(
        arrays,
        [f for row in present for (_, f), p in zip(frames, row, strict=True) if p and isinstance(f, Grid)],
        7 if plain else STEPS,
    )
    categorical = _categorical_states(
        header,
        arrays,
        [f for row in present for (_, f), p in zip(frames, row, strict=True) if p and isinstance(f, tuple)],
    )
    others: dict[str, list[Any]] = {"boolean": [], "timestamp": [], "unprofiled": []}
    for item in header["plain"]:
        others[item[0]].append(_unplain(item))
    queues = {kind: iter(states) for kind, states in others.items()}
    profiles: list[Profile] = []
    for number, (section, row) in enumerate(zip(header["sections"], present, strict=True)):
        fields: dict[str, FieldState] = {}
        for (name, frame), here in zip(frames, row, strict=True):
            if not here:
                continue
            if isinstance(frame, Grid):
                fields[name] = next(numeric)
            elif isinstance(frame, tuple):
                fields[name] = next(categorical)
            else:
                fields[name] = next(queues[frame])
        if header["order"]:
            fields = {frames[i][0]: fields[frames[i][0]] for i in header["order"][number]}
        profiles.append(_restored_section(header, section, fields))
    _restore_rows(profiles, header, arrays)
    whole, parts = profiles[0], profiles[1:]
    segments = {s["key"]: p for s, p in zip(header["sections"][1:], parts, strict=True)}
    object.__setattr__(whole, "segments", segments)
    return whole


def _disordered(sections: Sequence[Profile], names: list[str]) -> bool:
    return any(list(s.fields) != [n for n in names if n in s.fields] for s in sections)


def _section(key: str, p: Profile) -> dict[str, Any]:
    return {
        "key": key,
        "window": [p.window.start.isoformat(), p.window.end.isoformat()] if p.window else None,
        "rows": p.rows,
        "duplicates": p.duplicate_keys,
        "newest": p.newest.isoformat() if p.newest else None,
        "columns": bool(p.columns),
    }


def _restored_section(header: dict[str, Any], section: dict[str, Any], fields: dict[str, FieldState]) -> Profile:
    window = section["window"]
    return Profile(
        table=header["table"],
        window=Window(*window) if window else None,
        rows=section["rows"],
        columns=dict(header["columns"]) if section["columns"] else {},
        fields=fields,
        duplicate_keys=section["duplicates"],
        newest=_moment(section["newest"]),
        fingerprint=header["fingerprint"],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _frame(state: FieldState) -> list[Any]:
    if isinstance(state, NumericState):
        g = state.grid
        return ["n", g.decimals, list(g.cuts), g.distinct]
    if isinstance(state, CategoricalState):
        v = state.levels
        extra = [list(v.lengths), list(v.forms)] if v.sensitive else []
        return ["c", state.kind, list(v.names), sorted(v.shapes), v.complete, v.sensitive, v.salt, v.distinct, *extra]
    return ["p", state.kind]


@lru_cache(maxsize=4096)
def _grid(numbers: bytes, decimals: int, cuts: tuple[int, ...], distinct: int) -> Grid:
    """One grid for the profiles of many windows, which then share what is worked out from it."""
    centre, scale, low, high, deviation, *tail = np.frombuffer(numbers, np.float64).tolist()
    return Grid(centre, scale, low, high, deviation, decimals, cuts, distinct, *tail)


@lru_cache(maxsize=4096)
def _levels(
    names: tuple[str, ...],
    shapes: tuple[str, ...],
    complete: bool,
    sensitive: bool,
    salt: str,
    distinct: int,
    hidden: tuple[tuple[int, ...], ...],
) -> Levels:
    """One frame of known values for the profiles of many windows."""
    lengths, forms = hidden if hidden else (tuple(map(len, names)), tuple(map(form, names)))
    return Levels(names, lengths, forms, frozenset(shapes), complete, sensitive, salt, distinct)


def _unframed(frame: list[Any], grids: Any) -> Grid | tuple[Levels, str] | str:
    if frame[0] == "n":
        return _grid(next(grids).tobytes(), frame[1], tuple(frame[2]), frame[3])
    if frame[0] == "c":
        _, kind, names, shapes, complete, sensitive, field, distinct, *extra = frame
        hidden = tuple(map(tuple, extra))  # lengths and forms of values that are kept as hashes
        return _levels(tuple(names), tuple(shapes), complete, sensitive, field, distinct, hidden), kind
    return str(frame[1])


_COUNTS = (
    "rows", "nulls", "nans", "positive_inf", "negative_inf", "zeros", "negatives", "below", "above", "sampling",
    "exact_distinct",
)  # fmt: skip
_NUMBERS = ("mean", "m2", "low", "high")


def _numeric_arrays(states: list[NumericState]) -> Arrays:
    families = sorted({s.family for s in states})
    exact = [s for s in states if s.lows.dtype == np.float64]
    rough = [s for s in states if s.lows.dtype != np.float64]
    sketched = [s for s in states if s.registers is not None]
    return {
        "n_counts": np.array([[getattr(s, c) for s in states] for c in _COUNTS], np.int64).reshape(-1),
        "n_numbers": np.array([[getattr(s, c) for s in states] for c in _NUMBERS], np.float64).reshape(-1),
        "n_used": np.array([len(s.bins) for s in states], np.int64),
        "n_exact": np.array([s.lows.dtype == np.float64 for s in states], np.uint8),
        "n_steps": _joined([np.diff(s.bins, prepend=-_BEFORE) for s in states], np.int64),
        "n_bins": _joined([s.counts for s in states], np.int64),
        "n_lows": _joined([s.lows for s in exact], np.float64),
        "n_highs": _joined([s.highs for s in exact], np.float64),
        "n_ends": _joined([s.lows * (STEPS + 1) + s.highs for s in rough], np.uint8),
        "n_sketched": np.array([s.registers is not None for s in states], np.uint8),
        "n_registers": _joined([s.registers for s in sketched], np.uint8),
        "n_family": np.array([families.index(s.family) for s in states], np.int64),
        "n_families": np.frombuffer("\0".join(families).encode(), np.uint8) if families else np.zeros(0, np.uint8),
    }


_BEFORE = HALF + 1
"""Bins are kept as steps from here, so that all of them are positive."""


def _joined(parts: list[Any], kind: Any) -> NDArray[Any]:
    return np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)


def _numeric_states(arrays: Arrays, grids: list[Grid], steps_inside: int) -> Any:
    size = len(grids)
    counts = arrays["n_counts"].reshape(len(_COUNTS), size).T.tolist()
    numbers = arrays["n_numbers"].reshape(len(_NUMBERS), size).T.tolist()
    families = arrays["n_families"].tobytes().decode().split("\0")
    used_by = arrays["n_used"]
    ends = np.cumsum(used_by).tolist()
    # all fields at once: each one's steps start anew
    walked = np.concatenate([[0], np.cumsum(arrays["n_steps"])])
    places = walked[1:] - np.repeat(walked[np.cumsum(used_by) - used_by], used_by) - _BEFORE
    rough_lows, rough_highs = np.divmod(arrays["n_ends"], steps_inside + 1)
    if steps_inside != STEPS:
        rough_lows = rough_lows * STEPS // steps_inside
        rough_highs = (-(-rough_highs.astype(np.int64) * STEPS // steps_inside)).astype(np.uint8)
    bins, is_exact, is_sketched = arrays["n_bins"], arrays["n_exact"].tolist(), arrays["n_sketched"].tolist()
    family = arrays["n_family"].tolist()
    exact_at = rough_at = sketch_at = start = 0
    for i, grid in enumerate(grids):
        stop = ends[i]
        used = stop - start
        if is_exact[i]:
            lows, highs = arrays["n_lows"][exact_at : exact_at + used], arrays["n_highs"][exact_at : exact_at + used]
            exact_at += used
        else:
            lows, highs = rough_lows[rough_at : rough_at + used], rough_highs[rough_at : rough_at + used]
            rough_at += used
        sketch = None
        if is_sketched[i]:
            sketch = arrays["n_registers"][sketch_at : sketch_at + REGISTERS]
            sketch_at += REGISTERS
        *plain, sampling, exact_distinct = counts[i]
        yield NumericState(  # type: ignore[call-arg, unused-ignore]
            grid, *plain, *numbers[i],
            places[start:stop], bins[start:stop], lows, highs,
            sketch, sampling, families[family[i]], exact_distinct,
        )  # fmt: skip
        start = stop


_TEXT_COUNTS = ("rows", "nulls", "unseen_rows", "new_shapes", "length_sum", "length_min", "length_max")


def _categorical_arrays(states: list[CategoricalState], header: dict[str, Any]) -> Arrays:
    header["unseen"] = [list(s.unseen) for s in states]
    return {
        "c_counts": np.array([[getattr(s, c) for s in states] for c in _TEXT_COUNTS], np.int64).reshape(-1),
        "c_levels": _joined([s.counts for s in states], np.int64),
        "c_forms": _joined([s.forms for s in states], np.int64),
        "c_unseen": np.array([n for s in states for _, n in s.unseen.values()], np.int64),
        "c_hashes": np.array([h for s in states for h, _ in s.unseen.values()], np.uint64),
    }


def _categorical_states(header: dict[str, Any], arrays: Arrays, frames: list[tuple[Levels, str]]) -> Any:
    counts = arrays["c_counts"].reshape(len(_TEXT_COUNTS), len(frames)).T.tolist()
    level_at = fresh_at = 0
    hashes, fresh = arrays["c_hashes"].tolist(), arrays["c_unseen"].tolist()
    for i, (levels, kind) in enumerate(frames):
        rows, nulls, unseen_rows, new_shapes, length_sum, length_min, length_max = counts[i]
        names = header["unseen"][i]
        stop = fresh_at + len(names)
        yield CategoricalState(
            levels, kind, rows, nulls,
            arrays["c_levels"][level_at : level_at + len(levels.names)], unseen_rows,
            dict(zip(names, zip(hashes[fresh_at:stop], fresh[fresh_at:stop], strict=True), strict=True)),
            arrays["c_forms"][7 * i : 7 * i + 7], new_shapes, length_sum, length_min, length_max,
        )  # fmt: skip
        level_at += len(levels.names)
        fresh_at = stop


def _plain(s: BooleanState | TimestampState | UnprofiledState) -> list[Any]:
    if isinstance(s, BooleanState):
        return [s.kind, s.rows, s.nulls, s.trues]
    if isinstance(s, TimestampState):
        ends = [t.isoformat() if t else None for t in (s.low, s.high)]
        return [s.kind, s.bound.isoformat(), s.rows, s.nulls, s.future, s.past, s.unix_zero, *ends]
    return [s.kind, s.type, s.rows, s.nulls]


def _unplain(item: list[Any]) -> FieldState:
    kind, *rest = item
    if kind == "boolean":
        return BooleanState(*rest)
    if kind == "timestamp":
        bound, *counts, low, high = rest
        start = _moment(bound)
        assert start is not None
        rows, nulls, future, past, zero = counts
        return TimestampState(start, rows, nulls, future, past, zero, _moment(low), _moment(high))
    return UnprofiledState(*rest)


def _lay_out_rows(sections: Sequence[Profile], header: dict[str, Any], arrays: Arrays) -> None:
    """Twins, relations and the row sketch."""
    whole = sections[0]
    header["pairs"] = [list(pair) for pair in whole.pairs]
    header["relations"] = [dataclasses.asdict(r.relation) for r in whole.relations.values()]
    counts = [(s.rows, s.alone) for p in sections for s in p.pairs.values()]
    arrays["pairs"] = np.array(counts, np.int64).reshape(-1)
    arrays["residual_rows"] = np.array([s.rows for p in sections for s in p.relations.values()], np.int64)
    sums = [(s.total, s.squares) for p in sections for s in p.relations.values()]
    arrays["residual_sums"] = np.array(sums, np.float64).reshape(-1)
    if whole.sketch is not None:
        ordered = sorted(whole.sketch.hashes)
        header["sketch"] = [whole.sketch.family, whole.sketch.limit]
        arrays["row_hashes"] = np.array(ordered, np.int64)
        arrays["row_counts"] = np.array([whole.sketch.hashes[h] for h in ordered], np.int64)


def _restore_rows(profiles: Sequence[Profile], header: dict[str, Any], arrays: Arrays) -> None:
    pairs = [(f, t) for f, t in header["pairs"]]
    relations = [
        Relation(
            **{**r, **{part: tuple(r[part]) for part in ("levels", "means")}, "inputs": tuple(map(tuple, r["inputs"]))}
        )
        for r in header["relations"]
    ]
    counts = iter(arrays["pairs"].reshape(-1, 2).tolist())
    rows = iter(arrays["residual_rows"].tolist())
    sums = iter(arrays["residual_sums"].reshape(-1, 2).tolist())
    for p in profiles:
        object.__setattr__(p, "pairs", {pair: PairState(*pair, *next(counts)) for pair in pairs})
        object.__setattr__(p, "relations", {(r.y, r.x): ResidualState(r, next(rows), *next(sums)) for r in relations})
    if "sketch" in header:
        family, limit = header["sketch"]
        hashes = dict(zip(arrays["row_hashes"].tolist(), arrays["row_counts"].tolist(), strict=True))
        object.__setattr__(profiles[0], "sketch", RowSketch(family, limit, hashes))
