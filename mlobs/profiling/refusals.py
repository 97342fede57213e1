"""An engine's refusal as one error that names the table, the window and, where a value is to blame, the field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlglot import exp

from mlobs.engines.protocol import Engine, Source
from mlobs.errors import UnfitValue, WarehouseError
from mlobs.profiling.nodes import column, named, select, text
from mlobs.windows import Window


@contextmanager
def told(engine: Engine, source: Source, windows: Sequence[Window], label: str = "") -> Iterator[None]:
    """Whatever the engine refuses inside is told with what was being profiled.

    Raises:
        WarehouseError: of the same class as the engine's own.
    """
    try:
        yield
    except WarehouseError as error:
        where = f"profile of {label or source.label}{_span(windows)}"
        field = _to_blame(engine, source) if isinstance(error, UnfitValue) else None
        raise type(error)(f"{where}{f', field {field!r}' if field else ''}: {error}") from error


def _span(windows: Sequence[Window]) -> str:
    if not windows:
        return ""
    ordered = sorted(windows)
    if len(ordered) == 1:
        return f", window {ordered[0]}"
    return f", {len(ordered)} windows from {ordered[0]} to {ordered[-1]}"


def _to_blame(engine: Engine, source: Source) -> str | None:
    """The first column whose values can't be read by themselves; None when each of them can, or the engine is gone."""
    try:
        names = list(engine.columns(source))
    except WarehouseError:
        return None
    for name in names:
        try:
            engine.run(select([named(exp.Max(this=text(column(name))), "v")], source.expression))
        except UnfitValue:
            return name
        except WarehouseError:
            continue  # of a type that is no text: not read by a profile either
    return None
