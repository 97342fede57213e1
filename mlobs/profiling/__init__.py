"""Spec and window -> one aggregate query -> profile. Runs queries through an engine; pulls no raw rows.

`Reference.learn` freezes grids and levels from reference rows; `profile`, `profile_table` and `profile_windows` take
profiles on them, that add up and compare; `explain_sql` shows the text that runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mlobs.engines.protocol import Engine, Source
from mlobs.errors import ProfileError
from mlobs.metrics.profiles import Profile
from mlobs.profiling.grouping import Segmentation, disjoint
from mlobs.profiling.learning import fits, learn
from mlobs.profiling.nodes import Node
from mlobs.profiling.profiles import made_profiles
from mlobs.profiling.reference import PAST, Reference, blank
from mlobs.profiling.refusals import told
from mlobs.profiling.request import Request, check_condition, condition
from mlobs.profiling.watching import Watched
from mlobs.spec import Table
from mlobs.windows import Window, instant

__all__ = ["Reference", "explain_sql", "learn_reference", "profile", "profile_table", "profile_windows"]


def profile(
    data: Any,
    *,
    reference: Reference | None = None,
    window: Any = None,
    where: str | None = None,
    now: Any = None,
    **learning: Any,
) -> Profile:
    """The profile of a frame, a file or a relation, on the reference's frames.

    Args:
        data: a pandas, polars or pyarrow frame, a Parquet path or glob, a CSV path, a DuckDB relation, a Spark frame, or
            (engine, `mlobs.Table` or SELECT); read in place.
        reference: where the frames come from; without one they are learned from `data` itself, with the arguments of
            `Reference.learn`, and the profile can be added only to others of the same frames.
        window: a `Window` or (start, end) of the reference's time column that selects rows.
        where: a SQL condition that selects rows.
        now: instant from which timestamps count as future, when there is no window.

    Raises:
        ProfileError: unknown columns, or nothing of the reference fits the data.

    >>> import pandas as pd
    >>> train = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
    >>> reference = Reference.learn(train)
    >>> (profile(train[:2], reference=reference) + profile(train[2:], reference=reference)).fields["x"].mean
    2.5
    """
    from mlobs.engines import open_data

    if reference is None:
        learned = Reference.learn(data, where=where, **learning)
        if window is None:
            return learned.profile
        reference = learned
    elif learning:
        raise ProfileError(f"profile() takes {', '.join(sorted(learning))} from the reference: leave them out")
    engine, source = open_data(data)
    windows = [Window.of(window)] if window is not None else []
    with told(engine, source, windows):
        request = _request(
            engine, source, reference, windows, condition(engine, where), None if now is None else instant(now)
        )
        made = made_profiles(engine, request, reference.key, reference.profile.table, reference.fingerprint)
    return next(iter(made.values()))


def profile_table(
    engine: Engine, table: Table, window: Any, reference: Reference, *, where: str | None = None
) -> Profile:
    """The profile of one window of a warehouse table."""
    return profile_windows(engine, table, [Window.of(window)], reference, where=where)[Window.of(window)]


def profile_windows(
    engine: Engine, table: Table, windows: Sequence[Any], reference: Reference, *, where: str | None = None
) -> dict[Window, Profile]:
    """Profiles of many windows of a warehouse table, in one pass; windows without rows have a profile of no rows.

    Raises:
        ProfileError: windows overlap, or the reference was learned with another time column.
    """
    spans, source = disjoint([Window.of(w) for w in windows]), Source.table(table.path)
    with told(engine, source, spans, f"table {table.id!r}"):
        request = _request(engine, source, reference, spans, condition(engine, where), None)
        made = made_profiles(engine, request, table.keys, table.id, reference.fingerprint)
    return {w: p for w, p in made.items() if w is not None}


def learn_reference(
    engine: Engine, table: Table, windows: Sequence[Any] = (), *, where: str | None = None, past: datetime = PAST
) -> Reference:
    """Freeze a reference from the rows of a warehouse table that lie in `windows` (all rows without any)."""
    spans, source = disjoint([Window.of(w) for w in windows]) if windows else [], Source.table(table.path)
    with told(engine, source, spans, f"table {table.id!r}"):
        return learn(
            engine, source, fields=table.fields or None, time=table.time, key=table.keys, segments=table.segments,
            where=condition(engine, where), past=past, windows=spans, label=table.id,
        )  # fmt: skip


def explain_sql(
    engine: Engine, table: Table, windows: Sequence[Any], reference: Reference, *, where: str | None = None
) -> str:
    """Exactly the text that `profile_windows` runs, statements separated by `;`.

    The profile is made to know it, since its later statements depend on the answers of the first ones.
    """
    watched = Watched(engine)
    profile_windows(watched, table, windows, reference, where=where)
    return ";\n\n".join(watched.texts)


def _request(
    engine: Engine,
    source: Source,
    reference: Reference,
    windows: Sequence[Window],
    where: tuple[Node, ...],
    now: datetime | None,
) -> Request:
    columns, kinds = engine.columns(source), engine.kinds(source)
    check_condition(where, columns, source.label)
    if windows and (reference.time is None or reference.time not in columns):
        raise ProfileError(
            f"{source.label}: window {windows[0]} selects rows by the time column, and {reference.time or 'none'!r} isn't"
            " there:"
            " learn the reference with time=..., or leave the window out"
        )
    frames = {n: blank(s) for n, s in reference.profile.fields.items() if n in columns and fits(s.kind, kinds[n])}
    if reference.profile.fields and not frames:
        raise ProfileError(f"{source.label} has none of the reference's fields {', '.join(reference.profile.fields)}")

    def here(*names: str) -> bool:
        return all(name in frames for name in names)

    split = reference.segmentation if all(f in columns for f in reference.segmentation.fields) else Segmentation()
    time = reference.time if reference.time in columns else None
    known = reference.profile
    pairs = tuple(pair for pair in known.pairs if all(name in columns for name in pair))
    relations = tuple(s.relation for s in known.relations.values() if here(s.relation.y, *s.relation.explaining))
    hashed = reference.hashed if here(*reference.hashed) else ()
    return Request(source, frames, columns, kinds, windows, time, where, split, now, pairs, relations, hashed)
