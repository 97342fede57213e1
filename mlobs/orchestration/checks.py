"""The asset checks of a deployment: one op per table judges a window once and reports every check's outcome.

A run of one partition yields check results; a single-run backfill must state the evaluation of each partition itself,
since Dagster would otherwise leave their status open.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter

from mlobs.detectors.verdict import Verdict
from mlobs.orchestration.calendar import Calendar, Family
from mlobs.orchestration.deployment import Deployment, clear_failures
from mlobs.orchestration.evaluations import causes, evaluate
from mlobs.orchestration.runs import windows_of
from mlobs.orchestration.specs import accuracy_check, op_name, table_checks
from mlobs.spec import Model, Table
from mlobs.windows import Window

Judged = Mapping[Window, Sequence[Verdict]]


def family_checks(deployment: Deployment, family: Family) -> list[dg.AssetChecksDefinition]:
    """One check op for each table that is watched, and one for each model's accuracy."""
    ops = []
    for table in family.tables:
        specs = table_checks(deployment, family, table)
        if specs:
            ops.append(check_op(deployment, family, specs, _judge_table(deployment, table)))
    for model in family.models:
        spec = accuracy_check(deployment, family, model)
        if spec is not None:
            judge, why = _judge_accuracy(deployment, model), _explain(deployment, model)
            ops.append(check_op(deployment, family, [spec], judge, why))
    return ops


def _judge_table(deployment: Deployment, table: Table) -> Callable[[list[Window], str], Judged]:
    def judge(windows: list[Window], run_id: str) -> Judged:
        return deployment.monitoring.backfill(table, windows, deployment.now(), run_id)

    return judge


def _judge_accuracy(deployment: Deployment, model: Model) -> Callable[[list[Window], str], Judged]:
    """Reads what `performance` has just scored; a check run by itself scores again, so late labels count."""

    def judge(windows: list[Window], run_id: str) -> Judged:
        from mlobs.detectors.accuracy import performance_name

        now, judged = deployment.now(), {}
        for window in windows:
            stored = deployment.history.verdicts(
                performance_name(model), since=window.start, until=window.end, detector="accuracy"
            )
            fresh = [kept.verdict for kept in stored if kept.run_id == run_id and kept.verdict.window == window]
            judged[window] = fresh or deployment.monitoring.score(model, window, now, run_id)[0]
        return judged

    return judge


def _explain(deployment: Deployment, model: Model) -> Callable[[Window, Sequence[Verdict]], dict[str, Any]]:
    """Why the accuracy fell, as metadata of a failed check."""

    def why(window: Window, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        from mlobs.incidents import explain

        if not any(v.failed and not v.segment for v in verdicts):
            return {}
        found = explain(deployment.history, model, window, deployment.lineage())
        return causes(found) if found else {}

    return why


def _nothing_more(window: Window, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {}


def check_op(
    deployment: Deployment,
    family: Family,
    specs: Sequence[dg.AssetCheckSpec],
    judge: Callable[[list[Window], str], Judged],
    more: Callable[[Window, Sequence[Verdict]], dict[str, Any]] = _nothing_more,
) -> dg.AssetChecksDefinition:
    """One op for all checks of an asset: `judge` reads the data once, whatever number of checks is selected.

    `more` gives further metadata of a window that is judged alone.
    """
    key = specs[0].asset_key
    picture = deployment.picture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.multi_asset_check(specs=specs, name=op_name(key, "checks"), can_subset=True, pool=deployment.pool)
        def checks(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
            windows = windows_of(context, family.calendar)
            selected = {k.name for k in context.selected_asset_check_keys}
            names = [spec.name for spec in specs if spec.name in selected]
            with clear_failures(asset=key.to_user_string()):
                judged = judge(windows, context.op_execution_context.run_id)
            if len(windows) == 1:
                extra = more(windows[0], judged[windows[0]])
                for name in names:
                    found = evaluate(name, judged[windows[0]], picture, extra)
                    yield dg.AssetCheckResult(
                        asset_key=key,
                        check_name=name,
                        passed=found.passed,
                        severity=found.severity,
                        description=found.description,
                        metadata=found.metadata,
                    )
                return
            targets = materialized(
                context.op_execution_context.instance, key, [family.calendar.key(w) for w in windows]
            )
            for name in names:
                yield from evaluations(name, judged, family.calendar, key, targets)
                yield dg.Output(None, output_name=dg.AssetCheckSpec(name, asset=key).get_python_identifier())

    return checks


def evaluations(
    name: str,
    judged: Judged,
    calendar: Calendar,
    key: dg.AssetKey,
    targets: Mapping[str, Any],
) -> Iterator[dg.AssetCheckEvaluation]:
    """One evaluation of a check per window of a backfill, without pictures.

    None blocks: one faulty window would stop all others, and predictions refuse a faulty window themselves.
    """
    for window, verdicts in judged.items():
        found = evaluate(name, verdicts)
        partition = calendar.key(window)
        yield dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=name,
            passed=found.passed,
            severity=found.severity,
            description=found.description,
            metadata=found.metadata,
            partition=partition,
            target_materialization_data=targets.get(partition),
            blocking=False,
        )


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Iterable[str]) -> dict[str, Any]:
    """Partition -> its latest materialization, as an evaluation must name it: without it the status counts as outdated."""
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    missing, found, cursor = set(partitions), {}, None
    while missing:
        wanted = AssetRecordsFilter(asset_key=key, asset_partitions=sorted(missing))
        page = instance.fetch_materializations(wanted, limit=1000, cursor=cursor)
        for record in page.records:  # newest first
            if record.partition_key in missing:
                missing.discard(record.partition_key)
                found[record.partition_key] = AssetCheckEvaluationTargetMaterializationData(
                    storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
                )
        if not page.has_more:
            break
        cursor = page.cursor
    return found
