"""Freeze a reference: find each field's kind, grid and levels by aggregate queries, then profile the reference itself.

A numeric field's grid is found with the profile query itself: its histogram on a first grid gives a better centre and
scale, and after two to four rounds these stay. No quantile function, no sample, no sort; the result doesn't depend on
the engine.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from mlobs.engines.protocol import Engine, Source
from mlobs.errors import ProfileError, nearest
from mlobs.metrics.distributions import cut
from mlobs.metrics.profiles import Profile
from mlobs.profiling.discovery import companions, decimals_of, relations, roundings, twins
from mlobs.profiling.grouping import SEGMENTS, Combination, Segmentation
from mlobs.profiling.nodes import Node
from mlobs.profiling.profiles import made_profiles
from mlobs.profiling.reference import Reference, fingerprint
from mlobs.profiling.request import HASHED, TEXTS, Request, check_condition
from mlobs.profiling.scanning import combinations
from mlobs.profiling.surveying import distinct_texts, histograms, level_counts, row_count
from mlobs.spec import Field, FieldKind
from mlobs.states import (
    BooleanState,
    CategoricalState,
    FieldState,
    Grid,
    Levels,
    NumericState,
    TimestampState,
    UnprofiledState,
)
from mlobs.windows import Window

WIDTH = 4.0
"""A grid's scale in interquartile ranges: wide enough that the 99th percentile of a skewed field lies in fine bins."""

FAR = 4.0
"""From so many scales on, the 1st or 99th percentile lies in finer bins of a grid with a tail than of one without."""

UNCERTAIN = 0.2
"""Part of the interquartile range up to which the bins that its ends were found in are narrow enough: a further round would
change the scale by less than `alike` allows."""

NOISE = 8.0
"""Units in the last place by which quantiles of one and the same value may differ, computed from its bin's rounded ends."""

ROUNDS = 6
"""Most rounds in which a grid is refined."""

FINER = 32.0
"""How much finer the grid is where most rows hold one value other than 0, so that few others share its bin."""


COMBINATIONS = 1e12
"""So many combinations of values tell rows apart: a million rows, each with each other, collide once by chance.

Source: the birthday bound, n^2 / (2 * combinations)."""

WORTHWHILE = 0.001
"""Least share of rows that makes a text a known level, in a field with very many texts."""


def learn(
    engine: Engine,
    source: Source,
    *,
    fields: Sequence[Any] | None,
    time: str | None,
    key: tuple[str, ...],
    segments: tuple[str, ...],
    where: tuple[Node, ...],
    past: datetime,
    windows: Sequence[Window] = (),
    label: str = "",
) -> Reference:
    """See `Reference.learn` and `learn_reference`."""
    columns, kinds = engine.columns(source), engine.kinds(source)
    declared = chosen_fields(fields, columns, exclude=(*key, *([time] if time else [])), where=source.label)
    for name in (*key, *segments, *([time] if time else [])):
        if name not in columns:
            raise ProfileError(f"{source.label} has no column {name!r}; {nearest(name, columns)}")
    check_condition(where, columns, source.label)
    chosen = {f.name: kind_of(f, kinds[f.name], columns[f.name], source.label) for f in declared}
    sensitive = {f.name for f in declared if f.sensitive}
    for name in segments:
        if name in sensitive:
            raise ProfileError(
                f"{source.label}: segment {name!r} is sensitive, and the names of segments are remembered;"
                " split by another field, such as one that holds a hash of it"
            )
    base = Request(source, {}, columns, kinds, windows, time, where)
    base = replace(base, rows=row_count(engine, base))
    grids, fineness = learned_grids(engine, base, [n for n, k in chosen.items() if k == "numeric"])
    texts = [n for n, k in chosen.items() if k in ("categorical", "text")]
    levels = learned_levels(engine, base, texts, sensitive)
    frames: dict[str, FieldState] = {}
    for name, kind in chosen.items():
        if kind == "numeric":
            frames[name] = NumericState(grids[name])
        elif kind in ("categorical", "text"):
            frames[name] = CategoricalState(levels.get(name, Levels(salt=name)), kind)
        elif kind == "boolean":
            frames[name] = BooleanState()
        elif kind == "timestamp":
            frames[name] = TimestampState(past)
        else:
            frames[name] = UnprofiledState(columns[name])
    split = Segmentation(segments, segment_values(engine, base, segments)) if segments else Segmentation()
    fineness.update({n: v.distinct for n, v in levels.items()})
    request = replace(base, frames=frames, segmentation=split)
    draft = Profile.merged(made_profiles(engine, request, key, label, "draft").values())
    fineness.update({n: round(s.distinct) for n, s in draft.fields.items() if isinstance(s, NumericState) and s.finite})
    hashed = telling_apart(fineness)
    pairs, found = twins(engine, base, draft.fields), relations(engine, base, draft.fields, hashed)
    pairs += companions(draft.fields, pairs, found)
    found += roundings(draft.fields)
    frames = {name: settled(draft.fields[name], frames[name]) for name in frames}
    stated = {
        "time": time, "key": key, "segments": split.fields, "past": past, "hashed": hashed,
        "pairs": pairs, "relations": [dataclasses.astuple(r) for r in found],
    }  # fmt: skip
    rest = replace(request, frames={}, pairs=pairs, relations=found, hashed=hashed)
    between = Profile.merged(made_profiles(engine, rest, (), label, "draft").values())
    profile = reframed(draft, between, frames, fingerprint(frames, stated))
    return Reference(profile, time, key, split, past, hashed)


def reframed(draft: Profile, between: Profile, frames: Mapping[str, FieldState], print_of: str) -> Profile:
    """The profile of the reference rows on the settled frames, with what holds between its fields, and its row hashes."""

    def states(fields: Mapping[str, FieldState]) -> dict[str, FieldState]:
        found: dict[str, FieldState] = {}
        for name, state in fields.items():
            frame = frames[name]
            if isinstance(state, NumericState) and isinstance(frame, NumericState):
                found[name] = replace(state, grid=frame.grid)
            else:
                found[name] = state
        return found

    return replace(
        draft,
        fields=states(draft.fields),
        segments={
            key: replace(
                part,
                fields=states(part.fields),
                fingerprint=print_of,
                pairs=between.segments[key].pairs if key in between.segments else {},
                relations=between.segments[key].relations if key in between.segments else {},
            )
            for key, part in draft.segments.items()
        },
        fingerprint=print_of,
        pairs=between.pairs,
        relations=between.relations,
        sketch=between.sketch,
    )


def chosen_fields(
    fields: Sequence[Any] | None, columns: Mapping[str, str], exclude: Sequence[str], where: str
) -> list[Field]:
    """The fields to profile: those declared, or every column but time and key.

    Raises:
        ProfileError: a declared field is no column, with the nearest name.
    """
    if not fields:
        return [Field(name) for name in columns if name not in exclude]
    declared = [f if isinstance(f, Field) else Field(f) for f in fields]
    for f in declared:
        if f.name not in columns:
            raise ProfileError(f"{where} has no column {f.name!r}; {nearest(f.name, columns)}")
    return declared


def kind_of(declared: Field, found: FieldKind | None, type_text: str, where: str) -> FieldKind | None:
    """The kind a field is profiled as: the declared one where the column's type allows it, else the derived one.

    Raises:
        ProfileError: the type doesn't fit the declared kind.
    """
    if declared.kind is None or found is None:
        return found
    if not fits(declared.kind, found):
        raise ProfileError(
            f"{where}: field {declared.name!r} is declared {declared.kind}, but its column is {type_text}:"
            " correct the declaration or cast the column in a view"
        )
    return declared.kind


def fits(kind: str, found: FieldKind | None) -> bool:
    """Whether a column whose type is of kind `found` can be profiled as `kind`."""
    if found is None:
        return kind == "unprofiled"
    if kind in ("categorical", "text"):
        return True
    return found == kind or (found in ("numeric", "boolean") and kind in ("numeric", "boolean"))


def learned_levels(engine: Engine, base: Request, names: Sequence[str], sensitive: Container[str]) -> dict[str, Levels]:
    """The known levels of text fields: all, the most frequent, or those worth a bin where most texts occur once.

    A sensitive field with more texts than are handed over has no known levels, since the engine can't match hashes.
    """
    counts = level_counts(engine, base, names)
    many = [n for n in names if len(counts[n]) > TEXTS]
    distinct = distinct_texts(engine, base, many)
    levels: dict[str, Levels] = {}
    for name in names:
        kept = counts[name]
        if name in distinct:
            least = max(base.rows * WORTHWHILE, 2.0)
            kept = {} if name in sensitive else {v: n for v, n in kept.items() if n >= least}
        levels[name] = Levels.learn(kept, name, sensitive=name in sensitive, distinct=distinct.get(name))
    return levels


def telling_apart(fineness: Mapping[str, int]) -> tuple[str, ...]:
    """The fields whose values together tell rows apart: the finest ones, up to eight, until enough combinations.

    Enough are `COMBINATIONS` without the finest field, so that rows differ also while one of the fields is missing.

    >>> telling_apart({"x": 1_000_300, "y": 1_000_200, "z": 1_000_100, "origin": 3})
    ('x', 'y', 'z')
    >>> telling_apart({"pressure": 400, "humid": 2500, "minutes": 380, "temp": 130, "dest": 40, "origin": 3})
    ('humid', 'pressure', 'minutes', 'temp', 'dest', 'origin')
    """
    chosen: list[str] = []
    combinations = 1.0
    for name in sorted(fineness, key=lambda n: -fineness[n])[:HASHED]:
        if combinations >= COMBINATIONS:
            break
        combinations *= max(fineness[name], 1) if chosen else 1
        chosen.append(name)
    return tuple(chosen)


def learned_grids(engine: Engine, base: Request, names: Sequence[str]) -> tuple[dict[str, Grid], dict[str, int]]:
    """Grids around the median, scaled by the interquartile range, and how fine the values are (for ranking fields).

    Cuts and ends are settled by the profile taken on these grids.
    """
    grids = {name: Grid() for name in names}
    fineness = dict.fromkeys(names, 0)
    found: dict[str, NumericState] = {}
    open_names = list(names)
    for _ in range(ROUNDS):
        if not open_names:
            break
        found.update(histograms(engine, base, {name: grids[name] for name in open_names}))
        still = []
        for name in open_names:
            better, last = refined(found[name])
            fineness[name] = _fineness(found[name])
            if not last and not alike(better, grids[name]):
                still.append(name)
            grids[name] = better
        open_names = still
    decimals = decimals_of(engine, base, found)
    return {name: replace(g, decimals=decimals.get(name, -1)) for name, g in grids.items()}, fineness


def _fineness(state: NumericState) -> int:
    """Distinct values where each bin holds one, else more than any such number: bins, and that they hold several."""
    return state.exact_distinct if state.exact_distinct >= 0 else 1_000_000 + len(state.bins)


def refined(state: NumericState) -> tuple[Grid, bool]:
    """A better grid, from the histogram on another one; and whether a further round can't find a better one."""
    if not len(state.counts):
        return Grid(), False
    q01, q05, q25, q50, q75, q95, q99 = state.quantiles([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]).tolist()

    def around(scale: float) -> Grid:
        reach = max(q99 - q50, q50 - q01)
        return Grid.around(q50, scale, tail=reach if FAR * scale < reach < math.inf else 0.0)

    if q75 - q25 > NOISE * math.ulp(max(abs(q25), abs(q75))) and math.isfinite(q75 - q25):
        grid = around(WIDTH * (q75 - q25))
        ends = (q25, q75, *((q01, q99) if grid.tailed else ()))
        return grid, uncertain(state, ends) <= UNCERTAIN * (q75 - q25)
    # most of it is one value: take the range of the others. On a grid that wide this value, unless it is 0, would share a
    # bin with others, seem to be spread, and call for a narrow grid again; so the grid is finer, and the last one
    finer = FINER if q50 else 1.0
    for low, high, normal in ((q05, q95, 2.4), (q01, q99, 3.4)):
        if high > low and math.isfinite(high - low):
            last = q50 != 0 or uncertain(state, (low, high)) <= UNCERTAIN * (high - low)
            return around(WIDTH * (high - low) / normal / finer), last
    spread = float(np.float64(state.high) / 8 - np.float64(state.low) / 8) * 8
    if spread > 0 and math.isfinite(spread):
        return Grid.around(q50, spread / finer), q50 != 0
    return Grid.around(q50, abs(q50) if spread == 0 and q50 else 1.0), False


def uncertain(state: NumericState, values: Sequence[float]) -> float:
    """The sum of the widths of the bins in which quantiles were found: how far these may be off, at most."""
    lows, highs = state.bounds
    at = np.minimum(np.searchsorted(highs, values), len(highs) - 1)
    with np.errstate(over="ignore"):
        return float((highs - lows)[at].sum())


def alike(a: Grid, b: Grid) -> bool:
    """Whether refining has come to rest."""
    near = abs(a.centre - b.centre) < 0.25 * b.scale
    return near and 0.8 < a.scale / b.scale < 1.25 and 0.8 < a.tail / b.tail < 1.25


def settled(state: FieldState, frame: FieldState) -> FieldState:
    """The frame completed with the reference's ends, deviation, coarse cuts and distinct count."""
    if not isinstance(state, NumericState) or not isinstance(frame, NumericState):
        return frame
    deviation = math.sqrt(state.variance) if state.finite else 0.0
    return NumericState(
        replace(
            frame.grid,
            low=state.low,
            high=state.high,
            deviation=deviation if math.isfinite(deviation) else 0.0,
            cuts=cut(state.bins, state.counts),
            distinct=0 if math.isnan(state.distinct) else round(state.distinct),
        )
    )


def segment_values(engine: Engine, base: Request, segments: tuple[str, ...]) -> tuple[Combination, ...]:
    """The most frequent combinations of the segment fields' values."""
    counts = combinations(engine, base, segments)
    ranked = sorted(counts, key=lambda c: (-counts[c], tuple(v or "" for v in c)))
    return tuple(ranked[:SEGMENTS])
