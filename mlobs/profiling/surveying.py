"""What learning a reference asks of all its rows at once, whatever window they lie in: histograms, levels, distinct texts.

Aggregate queries only; each is built from the same branches as a profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from mlobs.engines.protocol import Engine
from mlobs.profiling import assemble, queries
from mlobs.profiling.nodes import column, count, named, select
from mlobs.profiling.request import Request, numeric_columns, scan_of, text_columns, text_limit, ungrouped
from mlobs.profiling.scanning import Groups, answer
from mlobs.states import CategoricalState, Levels, NumericState
from mlobs.states.grid import Grid


def histograms(engine: Engine, base: Request, grids: Mapping[str, Grid]) -> dict[str, NumericState]:
    """The histogram of numeric fields on the given grids, over all of the request's rows."""
    request = replace(ungrouped(engine, base), frames={n: NumericState(g) for n, g in grids.items()})
    texts = queries.numeric_queries(scan_of(engine, request), numeric_columns(engine, request), shown=queries.NUMBERS)
    rows = answer(engine.run(queries.union(texts)), Groups(0))
    states = assemble.numeric_states(rows, dict(enumerate(grids.values())))
    return {name: states.get((0, at), NumericState(grid)) for at, (name, grid) in enumerate(grids.items())}


def row_count(engine: Engine, base: Request) -> int:
    """How many rows the request has."""
    scan = scan_of(engine, ungrouped(engine, base))
    return int(engine.run(select([named(count(), "n")], scan.relation, scan.where)).column(0)[0].as_py())


def level_counts(engine: Engine, base: Request, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Value -> rows of text and categorical fields, over all of the request's rows."""
    if not names:
        return {}
    request = replace(
        ungrouped(engine, base), frames={name: CategoricalState(Levels()) for name in names}, rows=1 << 62
    )
    scan = replace(scan_of(engine, request), compact=False)  # a ranking of its own for each field
    texts = queries.value_queries(scan, text_columns(engine, request), text_limit(request), ranked=True)
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    for text in texts:
        rows = answer(engine.run(text), Groups(0))
        for f, v, n in zip(rows["f"].tolist(), rows["v"].tolist(), rows["n"].tolist(), strict=True):
            if v >= 0:
                counts[names[f]][rows.texts[v]] = n
    return counts


def distinct_texts(engine: Engine, base: Request, names: Sequence[str]) -> dict[str, int]:
    """Distinct values of text fields, over all of the request's rows."""
    scan = scan_of(engine, ungrouped(engine, base))
    counts = [
        named(exp.Count(this=exp.Distinct(expressions=[column(name)])), f"d{at}") for at, name in enumerate(names)
    ]
    values = engine.run(select(counts, scan.relation, scan.where)).to_pydict().values() if names else ()
    return {name: int(found[0]) for name, found in zip(names, values, strict=True)}
