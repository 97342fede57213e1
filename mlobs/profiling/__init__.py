"""Spec and window -> one aggregate query -> profile. Runs queries through an engine; pulls no raw rows.

`Reference.learn` freezes grids and levels from reference rows; `profile` and `profile_windows` take profiles on them, that add up
and compare; `explain_sql` shows the text that runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mlobs.engines.opening import open_data
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

__all__ = ["Reference", "explain_sql", "learn_reference", "profile", "profile_windows"]


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
    if reference is None:
        learned = Reference.learn(data, where=where, **learning)
        if window is None:
            return learned.profile
        reference = learned
    elif learning:
        raise ProfileError(f"profile() takes {', '.join(sorted(learning))} from the reference: leave them out")
    windows = [Window.of(window)] if window is not None else []
    made = _made(_opened(data), windows, reference, where, None if now is None else instant(now))
    return next(iter(made.values()))


def profile_windows(
    data: Any, windows: Sequence[Any], *, reference: Reference, where: str | None = None
) -> dict[Window, Profile]:
    """Profiles of many windows, in one pass; windows without rows have a profile of no rows.

    Args:
        data: as for `profile`.
        windows: `Window`s or (start, end) pairs of the reference's time column, apart from each other.
        reference: where the frames come from.
        where: a SQL condition that selects rows.

    Raises:
        ProfileError: windows overlap, there are none, or the data lacks the reference's time column.

    >>> import pandas as pd
    >>> days = pd.DataFrame({"at": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-02"]), "x": [1.0, 2.0, 3.0]})
    >>> reference = Reference.learn(days, time="at")
    >>> made = profile_windows(days, [("2026-01-01", "2026-01-02"), ("2026-01-02", "2026-01-03")], reference=reference)
    >>> [(str(window), profile.rows) for window, profile in made.items()]
    [('2026-01-01', 2), ('2026-01-02', 1)]
    """
    made = _made(_opened(data), disjoint([Window.of(w) for w in windows]), reference, where)
    return {w: p for w, p in made.items() if w is not None}


def explain_sql(data: Any, windows: Sequence[Any] = (), *, reference: Reference, where: str | None = None) -> str:
    """Exactly the text that `profile_windows` runs (without windows, `profile`), statements separated by `;`.

    The profile is made to know it, since its later statements depend on the answers of the first ones.
    """
    engine, source, table = _opened(data)
    watched = Watched(engine)
    spans = disjoint([Window.of(w) for w in windows]) if windows else []
    _made((watched, source, table), spans, reference, where)
    return ";\n\n".join(watched.texts)


Opened = tuple[Engine, Source, Table | None]


def _opened(data: Any) -> Opened:
    """Where data in hand, or a warehouse's table, is read."""
    engine, source = open_data(data)
    table = data[1] if isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], Table) else None
    return engine, source, table


def _made(
    opened: Opened, windows: Sequence[Window], reference: Reference, where: str | None, now: datetime | None = None
) -> dict[Window | None, Profile]:
    """The profiles of the windows; a warehouse's table has its own keys and name."""
    engine, source, table = opened
    key, name, label = reference.key, reference.profile.table, ""
    if table is not None:
        key, name, label = table.keys, table.id, f"table {table.id!r}"
    with told(engine, source, windows, label):
        request = _request(engine, source, reference, windows, condition(engine, where), now)
        return made_profiles(engine, request, key, name, reference.fingerprint)


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
    zeros = reference.mixed_zeros
    return Request(source, frames, columns, kinds, windows, time, where, split, now, pairs, relations, hashed, zeros)
