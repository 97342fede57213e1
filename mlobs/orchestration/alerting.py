"""The alerts sensor: groups failed verdicts into incidents and sends what is due, with all that a reader needs to act.

Lineage is what the models declare and what Dagster's asset graph adds: assets between or above the watched tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlobs.orchestration.deployment import Deployment
from mlobs.orchestration.links import check_page, report_page, run_page
from mlobs.orchestration.specs import ACCURACY, accuracy_key
from mlobs.spec import Model, Table

if TYPE_CHECKING:
    from mlobs.alerts import Context
    from mlobs.incidents import Incident

Lineage = Mapping[str, Sequence[str]]


def alerts_sensor(deployment: Deployment, *, interval: int = 30) -> dg.SensorDefinition:
    """Groups failed verdicts into incidents and sends what is due to the routes."""

    @dg.sensor(
        name=f"{deployment.name}_alerts",
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Groups failed verdicts into incidents, one for each cause, and sends alerts.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from mlobs.alerts import deliver
        from mlobs.incidents import open_incidents, update

        now = deployment.now()
        graph = context.repository_def.asset_graph if context.repository_def else None
        lineage = lineage_in(deployment, graph)
        update(deployment.history, lineage, now, models=deployment.models)
        tried = deliver(
            deployment.history, deployment.routes, now, around=lambda incident: around(deployment, incident, lineage)
        )
        for delivery in tried:
            if not delivery.sent:
                context.log.warning(f"alert to {delivery.route} was not sent: {delivery.error}")
        sent = sum(delivery.sent for delivery in tried)
        still = len(open_incidents(deployment.history))
        return dg.SkipReason(f"{still} incidents open; {sent} messages sent, {len(tried) - sent} wait for another try")

    return alerts


def lineage_in(deployment: Deployment, graph: Any | None) -> Lineage:
    """Table or performance -> what it is made of: as declared, and as the asset graph of the code location says.

    A watched table counts as made of the nearest watched tables above it, whatever assets lie between.
    """
    edges = {name: list(sources) for name, sources in deployment.lineage().items()}
    if graph is None:
        return edges
    watched = {deployment.table_key(table): table.id for table in deployment.tables}
    present = set(graph.get_all_asset_keys())
    for key, name in watched.items():
        waiting = list(graph.get(key).parent_keys) if key in present else []
        seen: set[dg.AssetKey] = {key}
        while waiting:
            above = waiting.pop()
            if above in seen:
                continue
            seen.add(above)
            if above in watched:
                edges[name].append(watched[above])
            elif above in present:
                waiting.extend(graph.get(above).parent_keys)
        edges[name] = sorted(set(edges[name]))
    return edges


def around(deployment: Deployment, incident: Incident, lineage: Lineage) -> Context:
    """What is known around an incident: owners and tags of what it touches, likely causes, and where to look."""
    from mlobs.alerts import Context, Link
    from mlobs.incidents import explain_incident, run_of
    from mlobs.incidents import incident as remembered

    tables = [t for t in deployment.tables if t.id in {incident.table, *incident.touched.tables}]
    models = [m for m in deployment.models if m.name in incident.touched.models]
    described: list[Table | Model] = [*tables, *models]
    owners = {owner for one in described for owner in one.owners}
    tags = {text for one in described for name, value in one.tags for text in (name, f"{name}={value}")}
    links = []
    whole = remembered(deployment.history, incident.id)  # a message carries no strands
    if deployment.ui:
        check = failing_check(deployment, whole)
        if check is not None:
            links.append(Link("Check", check_page(deployment.ui, check)))
        run = run_of(deployment.history, whole)
        if run:
            links.append(Link("Run", run_page(deployment.ui, run)))
    if deployment.report:
        model = models[0].name if models else ""
        anchor = f"incident-{incident.id}" if model else ""
        links.append(Link("Report", report_page(deployment.report, model, anchor)))
    explained = explain_incident(deployment.history, whole, models, lineage)
    return Context(
        links=tuple(links),
        owners=frozenset(owners),
        tags=frozenset(tags),
        causes={name: found.told for name, found in explained.items()},
    )


def failing_check(deployment: Deployment, incident: Incident) -> dg.AssetCheckKey | None:
    """The check that failed first and strongest where the incident began; None for a table that is watched no more."""
    from mlobs.incidents import strongest_check

    check = strongest_check(incident)
    if check == ACCURACY:
        model = next((m for m in deployment.models if f"{m.name}.performance" == incident.table), None)
        return accuracy_key(deployment, model) if model else None
    table = next((t for t in deployment.tables if t.id == incident.table), None)
    return dg.AssetCheckKey(deployment.table_key(table), check) if table else None
