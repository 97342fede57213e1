"""`build_definitions`: models and addresses in, Dagster definitions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from mlobs.orchestration.alerting import alerts_sensor
from mlobs.orchestration.assets import family_assets
from mlobs.orchestration.checks import family_checks
from mlobs.orchestration.deliveries import external_sensor, freshness_sensor, redelivery_sensor
from mlobs.orchestration.deployment import Clock, Deployment, wall_clock
from mlobs.orchestration.jobs import backfill_job, checks_job, retrain_job, window_job, window_schedule
from mlobs.orchestration.sensors import retraining_sensor
from mlobs.spec import Model

if TYPE_CHECKING:
    from mlobs.alerts import Route


def build_definitions(
    models: Sequence[Model],
    warehouse: str,
    *,
    history: str = "sqlite:///mlobs_history.db",
    tracking: str = "sqlite:///mlflow.db",
    clock: Clock = wall_clock,
    routes: Sequence[Route] = (),
    report: str = "",
    ui: str = "",
    keys: Mapping[str, str | Sequence[str]] | None = None,
    pool: str | None = None,
    cron: str | None = None,
    sensor_interval: int = 30,
) -> dg.Definitions:
    """Dagster definitions that observe the models: assets, checks, jobs, schedules, sensors. Opens no connection.

    Schedules and sensors are on by default. DuckDB lets one process write at a time: give its pool (`duckdb`) one slot
    in dagster.yaml, so that runs queue instead of waiting on the file:

        concurrency: {pools: {granularity: op, default_limit: 1}}

    Args:
        models: at least one; models that share a table share one `mlobs.Table`.
        warehouse: URL, such as "duckdb:///data/warehouse.duckdb".
        history: SQLAlchemy URL of mlobs' memory.
        tracking: URI of the MLflow store.
        clock: returns `now` (aware, UTC); a replay passes its own.
        routes: where alerts go.
        report: path or URL of the HTML report, linked from performance.
        ui: address of Dagster's UI, linked from alerts.
        keys: table id -> asset key of an asset you define yourself; its checks are added to it.
        pool: Dagster pool of the ops that use the warehouse; by default named after its kind.
        cron: when the current window is due; by default 06:00 UTC for daily windows, ten past for hourly ones.
        sensor_interval: least seconds between two ticks of a sensor.

    Raises:
        SpecError: declarations contradict each other; names model, table and the mend.
    """
    deployment = Deployment(
        models=tuple(models),
        warehouse=warehouse,
        history_url=history,
        tracking_uri=tracking,
        clock=clock,
        routes=tuple(routes),
        report=report,
        ui=ui,
        keys={table: (key,) if isinstance(key, str) else tuple(key) for table, key in (keys or {}).items()},
        pool=pool or _pool(warehouse),
    )
    return definitions(deployment, cron=cron, interval=sensor_interval)


def definitions(deployment: Deployment, *, cron: str | None = None, interval: int = 30) -> dg.Definitions:
    """The definitions of a deployment."""
    assets, checks, jobs, schedules, sensors = [], [], [], [], []
    for family in deployment.families:
        assets += family_assets(deployment, family)
        checks += family_checks(deployment, family)
        window = window_job(deployment, family)
        alone = checks_job(deployment, family)
        jobs += [job for job in (window, alone, backfill_job(deployment, family)) if job is not None]
        schedules.append(window_schedule(deployment, family, window, cron=cron))
        for model in family.models:
            if model.train is None:
                continue
            retrain = retrain_job(deployment, model)
            jobs.append(retrain)
            if model.retraining is not None:
                sensors.append(retraining_sensor(deployment, family, model, retrain, interval=interval))
        watching = (
            redelivery_sensor(deployment, family, window, interval=interval),
            external_sensor(deployment, family, window, alone, interval=interval),
            freshness_sensor(deployment, family, alone, interval=interval),
        )
        sensors += [sensor for sensor in watching if sensor is not None]
    sensors.append(alerts_sensor(deployment, interval=interval))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
        executor=dg.in_process_executor,
    )


def _pool(warehouse: str) -> str:
    from mlobs.orchestration.specs import warehouse_kind

    return warehouse_kind(warehouse)
