"""What an incident is called, what it touches and how bad it is: pure functions of its strands and what lies around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlobs.detectors.accuracy import performance_name
from mlobs.incidents.grouping import RANK, downstream, model_of, upstream, upstream_first
from mlobs.incidents.records import Incident, Strand, Touched
from mlobs.incidents.severity import Weights, severity
from mlobs.incidents.wording import failure_in_words
from mlobs.spec import Drift, Model, monitors_of
from mlobs.windows import Window

BLOCKING = ("field_health", "freshness", "volume", "mix", "schema")
"""Checks whose data faults stop prediction, where no declaration is known."""


@dataclass(frozen=True)
class Surroundings:
    """What failures lie in.

    Attributes:
        lineage: table (or "model.performance") -> the tables it is made from.
        blocking: model -> table and checks whose data faults stop its prediction, as declared; a model that isn't there
            is stopped by `BLOCKING` on any table it is made from.
        weights: model -> field -> its share of the importance of the deployed version's inputs, where it is known.
        drift_windows: table -> windows that its drift is judged over together, as declared.
    """

    lineage: Mapping[str, Sequence[str]]
    blocking: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict)
    weights: Weights = field(default_factory=dict)
    drift_windows: Mapping[str, int] = field(default_factory=dict)

    def stops(self, model: str, found: Sequence[Strand]) -> bool:
        """Whether the model's predictions wait because of these failures."""
        faults = {(s.key.table, s.key.detector) for s in found if s.severity == "error"}
        if model in self.blocking:
            table, checks = self.blocking[model]
            return any(where == table and check in checks for where, check in faults)
        sources = next((made_from for name, made_from in self.lineage.items() if model_of(name) == model), ())
        above = {table for source in sources for table in upstream(self.lineage, source)}
        return any(where in above and check in BLOCKING for where, check in faults)


def blocking_of(models: Sequence[Model]) -> dict[str, tuple[str, frozenset[str]]]:
    """Model -> the table that it predicts from, and the checks of that table that stop it."""
    return {
        model.name: (
            model.features.id,
            frozenset(check for check, monitor in monitors_of(models, model.features).items() if monitor.blocking),
        )
        for model in models
    }


def drift_windows_of(models: Sequence[Model]) -> dict[str, int]:
    """Table -> windows that its drift is judged over together; tables whose drift isn't watched aren't there."""
    tables = {table.id: table for model in models for table in model.tables.values()}
    drift = {name: monitors_of(models, table).get("drift") for name, table in tables.items()}
    return {name: monitor.windows for name, monitor in drift.items() if isinstance(monitor, Drift)}


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


def described(incident: Incident, found: Sequence[Strand], around: Surroundings) -> Incident:
    """The incident with severity, cause, title, reason, window and what it touches, as these strands and surroundings say."""
    touched = touches(found, around)
    table = touched.tables[0]
    there = [s for s in found if s.key.table == table]
    strongest = max(there, key=_strength)
    return replace(
        incident,
        severity=severity(found, touched, around.weights),
        table=table,
        title=title(table, there, strongest),
        reason=strongest.reason,
        window=Window(min(s.start for s in found), max(s.end for s in found)),
        touched=touched,
        strands=tuple(found),
    )


def touches(found: Sequence[Strand], around: Surroundings) -> Touched:
    """What these failures touch, upstream first, and every model made from them."""
    lineage = around.lineage
    tables = upstream_first(lineage, {s.key.table for s in found})
    ordered = sorted(found, key=_strength, reverse=True)
    fields = [f"{table}.{s.key.field}" for table in tables for s in ordered if s.key.field and s.key.table == table]
    affected = {*tables, *(t for table in tables for t in downstream(lineage, table))}
    models = sorted(model for table in affected if (model := model_of(table)))
    return Touched(
        tables=tuple(tables),
        fields=tuple(dict.fromkeys(fields)),
        checks=tuple(dict.fromkeys(s.key.detector for s in ordered)),
        models=tuple(models),
        held=tuple(model for model in models if around.stops(model, found)),
    )


def strongest_check(incident: Incident) -> str:
    """The check that failed most strongly where the incident began."""
    there = [s for s in incident.strands if s.key.table == incident.table] or incident.strands
    return max(there, key=_strength).key.detector if there else ""


def title(table: str, found: Sequence[Strand], strongest: Strand) -> str:
    """A line that names the table, the strongest failure, and how many more fail beside it.

    Names only, as they are declared; whoever shows it escapes it.
    """
    subject = model_of(table) or table
    first = failure_in_words(strongest.key)
    others = {failure_in_words(s.key) for s in found} - {first}
    return f"{subject}: {first}" + (f" and {len(others)} more" if others else "")


def _strength(strand: Strand) -> tuple[Any, ...]:
    score = abs(strand.score) if strand.score == strand.score else 0.0
    return RANK[strand.severity], strand.key.segment == "", score, strand.end, strand.key
