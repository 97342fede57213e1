"""Asset and check specs of a deployment: pure functions from declarations to Dagster specs, testable without a run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import dagster as dg

from mlobs.orchestration.calendar import Family
from mlobs.orchestration.deployment import Deployment
from mlobs.orchestration.links import report_page
from mlobs.spec import Accuracy, Drift, Model, Monitor, Table

ACCURACY = "accuracy"
SHARED = "shared"
KINDS = {"postgresql": "postgres", "mssql": "sqlserver", "awsathena": "athena"}
"""URL schemes whose Dagster kind has another name."""

CHECK_TEXT = {
    "field_health": "Every metric of every field against the range that its history predicts; values never seen before.",
    "drift": "Distance of the newest windows from the training data of the deployed version.",
    "freshness": "Arrival against the learned cadence, and the newest event time inside the data.",
    "volume": "Rows of the window against what history predicts for it.",
    "mix": "Share of each segment and category against its history.",
    "schema": "Columns added, removed or retyped.",
    ACCURACY: "The model's error on windows whose labels are mature, against its limits and a naive baseline.",
}


def warehouse_kind(url: str) -> str:
    """The Dagster kind of a warehouse URL.

    >>> warehouse_kind("postgresql+psycopg://host/db")
    'postgres'
    """
    scheme = urlsplit(url).scheme.split("+")[0] or "table"
    return KINDS.get(scheme, scheme)


def column_schema(table: Table, columns: Mapping[str, str] | None = None) -> dg.TableSchema:
    """The declared columns, or those found (name -> type) described by what was declared."""
    declared = {field.name: field for field in table.fields}
    found = columns or {
        table.time: "timestamp",
        **{key: declared[key].kind or "" if key in declared else "" for key in table.keys},
        **{name: field.kind or "" for name, field in declared.items()},
    }
    described = []
    for name, kind in found.items():
        field = declared.get(name)
        parts = [field.description, f"Unit: {field.unit}" if field.unit else ""] if field else []
        text = ". ".join(part for part in parts if part)
        text = text or ("Places the row in its window." if name == table.time else "")
        described.append(
            dg.TableColumn(
                name,
                kind or "unknown",
                description=text or None,
                constraints=dg.TableColumnConstraints(nullable=name not in table.keys, unique=table.keys == (name,)),
                tags={"segment": ""} if name in table.segments else {},
            )
        )
    return dg.TableSchema(described)


def table_spec(deployment: Deployment, family: Family, table: Table) -> dg.AssetSpec:
    """The partitioned asset of a table; lineage says what it is made of."""
    users = deployment.users(table)
    models = list(users)
    makers = [m for m, role in users.items() if role == "predictions"]
    deps = [
        dg.AssetDep(deployment.table_key(maker.features))
        for maker in makers
        if maker.predicts or maker.features is not table
    ]
    deps += [dg.AssetDep(deployment.model_key(maker, "model")) for maker in makers if maker.train is not None]
    computed = any(maker.predicts for maker in makers) and table.load is None
    roles = sorted({f"{role} of {model.name}" for model, role in users.items()})
    return dg.AssetSpec(
        deployment.table_key(table),
        deps=deps,
        partitions_def=family.calendar.partitions,
        group_name=models[0].name if len(models) == 1 else SHARED,
        kinds={warehouse_kind(deployment.warehouse), "python" if computed or table.load else "table"},
        owners=_owners([table.owners, *(m.owners for m in models)]),
        description=table.description or f"{', '.join(roles).capitalize()}, one partition a window.",
        tags=dict(table.tags),
        metadata={
            "dagster/table_name": ".".join(table.path),
            "dagster/column_schema": column_schema(table),
            "models": ", ".join(model.name for model in models),
            "key": ", ".join(table.keys),
            "time column": table.time,
            "false alarms per month": table.false_alarms_per_month,
        },
    )


def performance_spec(deployment: Deployment, family: Family, model: Model) -> dg.AssetSpec:
    """Predictions joined with actuals: the error of each window, by version and segment."""
    return dg.AssetSpec(
        deployment.model_key(model, "performance"),
        deps=[deployment.table_key(model.predictions), deployment.table_key(model.actuals)],
        partitions_def=family.calendar.partitions,
        group_name=model.name,
        kinds={warehouse_kind(deployment.warehouse), "python"},
        owners=_owners([model.owners]),
        description=f"How wrong {model.name} was: predictions joined with actuals, one partition a window.",
        tags=dict(model.tags),
        metadata={
            "task": model.task,
            "prediction": model.prediction,
            "actual": model.actual,
            **_report(deployment, model.name),
        },
    )


def training_specs(deployment: Deployment, model: Model) -> list[dg.AssetSpec]:
    """`training_set` and `model`: unpartitioned, made anew by each training run."""
    training = deployment.model_key(model, "training_set")
    common: dict[str, Any] = {
        "group_name": model.name,
        "owners": _owners([model.owners]),
        "tags": dict(model.tags),
    }
    return [
        dg.AssetSpec(
            training,
            deps=[deployment.table_key(model.features), deployment.table_key(model.actuals)],
            kinds={warehouse_kind(deployment.warehouse), "python"},
            description="Features with the labels that were mature when training began; faulty windows are left out.",
            metadata={"inputs": ", ".join(model.input_names)},
            **common,
        ),
        dg.AssetSpec(
            deployment.model_key(model, "model"),
            deps=[training],
            kinds={"mlflow", "python"},
            description=model.description or f"The versions of {model.name}; the alias champion is the deployed one.",
            metadata={"tracking": deployment.tracking_uri, "registered model": model.name},
            **common,
        ),
    ]


def check_spec(asset: dg.AssetKey, monitor: Monitor, calendar: Family) -> dg.AssetCheckSpec:
    """The partitioned check of one monitor on one asset."""
    metadata: dict[str, Any] = {}
    if isinstance(monitor, Drift):
        metadata = {"distance": monitor.distance, "floor": monitor.floor, "windows": monitor.windows}
    if isinstance(monitor, Accuracy):
        limits = {"maximum": monitor.maximum, "relative": monitor.relative, "min_skill": monitor.min_skill}
        metadata = {"span": monitor.span, **{name: limit for name, limit in limits.items() if limit is not None}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # partitioned checks: pinned to dagster <1.14 for this
        return dg.AssetCheckSpec(
            monitor.check,
            asset=asset,
            partitions_def=calendar.calendar.partitions,
            blocking=monitor.blocking,
            description=CHECK_TEXT.get(monitor.check, ""),
            metadata=metadata,
        )


def table_checks(deployment: Deployment, family: Family, table: Table) -> list[dg.AssetCheckSpec]:
    """The checks of a table: the union of what its models ask for."""
    key = deployment.table_key(table)
    return [check_spec(key, monitor, family) for monitor in deployment.monitors(table)]


def accuracy_check(deployment: Deployment, family: Family, model: Model) -> dg.AssetCheckSpec | None:
    """The `accuracy` check on performance, when the model has that monitor."""
    if model.accuracy is None:
        return None
    return check_spec(deployment.model_key(model, "performance"), model.accuracy, family)


def accuracy_key(deployment: Deployment, model: Model) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(deployment.model_key(model, "performance"), ACCURACY)


def op_name(key: dg.AssetKey, suffix: str = "") -> str:
    """A name Dagster accepts for the op of an asset: letters, digits and _.

    >>> op_name(dg.AssetKey(["flights", "features-1"]), "checks")
    'flights__features_1__checks'
    """
    parts = [*key.path, suffix] if suffix else key.path
    return "__".join("".join(c if c.isascii() and c.isalnum() else "_" for c in part) for part in parts)


def _owners(candidates: Iterable[Sequence[str]]) -> list[str]:
    """The table's own owners, else those of its models, each once."""
    own, *others = candidates
    return list(dict.fromkeys(own or [owner for owners in others for owner in owners]))


def _report(deployment: Deployment, model: str = "") -> dict[str, Any]:
    """The page of a model in the report, or its index, as metadata that Dagster links."""
    if not deployment.report:
        return {}
    page = report_page(deployment.report, model)
    web = urlsplit(page).scheme in {"http", "https"}
    return {"report": dg.MetadataValue.url(page) if web else dg.MetadataValue.path(page)}
