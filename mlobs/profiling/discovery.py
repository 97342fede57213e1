"""What holds between fields of the reference: twins that are null together, and relations that predict one from another.

Both are found by aggregates: twins over all reference rows, relations over a sample of them drawn by row hash, so that the
result doesn't depend on the order of the rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from mlobs.engines.protocol import Engine
from mlobs.profiling.nodes import (
    Node,
    absent,
    all_of,
    case,
    column,
    counted,
    double,
    less,
    named,
    nested,
    number,
    present,
    select,
    text,
    times,
)  # fmt: skip
from mlobs.profiling.queries import row_hash
from mlobs.profiling.request import Request, scan_of, ungrouped
from mlobs.profiling.wide import LARGEST, ROUNDED, off_grid, score
from mlobs.states import CategoricalState, FieldState, Levels, NumericState, Relation
from mlobs.states.grid import Grid

TWINS = 40
"""Most fields with nulls among which twins are looked for."""

LEAST_NULLS = 5
"""Nulls below which a field has no twin."""

TOGETHER = 0.8
"""Least share of a field's nulls in which its twin is null too."""

NUMBERS = 60
"""Most numeric fields among which relations are looked for."""

RELATIONS = 32
"""Most relations frozen."""

SAMPLE = 50_000
"""Rows from which relations are learned."""

LEAST = 100
"""Rows below which no relation is learned."""

LINEAR_R2, CATEGORY_R2 = 0.6, 0.5
"""Least share of explained variance of a relation worth keeping."""

INPUTS = 3
"""Most numeric fields that predict another one."""

WORTH = 0.5
"""A further input must leave at most this share of the variance that the ones before left: it earns its place by halving it."""

KNOWN = 0.8
"""Least share of a field's rows in which an input must have a value, too: else the relation speaks of few of them."""

ALIKE = 0.02
"""Smallest eigenvalue of the inputs' correlations: nearer to singular, their slopes would be noise."""

THREE_DIGITS = 100
"""Size in the last digit from which a field's values can lose a digit."""

DECIMALS = (0, 1, 2)
"""Decimals that roundings are looked for in: whole numbers, tenths, and money."""

FINEST = 1e-4
"""Smallest residual deviation, in scores: a relation without any noise is held to this."""

_CATEGORY_LEVELS = 50


def twins(engine: Engine, base: Request, fields: Mapping[str, FieldState]) -> tuple[tuple[str, str], ...]:
    """(field, twin): for each field with nulls, the one that is null in most of its null rows, if that is nearly all."""
    some = [n for n, s in fields.items() if LEAST_NULLS <= s.nulls < s.rows]
    some = sorted(some, key=lambda n: -fields[n].nulls)[:TWINS]
    couples = list(itertools.combinations(some, 2))
    if not couples:
        return ()
    scan = scan_of(engine, ungrouped(engine, base))
    both = [counted(scan.forms, all_of([absent(column(a)), absent(column(b))])) for a, b in couples]
    query = select([named(node, f"both_{at}") for at, node in enumerate(both)], scan.relation, scan.where)
    shared = [values[0] or 0 for values in engine.run(query).to_pydict().values()]
    best: dict[str, tuple[float, str]] = {}
    for (a, b), n in zip(couples, shared, strict=True):
        for field, twin in ((a, b), (b, a)):
            share = n / fields[field].nulls
            if share >= TOGETHER and share > best.get(field, (0.0, ""))[0]:
                best[field] = (share, twin)
    return tuple((field, best[field][1]) for field in fields if field in best)


def companions(
    fields: Mapping[str, FieldState], known: Sequence[tuple[str, str]], found: Sequence[Relation]
) -> tuple[tuple[str, str], ...]:
    """(field, companion) of fields that were never null, so that no twin shows: where a whole source fails they will be null
    together, where the field is spoiled it alone is. The companion is what predicts the field best, else its neighbour,
    since columns of one source stand together."""
    whole = [n for n, s in fields.items() if s.nulls < LEAST_NULLS and s.rows >= LEAST and s.kind != "unprofiled"]
    if len(whole) < 2:
        return ()
    nearest: dict[str, str] = {}
    for relation in found:
        if relation.explaining[0] in whole:
            nearest.setdefault(relation.y, relation.explaining[0])
    result = []
    for at, name in enumerate(whole[: max(TWINS - len(known), 0)]):
        result.append((name, nearest.get(name, whole[at - 1] if at else whole[1])))
    return tuple(result)


def relations(
    engine: Engine, base: Request, fields: Mapping[str, FieldState], hashed: Sequence[str]
) -> tuple[Relation, ...]:
    """For each numeric field the numeric ones, and the categorical one, that explain most of it, if that is enough."""
    rows = max((s.rows for s in fields.values()), default=0)
    numeric = {
        n: s.grid for n, s in fields.items() if isinstance(s, NumericState) and s.finite >= LEAST and s.low < s.high
    }
    numeric = dict(list(numeric.items())[:NUMBERS])
    if rows < LEAST or not numeric:
        return ()
    request = ungrouped(engine, base)
    scan = scan_of(engine, request)
    where = list(scan.where)
    if rows > 2 * SAMPLE:
        where.append(less(row_hash(scan.forms, hashed), number((1 << 63) // rows * SAMPLE)))
    levels = {n: s.levels for n, s in fields.items() if isinstance(s, CategoricalState) and _told_apart(s.levels)}
    names = list(numeric)
    projections = [named(score(n, numeric[n].centre, numeric[n].scale), f"z{at}") for at, n in enumerate(names)]
    projections += [named(text(column(n)), f"c{at}") for at, n in enumerate(levels)]
    sample = select(projections, scan.relation, where)
    found = _linear(engine, sample, fields, names) + _by_category(engine, sample, fields, names, levels)
    return tuple(sorted(found, key=lambda r: (-r.r2, r.y, r.x))[:RELATIONS])


def _told_apart(levels: Levels) -> bool:
    return levels.complete and not levels.sensitive and 2 <= len(levels.names) <= _CATEGORY_LEVELS


def _linear(
    engine: Engine, sample: exp.Select, fields: Mapping[str, FieldState], names: Sequence[str]
) -> list[Relation]:
    couples = list(itertools.combinations(range(len(names)), 2))
    if not couples:
        return []
    correlations: list[Node] = [
        named(exp.Corr(this=column(f"z{a}"), expression=column(f"z{b}")), f"r{at}") for at, (a, b) in enumerate(couples)
    ]
    answer = [v[0] for v in engine.run(select(correlations, nested(sample.copy(), "sample"))).to_pydict().values()]
    table = np.eye(len(names))
    for (a, b), r in zip(couples, answer, strict=True):
        table[a, b] = table[b, a] = 0.0 if r is None or math.isnan(r) else r
    valued = [_finite(fields[name]) for name in names]
    usable = [[n >= KNOWN * valued[y] for n in valued] for y in range(len(names))]
    chosen = [(y, inputs) for y in range(len(names)) if (inputs := _inputs(table, y, usable[y]))]
    if not chosen:
        return []
    sums: list[Node] = []
    for at, (y, inputs) in enumerate(chosen):
        z = [column(f"z{i}") for i in (*inputs, y)]
        known = all_of([present(node) for node in z])
        sums.append(named(exp.Sum(this=case((known.copy(), number(1)))), f"n{at}"))
        for i, node in enumerate(z):
            sums.append(named(exp.Sum(this=case((known.copy(), node.copy()))), f"s{at}_{i}"))
            for j in range(i + 1):
                square = times(node.copy(), z[j].copy())
                sums.append(named(exp.Sum(this=case((known.copy(), square))), f"q{at}_{i}_{j}"))
    one = {
        k: float(v[0] or 0) for k, v in engine.run(select(sums, nested(sample.copy(), "sample"))).to_pydict().items()
    }
    fitted = [_plane(fields, names, y, inputs, at, one) for at, (y, inputs) in enumerate(chosen)]
    return [r for r in fitted if r is not None and r.r2 >= LINEAR_R2]


def _inputs(correlations: NDArray[np.float64], y: int, usable: Sequence[bool]) -> list[int]:
    """The fields that predict field number y, best first, at most `INPUTS`: each one more leaves at most `WORTH` of what the
    ones before left unexplained. Forward selection on the correlations of those that are `usable`; empty when they explain too
    little."""
    taken: list[int] = []
    left = 1.0
    while len(taken) < INPUTS:
        tried = []
        for x in range(len(correlations)):
            if x == y or x in taken or not usable[x]:
                continue
            own = correlations[np.ix_([*taken, x], [*taken, x])]
            # what nearly follows from the others adds nothing but noise
            if np.linalg.eigvalsh(own)[0] < ALIKE:
                continue
            toward = correlations[[*taken, x], y]
            tried.append((1.0 - float(toward @ np.linalg.solve(own, toward)), x))
        if not tried or min(tried)[0] > (WORTH * left if taken else left):
            break
        left, best = max(min(tried)[0], 0.0), min(tried)[1]
        taken.append(best)
    return taken if 1.0 - left >= LINEAR_R2 else []


def _plane(
    fields: Mapping[str, FieldState],
    names: Sequence[str],
    y: int,
    inputs: Sequence[int],
    at: int,
    one: Mapping[str, float],
) -> Relation | None:
    """Least squares of y on its inputs, from the sums of values and of products over the rows that have them all."""
    n, size = one[f"n{at}"], len(inputs)
    if n < LEAST:
        return None
    mean = np.array([one[f"s{at}_{i}"] for i in range(size + 1)]) / n
    product = np.zeros((size + 1, size + 1))
    for i in range(size + 1):
        for j in range(i + 1):
            product[i, j] = product[j, i] = one[f"q{at}_{i}_{j}"] / n
    spread = product - np.outer(mean, mean)
    if np.diag(spread).min() <= 0:
        return None
    scale = np.sqrt(np.diag(spread))
    alike = spread / np.outer(scale, scale)
    if np.linalg.eigvalsh(alike[:size, :size])[0] < ALIKE:
        return None
    slopes = np.linalg.solve(alike[:size, :size], alike[:size, size]) * scale[size] / scale[:size]
    rest = max(float(spread[size, size] - slopes @ spread[:size, size]), 0.0)
    grids = [_grid(fields[names[i]]) for i in inputs]
    of_y = _grid(fields[names[y]])
    return Relation(
        names[y], ", ".join(names[i] for i in inputs), "linear", of_y.centre, of_y.scale,
        tuple((names[i], g.centre, g.scale, float(s)) for i, g, s in zip(inputs, grids, slopes, strict=True)),
        intercept=float(mean[size] - slopes @ mean[:size]), deviation=max(math.sqrt(rest), FINEST),
        r2=1.0 - rest / float(spread[size, size]),
    )  # fmt: skip


def _finite(state: FieldState) -> int:
    assert isinstance(state, NumericState)
    return state.finite


def _grid(state: FieldState) -> Grid:
    assert isinstance(state, NumericState)
    return state.grid


def _by_category(
    engine: Engine,
    sample: exp.Select,
    fields: Mapping[str, FieldState],
    names: Sequence[str],
    levels: Mapping[str, Levels],
) -> list[Relation]:
    if not levels:
        return []
    branches: list[exp.Query] = []
    for at in range(len(levels)):
        level = column(f"c{at}")
        sums: list[Node] = [named(number(at), "category"), named(level, "level")]
        for y in range(len(names)):
            z = column(f"z{y}")
            sums += [
                named(exp.Count(this=z), f"n{y}"),
                named(exp.Sum(this=z.copy()), f"s{y}"),
                named(exp.Sum(this=times(z.copy(), z.copy())), f"q{y}"),
            ]
        branches.append(
            select(sums, exp.Table(this=exp.Identifier(this="sample", quoted=True)), [present(level)], [level])
        )
    query = branches[0]
    for branch in branches[1:]:
        query = exp.Union(this=query, expression=branch, distinct=False)
    # the sample is drawn once for all categories
    query.set("with_", exp.With(expressions=[exp.CTE(this=sample.copy(), alias=_alias("sample"))]))
    answer = engine.run(query).to_pydict()
    found: dict[str, Relation] = {}
    for at, x in enumerate(levels):
        here = [i for i, category in enumerate(answer["category"]) if category == at]
        for y, name in enumerate(names):
            columns = [[answer[key][i] for i in here] for key in ("level", f"n{y}", f"s{y}", f"q{y}")]
            relation = _means(fields, name, x, *columns)
            if relation is not None and relation.r2 > max(CATEGORY_R2, found[name].r2 if name in found else 0.0):
                found[name] = relation
    return list(found.values())


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.Identifier(this=name, quoted=True))


def _means(
    fields: Mapping[str, FieldState],
    y: str,
    x: str,
    levels: Sequence[str],
    n: Sequence[Any],
    s: Sequence[Any],
    q: Sequence[Any],
) -> Relation | None:
    rows = [(level, c, float(a or 0), float(b or 0)) for level, c, a, b in zip(levels, n, s, q, strict=True) if c]
    total = sum(c for _, c, _, _ in rows)
    if total < LEAST or len(rows) < 2 or total < 5 * len(rows):
        return None
    rows.sort()
    everything = sum(b for *_, b in rows) - sum(a for _, _, a, _ in rows) ** 2 / total
    rest = max(sum(b - a * a / c for _, c, a, b in rows), 0.0)
    if everything <= 0:
        return None
    # fewer rows leave more levels to chance: count the degrees of freedom
    r2 = 1.0 - (rest / max(total - len(rows), 1)) / (everything / (total - 1))
    of_y = _grid(fields[y])
    return Relation(
        y, x, "category", of_y.centre, of_y.scale,
        levels=tuple(level for level, *_ in rows), means=tuple(a / c for _, c, a, _ in rows),
        deviation=max(math.sqrt(rest / total), FINEST), r2=r2,
    )  # fmt: skip


def roundings(fields: Mapping[str, FieldState]) -> tuple[Relation, ...]:
    """The numeric fields whose values are all rounded: in another unit, or filled in by a mean, they have more decimals."""
    found = []
    for name, state in fields.items():
        if (
            isinstance(state, NumericState)
            and state.finite >= LEAST
            and state.grid.decimals >= 0
            and state.low < state.high
        ):
            most = max(abs(state.low), abs(state.high)) * 10.0**state.grid.decimals
            found.append(
                Relation(name, "", "rounding", 0.0, 1.0, decimals=state.grid.decimals, further=most >= THREE_DIGITS)
            )
    return tuple(found[:NUMBERS])


def decimals_of(engine: Engine, base: Request, states: Mapping[str, NumericState]) -> dict[str, int]:
    """Field -> the fewest decimals (0, 1 or 2) that all its values have; fields with more aren't there.

    Only fields are looked through whose smallest and largest values have so few.
    """
    open_for = {
        name: [digits for digits in DECIMALS if all(has_decimals(x, digits) for x in (state.low, state.high))]
        for name, state in states.items()
        if state.finite
    }
    asked = [(name, digits) for name, some in open_for.items() for digits in some]
    if not asked:
        return {}
    scan = scan_of(engine, ungrouped(engine, base))
    projections: list[Node] = []
    for at, (name, digits) in enumerate(asked):
        x = double(column(name))
        looked_at = less(exp.Abs(this=x.copy()), number(LARGEST))
        finer = all_of([looked_at, exp.GT(this=off_grid(x, digits), expression=number(ROUNDED))])
        projections.append(named(counted(scan.forms, finer), f"finer_{at}"))
    one = engine.run(select(projections, scan.relation, scan.where)).to_pydict()
    found: dict[str, int] = {}
    for at, (name, digits) in enumerate(asked):
        if not one[f"finer_{at}"][0]:
            found[name] = min(digits, found.get(name, digits))
    return found


def has_decimals(x: float, digits: int) -> bool:
    """Whether a value has at most so many decimals, as `off_grid` tells in SQL; True from `LARGEST` on, as there.

    >>> has_decimals(2.25, 2), has_decimals(2.25, 1), has_decimals(1e300, 0)
    (True, False, True)
    """
    scaled = x * 10.0**digits
    return abs(x) >= LARGEST or abs(scaled - math.floor(scaled + 0.5)) <= ROUNDED
