"""Jobs and schedules of a deployment: daily, checks, backfill, retrain."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from mlobs.orchestration.calendar import Family
from mlobs.orchestration.deployment import Deployment, wall_clock
from mlobs.orchestration.plan import Target, due, request
from mlobs.orchestration.runs import MODEL
from mlobs.orchestration.specs import accuracy_check, table_checks
from mlobs.spec import Model
from mlobs.windows import DAY

Job = Any
"""What `define_asset_job` returns: its class is not public."""


def step_name(family: Family) -> str:
    """`daily`, `hourly`, or the cadence itself: how the job of each window is called."""
    cadence = family.calendar.cadence
    return {DAY: "daily", timedelta(hours=1): "hourly", 7 * DAY: "weekly"}.get(cadence, "each_window")


def check_keys(deployment: Deployment, family: Family) -> list[dg.AssetCheckKey]:
    specs = [spec for table in family.tables for spec in table_checks(deployment, family, table)]
    accuracy = [accuracy_check(deployment, family, model) for model in family.models]
    return [spec.key for spec in (*specs, *accuracy) if spec is not None]


def window_job(deployment: Deployment, family: Family) -> Job:
    """Everything of one window: tables, checks, predictions, performance; run requests select a part of it."""
    made = [deployment.table_key(table) for table in family.tables if deployment.produced(table)]
    made += [deployment.model_key(model, "performance") for model in family.models]
    selection = dg.AssetSelection.assets(*made) | dg.AssetSelection.checks(*check_keys(deployment, family))
    return dg.define_asset_job(
        f"{family.name}_{step_name(family)}",
        selection=selection,
        description="One window: features and predictions, or actuals and performance, with their checks.",
        executor_def=dg.in_process_executor,
        tags={MODEL: family.name},
    )


def checks_job(deployment: Deployment, family: Family) -> Job:
    """Checks alone, on data that is there already. Launch it with the tag dagster/partition=<partition key>."""
    return dg.define_asset_job(
        f"{family.name}_checks",
        selection=dg.AssetSelection.checks(*check_keys(deployment, family)),
        description="Checks alone, on data that is there already: give the tag dagster/partition.",
        executor_def=dg.in_process_executor,
        tags={MODEL: family.name},
    )


def backfill_job(deployment: Deployment, family: Family) -> Job | None:
    """Features and actuals with their checks over a range of windows in one run; None when mlobs lands neither."""
    tables = [table for table in family.tables if table.load is not None and deployment.produced(table)]
    if not tables:
        return None
    return dg.define_asset_job(
        f"{family.name}_backfill",
        selection=dg.AssetSelection.assets(*(deployment.table_key(table) for table in tables)),
        description="History: lands a range of windows in one run and learns from it what is normal.",
        executor_def=dg.in_process_executor,
        tags={MODEL: family.name},
    )


def retrain_job(deployment: Deployment, model: Model) -> Job:
    """Training set and model; promotes the challenger only if it is better."""
    keys = [deployment.model_key(model, part) for part in ("training_set", "model")]
    return dg.define_asset_job(
        f"{model.name}_retrain",
        selection=dg.AssetSelection.assets(*keys),
        description=f"Trains a challenger of {model.name} and promotes it if it beats the champion.",
        executor_def=dg.in_process_executor,
        tags={MODEL: model.name},
    )


def window_schedule(
    deployment: Deployment, family: Family, job: Job, *, cron: str | None = None
) -> dg.ScheduleDefinition:
    """Requests what is due: current features and predictions, mature actuals and performance.

    Once per window: the run key names the window, so a second tick in the same window asks for nothing new.
    """

    @dg.schedule(
        name=f"{job.name}_schedule",
        cron_schedule=cron or default_cron(family),
        job=job,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Features and predictions of the current window; actuals and performance of the newest mature one.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        now = moment(deployment, context)
        targets = due(deployment, family, now)
        if not targets:
            return dg.SkipReason(f"no window of {family.name} is due at {now:%Y-%m-%d %H:%M} UTC")
        return [request(family, target, job.name, run_key=run_key(family, target)) for target in targets]

    return schedule


def run_key(family: Family, target: Target) -> str:
    """The same for the same assets in the same window."""
    names = "+".join(key.to_user_string() for key in target.assets)
    return f"{family.name}:{family.calendar.key(target.window)}:{names}"


def default_cron(family: Family) -> str:
    """Six in the morning UTC for days and weeks, ten past for hours, two minutes in for shorter windows."""
    cadence = family.calendar.cadence
    if cadence >= 7 * DAY:
        return f"0 6 * * {family.calendar.start.isoweekday() % 7}"
    if cadence >= DAY:
        return "0 6 * * *"
    hours, minutes = divmod(int(cadence.total_seconds()) // 60, 60)
    if hours:
        return "10 * * * *" if hours == 1 else f"10 */{hours} * * *"
    return f"{min(2, minutes - 1)}-59/{minutes} * * * *"


def moment(deployment: Deployment, context: dg.ScheduleEvaluationContext) -> datetime:
    """The tick's own time on the wall clock, so that a late or repeated tick asks for its own window; else the clock's."""
    if deployment.clock is wall_clock and context._scheduled_execution_time is not None:
        return context.scheduled_execution_time.astimezone(UTC)
    return deployment.now()
