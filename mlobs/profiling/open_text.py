"""Texts with more distinct values than are worth handing over: counted in the engine, a sample of values named.

Known levels are counted exactly, the forms of all values by regular expressions on distinct values, and of the unseen
values those with the smallest MD5 are named, the same that `states.categorical` keeps when it sees all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from mlobs.engines.forms import Forms
from mlobs.engines.protocol import Engine
from mlobs.profiling.nodes import (
    Node,
    absent,
    all_of,
    case,
    column,
    count,
    equal,
    named,
    nested,
    number,
    present,
    select,
    text,
    times,
)
from mlobs.profiling.queries import Scan
from mlobs.states import CategoricalState, Levels
from mlobs.states.categorical import FORMS, NULL_WORDS, PATTERNS, UNSEEN_KEPT, Values

Numbering = Callable[[Any], NDArray[np.int64]]


def conditions(forms: Forms, v: Node) -> dict[str, Node]:
    """Name of `FORMS` -> the condition that a text is so."""
    trimmed = exp.Trim(this=v)
    words = exp.In(this=exp.Lower(this=trimmed), expressions=[exp.Literal.string(w) for w in NULL_WORDS])
    found: dict[str, Node] = {
        "empty": equal(v.copy(), exp.Literal.string("")),
        "blank": all_of(
            [equal(trimmed.copy(), exp.Literal.string("")), exp.NEQ(this=v.copy(), expression=exp.Literal.string(""))]
        ),
        "null_keyword": words,
    }
    found.update({name: forms.matches(trimmed.copy(), pattern) for name, pattern in PATTERNS.items()})
    return found


def open_states(
    engine: Engine, scan: Scan, name: str, levels: Levels, kind: str, numbering: Numbering
) -> dict[int, CategoricalState]:
    """Group -> the state of a text field, two queries."""
    v = text(column(name))
    by_value = nested(
        select([*scan.named_keys, named(v, "v"), named(count(), "n")], scan.relation, scan.where, [*scan.keys, v]),
        "texts",
    )
    outer = scan.regrouped(by_value)
    totals = engine.run(_totals(scan.forms, outer, levels))
    listed = engine.run(_listed(outer, levels))
    return _states(levels, kind, numbering(totals), totals.to_pydict(), numbering(listed), listed.to_pydict())


def _known(levels: Levels) -> Node | None:
    if not levels.names:
        return None
    return exp.In(this=column("v"), expressions=[exp.Literal.string(n) for n in levels.names])


def _totals(forms: Forms, outer: Scan, levels: Levels) -> exp.Select:
    v, n = column("v"), column("n")
    length = forms.text_length(v)
    known = _known(levels)

    def rows_where(condition: Node) -> Node:
        return exp.Sum(this=case((condition, n.copy()), default=number(0)))

    projections = [
        *outer.named_keys,
        named(exp.Sum(this=n), "rows"),
        named(rows_where(absent(v)), "nulls"),
        named(rows_where(known) if known is not None else number(0), "known"),
        *(named(rows_where(condition), form) for form, condition in conditions(forms, v).items()),
        named(exp.Sum(this=times(n.copy(), length)), "length_sum"),
        named(exp.Min(this=length.copy()), "length_min"),
        named(exp.Max(this=length.copy()), "length_max"),
    ]
    return select(projections, outer.relation, (), outer.keys)


def _listed(outer: Scan, levels: Levels) -> Node:
    """Known levels, and of the others those with the smallest hashes: `v`, `n`, `known`."""
    known = _known(levels)
    keys = [column("g"), *(column(f"u{i}") for i in range(1, len(outer.segments) + 1))]
    others = [present(column("v")), *([exp.Not(this=known.copy())] if known is not None else [])]
    ranked = exp.Window(
        this=exp.RowNumber(),
        partition_by=[k.copy() for k in keys],
        order=exp.Order(expressions=[exp.Ordered(this=exp.MD5(this=column("v")), nulls_first=False)]),
    )
    inner = select([*keys, column("v"), column("n"), named(ranked, "place")], outer.relation, others)
    few = exp.LTE(this=column("place"), expression=number(UNSEEN_KEPT))
    sample = select([*keys, column("v"), column("n"), named(number(0), "known")], nested(inner, "ranked"), [few])
    if known is None:
        return sample
    frequent = select([*keys, column("v"), column("n"), named(number(1), "known")], outer.relation, [known])
    return exp.Union(this=frequent, expression=sample, distinct=False)


def _states(
    levels: Levels,
    kind: str,
    groups: NDArray[np.int64],
    totals: Mapping[str, list[Any]],
    listed_groups: NDArray[np.int64],
    listed: Mapping[str, list[Any]],
) -> dict[int, CategoricalState]:
    states: dict[int, CategoricalState] = {}
    for at, g in enumerate(groups.tolist()):
        here = np.flatnonzero(listed_groups == g).tolist()
        values = Values.of(levels, [listed["v"][i] for i in here])
        named_rows = values.state(kind, np.arange(len(here)), np.array([listed["n"][i] for i in here], np.int64), 0)
        one = {name: column[at] for name, column in totals.items()}
        rows, nulls = int(one["rows"]), int(one["nulls"] or 0)
        unseen = rows - nulls - int(one["known"] or 0)
        # of the unseen values that weren't named as large a share has a new shape as of those that were
        fresh = sum(n for _, n in named_rows.unseen.values())
        states[g] = CategoricalState(
            levels,
            kind,
            rows=rows,
            nulls=nulls,
            counts=named_rows.counts,
            unseen_rows=unseen,
            unseen=named_rows.unseen,
            forms=np.array([int(one[form] or 0) for form in FORMS], np.int64),
            new_shapes=math.floor(named_rows.new_shapes * unseen / fresh) if fresh else 0,
            length_sum=int(one["length_sum"] or 0),
            length_min=-1 if one["length_min"] is None else int(one["length_min"]),
            length_max=-1 if one["length_max"] is None else int(one["length_max"]),
        )
    return states
