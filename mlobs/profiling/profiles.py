"""From scanned groups to `Profile`s: segments rolled up, duplicate keys counted, windows without rows filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlobs.engines.protocol import Engine
from mlobs.metrics.profiles import Profile
from mlobs.profiling.scanning import Group, Request, duplicate_keys, scanned
from mlobs.states import FieldState
from mlobs.windows import Window


def made_profiles(
    engine: Engine, request: Request, key: tuple[str, ...], label: str, print_of: str
) -> dict[Window | None, Profile]:
    """Window -> its profile, one for each of the request's windows (or one under None)."""
    groups = scanned(engine, request)
    duplicates = duplicate_keys(engine, request, key)
    windows: Sequence[Window | None] = request.windows or (None,)
    size = request.segmentation.size if request.segmentation.fields else 1
    result: dict[Window | None, Profile] = {}
    for at, window in enumerate(windows):
        parts = {g - at * size: group for g, group in groups.items() if at * size <= g < (at + 1) * size}
        result[window] = _profile(
            request, parts, window, None if duplicates is None else duplicates.get(at, 0), label, print_of
        )
    return result


def _profile(
    request: Request,
    parts: Mapping[int, Group],
    window: Window | None,
    duplicates: int | None,
    label: str,
    print_of: str,
) -> Profile:
    newest = [g.newest for g in parts.values() if g.newest is not None]
    segments: dict[str, list[Group]] = {}
    if request.segmentation.fields:
        for at, group in sorted(parts.items()):
            for key in request.segmentation.labels(at):
                segments.setdefault(key, []).append(group)
    return Profile(
        table=label,
        window=window,
        rows=sum(g.rows for g in parts.values()),
        columns=dict(request.columns),
        fields=_merged(request, list(parts.values())),
        duplicate_keys=duplicates,
        newest=max(newest) if newest else None,
        segments={
            key: Profile(
                table=label,
                window=window,
                rows=sum(g.rows for g in found),
                fields=_merged(request, found),
                newest=max((g.newest for g in found if g.newest), default=None),
                fingerprint=print_of,
            )
            for key, found in segments.items()
        },
        fingerprint=print_of,
    )


def _merged(request: Request, groups: Sequence[Group]) -> dict[str, FieldState]:
    fields: dict[str, FieldState] = {}
    for name, frame in request.frames.items():
        found: list[Any] = [g.fields[name] for g in groups if name in g.fields]
        fields[name] = type(frame).merged(found) if found else frame
    return fields
