"""The assets of a deployment: thin Dagster ops around `Monitoring` and the training run.

Landing a table, predicting, scoring, training. What each does is below orchestration; here only windows are read from
the run, results become metadata, and errors become failures with their own words.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dagster as dg

from mlobs.detectors.accuracy import ESTIMATED
from mlobs.detectors.verdict import Verdict
from mlobs.orchestration.calendar import Family
from mlobs.orchestration.deployment import Deployment, clear_failures
from mlobs.orchestration.evaluations import number
from mlobs.orchestration.runs import REASON, TRIGGER, windows_of
from mlobs.orchestration.specs import column_schema, op_name, performance_spec, table_spec, training_specs
from mlobs.spec import Model, Table
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.retraining.challenger import Outcome


def family_assets(deployment: Deployment, family: Family) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """All assets of a family: ops for what mlobs fills, external assets for tables that are filled elsewhere."""
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for table in family.tables:
        if table.id in deployment.keys:
            continue
        maker = next((m for m, role in deployment.users(table).items() if role == "predictions" and m.predicts), None)
        if table.load is not None:
            assets.append(landing(deployment, family, table))
        elif maker is not None:
            assets.append(predictions(deployment, family, maker))
        else:
            assets.append(table_spec(deployment, family, table))
    for model in family.models:
        assets.append(performance(deployment, family, model))
        if model.train is not None:
            assets.append(training(deployment, model))
    return assets


def landing(deployment: Deployment, family: Family, table: Table) -> dg.AssetsDefinition:
    """The asset that lands a window of `table.load` in the warehouse, atomically; landing again replaces."""
    spec = table_spec(deployment, family, table)

    @dg.multi_asset(
        specs=[spec],
        name=op_name(spec.key),
        pool=deployment.pool,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def land(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        now, windows = deployment.now(), windows_of(context, family.calendar)
        for window, landed in in_one_session(
            deployment, windows, lambda window: deployment.monitoring.land(table, window, now), table=table.id
        ):
            metadata: dict[str, Any] = {
                **row_counts(deployment, table, landed.rows, last=window == windows[-1]),
                "dagster/column_schema": column_schema(table, landed.columns),
                "rows outside the window": landed.outside,
            }
            if landed.newest is not None:
                metadata["newest event"] = dg.MetadataValue.timestamp(landed.newest)
            _attach(context, spec.key, family.calendar.key(window), metadata)
        return dg.MaterializeResult(asset_key=spec.key)

    return land


def predictions(deployment: Deployment, family: Family, model: Model) -> dg.AssetsDefinition:
    """Batch inference by the champion; refuses a window whose features have unresolved data faults."""
    spec = table_spec(deployment, family, model.predictions)

    @dg.multi_asset(
        specs=[spec],
        name=op_name(spec.key),
        pool=deployment.pool,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def predict(context: dg.AssetExecutionContext) -> Iterator[Any]:
        now = deployment.now()
        made: dict[str, dict[str, Any]] = {}
        refused: list[tuple[Window, list[Verdict]]] = []
        for window in windows_of(context, family.calendar):
            with clear_failures(model=model.name, window=str(window)):
                faults = deployment.monitoring.blocked(model, window)
                if faults:
                    refused.append((window, faults))
                    continue
                version, estimator, expectation = deployment.champion(model)
                landed = deployment.monitoring.predict(model, window, version, estimator, now, expectation)
                foretold = deployment.monitoring.estimate(model, window, now, context.run.run_id)
            made[family.calendar.key(window)] = {
                **row_counts(deployment, model.predictions, landed.rows, last=True),
                "model version": version,
                **estimate_metadata(foretold),
            }
        if refused:
            for key, metadata in made.items():  # a backfill keeps the windows it could do
                yield dg.AssetMaterialization(spec.key, partition=key, metadata=metadata)
            raise refusal(model, refused)
        for key, metadata in made.items():
            _attach(context, spec.key, key, metadata)
        yield dg.MaterializeResult(asset_key=spec.key)

    return predict


def estimate_metadata(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The accuracy that is foretold of a window without labels, and how far it can be trusted."""
    found = next((v for v in verdicts if v.metric.startswith(ESTIMATED)), None)
    if found is None:
        return {}
    return {found.metric.replace("_", " "): float(found.value), "estimate": found.reason}


def refusal(model: Model, refused: Sequence[tuple[Window, Sequence[Verdict]]]) -> dg.Failure:
    """Why predictions were not made, window by window."""
    window, faults = refused[0]
    more = f" (and {len(refused) - 1} more windows)" if len(refused) > 1 else ""
    return dg.Failure(
        description=f"{model.name} makes no predictions on broken data: {faults[0].table} in {window}: {faults[0].reason}"
        f"{more}. They follow when a corrected delivery has passed its checks, or the fault is marked as expected.",
        metadata={
            "blocked by": dg.TableMetadataValue(
                records=[
                    dg.TableRecord(
                        {"window": str(w), "table": f.table, "field": f.field, "metric": f.metric, "reason": f.reason}
                    )
                    for w, found in refused
                    for f in found[:10]
                ],
                schema=dg.TableSchema([dg.TableColumn(n) for n in ("window", "table", "field", "metric", "reason")]),
            )
        },
        allow_retries=False,
    )


def performance(deployment: Deployment, family: Family, model: Model) -> dg.AssetsDefinition:
    """Predictions joined with actuals; the verdicts are remembered, the `accuracy` check reports them."""
    spec = performance_spec(deployment, family, model)

    @dg.multi_asset(
        specs=[spec],
        name=op_name(spec.key),
        pool=deployment.pool,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def score(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        now = deployment.now()
        windows, run_id = windows_of(context, family.calendar), context.run.run_id
        for window, (_, metrics) in in_one_session(
            deployment,
            windows,
            lambda window: deployment.monitoring.score(model, window, now, run_id),
            model=model.name,
        ):
            _attach(context, spec.key, family.calendar.key(window), dict(metrics))
        return dg.MaterializeResult(asset_key=spec.key)

    return score


def training(deployment: Deployment, model: Model) -> dg.AssetsDefinition:
    """`training_set` and `model` in one op: the set is built, a challenger trained on it, and one of the two deployed.

    One op, since the training set is rows in memory that only this run needs; what it held is remembered as its window
    and fingerprint, from which it can be built again.
    """
    set_spec, model_spec = training_specs(deployment, model)

    @dg.multi_asset(specs=[set_spec, model_spec], name=op_name(model_spec.key, "training"), pool=deployment.pool)
    def train(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from mlobs.retraining.run import retrain

        tags = context.run.tags
        with clear_failures(model=model.name):
            outcome = retrain(
                deployment.monitoring,
                deployment.tracking,
                model,
                deployment.now(),
                trigger=tags.get(TRIGGER, "manual"),
                reason=tags.get(REASON, ""),
                cause=tags.get("dagster/run_key") or context.run.root_run_id or context.run.run_id,
                progress=context.log.info,
            )
        yield dg.MaterializeResult(asset_key=set_spec.key, metadata=training_set_metadata(outcome))
        yield dg.MaterializeResult(
            asset_key=model_spec.key, metadata=model_metadata(deployment, model, outcome, tags.get(TRIGGER, "manual"))
        )

    return train


def training_set_metadata(outcome: "Outcome") -> dict[str, Any]:
    """What the training set held, so that it can be built again."""
    training = outcome.training
    return {
        "dagster/row_count": training.rows,
        "first window": training.window.start.isoformat(),
        "until": training.window.end.isoformat(),
        "fingerprint": training.fingerprint,
        "excluded windows": ", ".join(window.key for window in training.excluded) or "none",
    }


def model_metadata(deployment: Deployment, model: Model, outcome: "Outcome", trigger: str) -> dict[str, Any]:
    """Version, decision with its reason, and the numbers that Dagster plots from version to version."""
    training, comparison = outcome.training, outcome.comparison
    metadata: dict[str, Any] = {
        "version": outcome.version.version,
        "decision": "promoted" if outcome.promoted else outcome.reason.partition(":")[0],
        "reason": outcome.reason,
        "trigger": trigger,
        "asked because": training.reason or "asked for by hand",
        f"cross-validated {training.metric}": float(training.cv_error),
        "fit seconds": float(training.fit_seconds),
        "training rows": training.rows,
        "metrics": _table(("metric", "value"), sorted(training.metrics.items())),
        "importances": _table(("input", "rise of the error"), list(training.importances.items())),
        "MLflow run": outcome.version.run_id,
    }
    if comparison is not None:
        metadata |= {
            f"champion {comparison.metric}": float(comparison.champion_error),
            f"challenger {comparison.metric}": float(comparison.challenger_error),
            "improvement": float(comparison.improvement.value),
            "improvement at least": float(comparison.low),
            "compared windows": len(comparison.windows),
        }
    if urlsplit(deployment.tracking_uri).scheme in {"http", "https"}:
        page = f"{deployment.tracking_uri.rstrip('/')}/#/models/{model.name}/versions/{outcome.version.version}"
        metadata["MLflow"] = dg.MetadataValue.url(page)
    return {name: value for name, value in metadata.items() if not (isinstance(value, float) and math.isnan(value))}


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dg.TableMetadataValue:
    records = [dg.TableRecord(dict(zip(names, map(_cell, row), strict=True))) for row in rows]
    return dg.TableMetadataValue(records=records, schema=dg.TableSchema([dg.TableColumn(name) for name in names]))


def _cell(value: Any) -> str:
    return number(float(value)) if isinstance(value, (int, float)) else str(value)


def in_one_session(
    deployment: Deployment, windows: Sequence[Window], work: Callable[[Window], Any], **where: str
) -> Iterator[tuple[Window, Any]]:
    """Each window with what `work` made of it, on one connection to the warehouse; failures name the window."""
    with clear_failures(**where), deployment.engine.session():
        done = []
        for window in windows:
            with clear_failures(window=str(window), **where):
                done.append((window, work(window)))
    yield from done


def row_counts(deployment: Deployment, table: Table, rows: int, *, last: bool) -> dict[str, int]:
    """Rows of the partition and, on DuckDB, which counts a table without reading it, rows of the whole table.

    A run over many windows counts the table once, with the last of them.
    """
    counts = {"dagster/partition_row_count": rows}
    if last and deployment.engine.dialect == "duckdb":
        from sqlglot import exp

        from mlobs.engines import Source

        query = Source.table(table.path).select(exp.alias_(exp.Count(this=exp.Star()), "rows", quoted=True))
        counts["dagster/row_count"] = int(deployment.engine.run(query).to_pylist()[0]["rows"])
    return counts


def _attach(context: dg.AssetExecutionContext, key: dg.AssetKey, partition: str, metadata: dict[str, Any]) -> None:
    context.add_asset_metadata(metadata, asset_key=key, partition_key=partition)
