"""What an incident is called and what it touches: pure functions of its strands and the lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlobs.detectors.accuracy import performance_name
from mlobs.incidents.grouping import RANK, Key, downstream, model_of, upstream, upstream_first
from mlobs.incidents.records import Incident, Strand, Touched
from mlobs.spec import Model
from mlobs.windows import Window

BLOCKING = ("field_health", "freshness", "volume", "mix", "schema")
"""Checks whose data faults stop prediction, unless a declaration says otherwise."""


def lineage_of(models: Iterable[Model]) -> dict[str, list[str]]:
    """Table or "model.performance" -> what it is made of, in the names that verdicts carry, as the models declare it."""
    edges: dict[str, list[str]] = {}
    for model in models:
        for table in model.tables.values():
            edges.setdefault(table.id, [])
        if model.features.id not in edges[model.predictions.id]:
            edges[model.predictions.id].append(model.features.id)
        edges[performance_name(model)] = [model.predictions.id, model.actuals.id]
    return edges


def described(incident: Incident, found: Sequence[Strand], lineage: Mapping[str, Sequence[str]]) -> Incident:
    """The incident with severity, cause, title, reason, window and what it touches, as these strands say."""
    touched = touches(found, lineage)
    table = touched.tables[0]
    there = [s for s in found if s.key.table == table]
    strongest = max(there, key=_strength)
    return replace(
        incident,
        severity=max((s.severity for s in found), key=RANK.__getitem__),
        table=table,
        title=title(table, there, strongest),
        reason=strongest.reason,
        window=Window(min(s.start for s in found), max(s.end for s in found)),
        touched=touched,
        strands=tuple(found),
    )


def touches(found: Sequence[Strand], lineage: Mapping[str, Sequence[str]]) -> Touched:
    """What these failures touch, upstream first, and every model made from them."""
    tables = upstream_first(lineage, {s.key.table for s in found})
    ordered = sorted(found, key=_strength, reverse=True)
    fields = [f"{table}.{s.key.field}" for table in tables for s in ordered if s.key.field and s.key.table == table]
    affected = {*tables, *(t for table in tables for t in downstream(lineage, table))}
    models = sorted(model for table in affected if (model := model_of(table)))
    faulty = {s.key.table for s in found if s.severity == "error" and s.key.detector in BLOCKING}
    return Touched(
        tables=tuple(tables),
        fields=tuple(dict.fromkeys(fields)),
        checks=tuple(dict.fromkeys(s.key.detector for s in ordered)),
        models=tuple(models),
        held=tuple(model for model in models if predicts_from(model, faulty, lineage)),
    )


def strongest_check(incident: Incident) -> str:
    """The check that failed most strongly where the incident began."""
    there = [s for s in incident.strands if s.key.table == incident.table] or incident.strands
    return max(there, key=_strength).key.detector if there else ""


def predicts_from(model: str, faulty: set[str], lineage: Mapping[str, Sequence[str]]) -> bool:
    """Whether the model's predictions are made from one of these tables."""
    sources = next((made_from for name, made_from in lineage.items() if model_of(name) == model), ())
    return any(upstream(lineage, source) & faulty for source in sources)


def title(table: str, found: Sequence[Strand], strongest: Strand) -> str:
    """A line that names the table, the strongest failure, and how many more fail beside it.

    Names only, as they are declared; whoever shows it escapes it.
    """
    subject = model_of(table) or table
    first = _named(strongest.key)
    others = {_named(s.key) for s in found} - {first}
    return f"{subject}: {first}" + (f" and {len(others)} more" if others else "")


def _named(key: Key) -> str:
    metric = "accuracy" if key.detector == "accuracy" else key.metric.replace("_", " ")
    named = f"{metric} of {key.field}" if key.field else metric
    return f"{named} where {key.segment}" if key.segment else named


def _strength(strand: Strand) -> tuple[Any, ...]:
    score = abs(strand.score) if strand.score == strand.score else 0.0
    return RANK[strand.severity], strand.key.segment == "", score, strand.end, strand.key
