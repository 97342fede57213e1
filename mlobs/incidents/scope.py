"""What an incident is called and what it touches: pure functions of its failures and the lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlobs.detectors.verdict import Severity, Verdict
from mlobs.incidents.grouping import RANK, downstream, hull, model_of, upstream, upstream_first
from mlobs.incidents.records import Incident, Touched

BLOCKING = ("field_health", "freshness", "volume", "mix", "schema")
"""Checks whose data faults stop prediction, unless a declaration says otherwise."""


def described(incident: Incident, verdicts: Sequence[Verdict], lineage: Mapping[str, Sequence[str]]) -> Incident:
    """The incident with severity, cause, title, reason, window and what it touches, as its failures say."""
    touched = touches(verdicts, lineage)
    table = touched.tables[0]
    strongest = max((v for v in verdicts if v.table == table), key=_strength)
    return replace(
        incident,
        severity=_worst(verdicts),
        table=table,
        title=title(table, [v for v in verdicts if v.table == table], strongest),
        reason=strongest.reason,
        window=hull(verdicts),
        touched=touched,
    )


def touches(verdicts: Sequence[Verdict], lineage: Mapping[str, Sequence[str]]) -> Touched:
    """What these failures touch, upstream first, and every model made from the first table."""
    tables = upstream_first(lineage, {v.table for v in verdicts})
    strongest_first = sorted(verdicts, key=_strength, reverse=True)
    affected = {*tables, *(t for table in tables for t in downstream(lineage, table))}
    models = sorted(model for table in affected if (model := model_of(table)))
    faulty = {v.table for v in verdicts if v.severity == "error" and v.detector in BLOCKING}
    return Touched(
        tables=tuple(tables),
        fields=tuple(
            dict.fromkeys(f"{t}.{v.field}" for t in tables for v in strongest_first if v.field and v.table == t)
        ),
        checks=tuple(dict.fromkeys(v.detector for v in strongest_first)),
        models=tuple(models),
        held=tuple(model for model in models if predicts_from(model, faulty, lineage)),
    )


def predicts_from(model: str, faulty: set[str], lineage: Mapping[str, Sequence[str]]) -> bool:
    """Whether the model's predictions are made from one of these tables."""
    sources = next((made_from for name, made_from in lineage.items() if model_of(name) == model), ())
    return any(upstream(lineage, source) & faulty for source in sources)


def title(table: str, verdicts: Sequence[Verdict], strongest: Verdict) -> str:
    """A line that names the table, the strongest failure, and how many more fail beside it.

    Names only, as they are declared; whoever shows it escapes it.
    """
    subject = model_of(table) or table
    first = _named(strongest)
    others = {_named(v) for v in verdicts} - {first}
    return f"{subject}: {first}" + (f" and {len(others)} more" if others else "")


def _named(verdict: Verdict) -> str:
    metric = "accuracy" if verdict.detector == "accuracy" else verdict.metric.replace("_", " ")
    named = f"{metric} of {verdict.field}" if verdict.field else metric
    return f"{named} where {verdict.segment}" if verdict.segment else named


def _strength(verdict: Verdict) -> tuple[Any, ...]:
    return (
        RANK[verdict.severity],
        verdict.segment == "",
        abs(verdict.score),
        verdict.window.end,
        verdict.field,
        verdict.metric,
    )


def _worst(verdicts: Sequence[Verdict]) -> Severity:
    return max((v.severity for v in verdicts), key=RANK.__getitem__)
