"""From scanned groups to `Profile`s: segments rolled up, windows without rows filled in, keys and row hashes added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlobs.engines.protocol import Engine
from mlobs.metrics.profiles import Profile
from mlobs.profiling.request import Request
from mlobs.profiling.scanning import Group, Scanned, duplicate_keys, scanned
from mlobs.states import FieldState, NumericState, PairState, ResidualState
from mlobs.windows import Window


def made_profiles(
    engine: Engine, request: Request, key: tuple[str, ...], label: str, print_of: str
) -> dict[Window | None, Profile]:
    """Window -> its profile, one for each of the request's windows (or one under None)."""
    with engine.session():
        found = scanned(engine, request)
        duplicates = duplicate_keys(engine, request, key)
    groups: dict[int, list[Group]] = {}
    for group in found.groups:
        groups.setdefault(group.window, []).append(group)
    windows: Sequence[Window | None] = request.windows or (None,)
    made: dict[Window | None, Profile] = {}
    for at, window in enumerate(windows):
        mine = groups.get(at, [])
        whole = _profile(request, mine, window, label, print_of)
        repeated = None if duplicates is None else duplicates.get(at, 0)
        made[window] = replace(
            whole,
            columns=dict(request.columns),
            fields=_exactly(whole.fields, at, found),
            duplicate_keys=repeated,
            segments=_segments(request, mine, window, label, print_of),
            sketch=found.rows.get(at),
        )
    return made


def _exactly(fields: Mapping[str, FieldState], window: int, found: Scanned) -> dict[str, FieldState]:
    """The fields with the distinct counts that were counted exactly."""
    return {
        name: replace(s, exact_distinct=found.distinct[window, name])
        if isinstance(s, NumericState) and (window, name) in found.distinct
        else s
        for name, s in fields.items()
    }


def _segments(
    request: Request, groups: Sequence[Group], window: Window | None, label: str, print_of: str
) -> dict[str, Profile]:
    if not request.segmentation.fields:
        return {}
    members: dict[str, list[Group]] = {}
    for group in sorted(groups, key=lambda g: tuple((v is not None, v or "") for v in g.combination)):
        for key in request.segmentation.labels(group.combination):
            members.setdefault(key, []).append(group)
    return {key: _profile(request, found, window, label, print_of) for key, found in members.items()}


def _profile(request: Request, groups: Sequence[Group], window: Window | None, label: str, print_of: str) -> Profile:
    fields: dict[str, FieldState] = {}
    for name, frame in request.frames.items():
        states: list[Any] = [g.fields[name] for g in groups if name in g.fields]
        fields[name] = type(frame).merged(states) if states else frame
    return Profile(
        table=label,
        window=window,
        rows=sum(g.rows for g in groups),
        fields=fields,
        newest=max((g.newest for g in groups if g.newest is not None), default=None),
        pairs={p: PairState.merged([PairState(*p), *(g.pairs[p] for g in groups)]) for p in request.pairs},
        relations={
            (r.y, r.x): ResidualState.merged([ResidualState(r), *(g.relations[r.y, r.x] for g in groups)])
            for r in request.relations
        },
        fingerprint=print_of,
    )
