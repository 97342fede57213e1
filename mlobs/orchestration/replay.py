"""Runs of the real definitions in this process, on a real instance: for the demo, for tests, for a replay of last year.

`Replay.tick` evaluates a sensor or schedule as the daemon would (cursor kept in the instance, run keys honoured, tick
recorded) and makes the runs it asks for; `Replay.run` makes one run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlobs.orchestration.runs import PARTITION, RANGE_END, RANGE_START, RUN_KEY

if TYPE_CHECKING:
    from dagster._core.definitions.repository_definition import RepositoryDefinition

SENSOR, SCHEDULE = "dagster/sensor_name", "dagster/schedule_name"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        success: whether every step succeeded; a blocking check that failed makes it False.
        failures: one sentence per failed step.
        evaluations: the check evaluations it made.
    """

    run_id: str
    job: str
    tags: dict[str, str]
    success: bool
    failures: tuple[str, ...] = ()
    evaluations: tuple[dg.AssetCheckEvaluation, ...] = ()

    @property
    def partition(self) -> str:
        return self.tags.get(PARTITION, "")


@dataclass(frozen=True)
class Tick:
    """What a sensor or schedule said, and the runs that followed. Requests whose run key was used before are `repeated`."""

    name: str
    skipped: str = ""
    runs: tuple[Run, ...] = ()
    repeated: tuple[str, ...] = ()


@dataclass
class Replay:
    """The definitions on an instance.

    Args:
        defs: as `build_definitions` makes them; its clock tells what time it is.
        instance: where runs, events and cursors go.
        location: name of the code location in the workspace that will show this instance: under it the daemon finds
            the cursors again.
        quiet: no console log of runs.
        record_skips: also record ticks that asked for nothing (they cost a write each).
    """

    defs: dg.Definitions
    instance: dg.DagsterInstance
    location: str = "mlobs"
    quiet: bool = True
    record_skips: bool = False
    _jobs: dict[Any, dg.JobDefinition] = field(default_factory=dict, repr=False)
    _cursors: dict[str, str | None] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.repository: RepositoryDefinition = self.defs.get_repository_def()

    def run(
        self,
        job: str,
        *,
        partition: str | None = None,
        through: str | None = None,
        assets: Iterable[dg.AssetKey] | None = None,
        checks: Iterable[dg.AssetCheckKey] | None = None,
        tags: dict[str, str] | None = None,
        run_id: str | None = None,
    ) -> Run:
        """One run of a job, or of a part of it, in this process.

        Args:
            partition: partition key; with `through` the first of a range that one run covers.
            assets, checks: what to select; None means all of the job, and all checks of the selected assets.
        """
        tags = dict(tags or {})
        if partition is not None and through is not None:
            tags |= {RANGE_START: partition, RANGE_END: through}
            partition = None
        chosen = self._subset(job, assets, checks)
        if partition is not None and chosen.partitions_def is None:
            tags[PARTITION] = partition  # checks alone
            partition = None
        result = chosen.execute_in_process(
            run_config=QUIET if self.quiet else None,
            instance=self.instance,
            partition_key=partition,
            tags=tags,
            raise_on_error=False,
            run_id=run_id,
        )
        return Run(
            run_id=result.run_id,
            job=job,
            tags={**result.dagster_run.tags, **({PARTITION: partition} if partition else {})},
            success=result.success,
            failures=tuple(_words(event) for event in result.all_node_events if event.is_step_failure),
            evaluations=tuple(result.get_asset_check_evaluations()),
        )

    def _subset(
        self, job: str, assets: Iterable[dg.AssetKey] | None, checks: Iterable[dg.AssetCheckKey] | None
    ) -> dg.JobDefinition:
        """The job, or the part of it; kept, since making one costs as much as a short run."""
        which = (
            job,
            None if assets is None else frozenset(assets),
            None if checks is None else frozenset(checks),
        )
        if which not in self._jobs:
            whole = self.repository.get_job(job)
            selected = which[1:] != (None, None)
            self._jobs[which] = (
                whole.get_subset(asset_selection=which[1] or set(), asset_check_selection=which[2])
                if selected
                else whole
            )
        return self._jobs[which]

    def tick(self, name: str, *, at: datetime | None = None) -> Tick:
        """Evaluate a sensor or schedule once and make the runs it asks for, one after the other.

        Args:
            name: of the sensor or schedule.
            at: scheduled time of a schedule's tick; now when left out.
        """
        started = time.time()
        if self.repository.has_sensor_def(name):
            return self._sensor(name, started)
        schedule = self.repository.get_schedule_def(name)
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=at or datetime.now(UTC),
            repository_def=self.repository,
        )
        with context:
            private: Any = context
            private._instance = self.instance  # else Dagster opens a second instance from this one's address, each tick
            data = schedule.evaluate_tick(context)
        runs, repeated = self._launch(schedule.job_name or "", data.run_requests or [], {SCHEDULE: name})
        return self._finish(name, "schedule", started, data.skip_message or "", runs, repeated, None)

    def _sensor(self, name: str, started: float) -> Tick:
        sensor = self.repository.get_sensor_def(name)
        cursor = self.cursor(name)
        context = dg.build_sensor_context(
            instance=self.instance, cursor=cursor, repository_def=self.repository, sensor_name=name
        )
        with context:
            data = sensor.evaluate_tick(context)
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        jobs = [job.name for job in sensor.jobs] if sensor.has_jobs else []
        runs, repeated = self._launch(jobs[0] if len(jobs) == 1 else "", data.run_requests or [], {SENSOR: name})
        return self._finish(name, "sensor", started, data.skip_message or "", runs, repeated, data.cursor)

    def _launch(
        self, job: str, requests: Sequence[dg.RunRequest], tags: dict[str, str]
    ) -> tuple[tuple[Run, ...], tuple[str, ...]]:
        runs, repeated = [], []
        for request in requests:
            identity = {**tags, **({RUN_KEY: request.run_key} if request.run_key else {})}
            if request.run_key and self.instance.get_runs_count(dg.RunsFilter(tags=identity)):
                repeated.append(request.run_key)
                continue
            runs.append(
                self.run(
                    request.job_name or job,
                    partition=request.partition_key,
                    assets=request.asset_selection,
                    checks=request.asset_check_keys,
                    tags={**request.tags, **identity},
                )
            )
        return tuple(runs), tuple(repeated)

    # Cursors and ticks, where the daemon and the UI look for them

    def cursor(self, name: str) -> str | None:
        """The sensor's cursor, as the instance remembers it."""
        if name not in self._cursors and self._remembers:
            origin = self._origin(name)
            state = self.instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id())
            data = state.instigator_data if state else None
            self._cursors[name] = getattr(data, "cursor", None)
        return self._cursors.get(name)

    @property
    def _remembers(self) -> bool:
        """Whether the instance keeps cursors and ticks; an ephemeral one doesn't."""
        return not self.instance.is_ephemeral

    def _origin(self, name: str) -> Any:
        from dagster._core.remote_origin import (
            RegisteredCodeLocationOrigin,
            RemoteInstigatorOrigin,
            RemoteRepositoryOrigin,
        )

        place = RegisteredCodeLocationOrigin(location_name=self.location)
        repository = RemoteRepositoryOrigin(code_location_origin=place, repository_name=self.repository.name)
        return RemoteInstigatorOrigin(repository_origin=repository, instigator_name=name)

    def _finish(
        self,
        name: str,
        kind: str,
        started: float,
        skipped: str,
        runs: tuple[Run, ...],
        repeated: tuple[str, ...],
        cursor: str | None,
    ) -> Tick:
        """Save the cursor and record the tick."""
        if kind == "sensor" and cursor != self._cursors.get(name):
            self._save_cursor(name, cursor, started)
        if self._remembers and (runs or self.record_skips):
            self._record(name, kind, started, skipped, runs, cursor)
        return Tick(name, "" if runs else skipped, runs, repeated)

    def _save_cursor(self, name: str, cursor: str | None, started: float) -> None:
        from dagster._core.definitions.run_request import InstigatorType
        from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData

        self._cursors[name] = cursor
        if not self._remembers:
            return
        origin = self._origin(name)
        sensor = self.repository.get_sensor_def(name)
        data = SensorInstigatorData(
            last_tick_timestamp=started,
            last_tick_start_timestamp=started,
            min_interval=sensor.minimum_interval_seconds,
            cursor=cursor,
            sensor_type=sensor.sensor_type,
        )
        state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, data)
        if self.instance.get_instigator_state(origin.get_id(), origin.get_selector().get_id()):
            self.instance.update_instigator_state(state)
        else:
            self.instance.add_instigator_state(state)

    def _record(
        self, name: str, kind: str, started: float, skipped: str, runs: tuple[Run, ...], cursor: str | None
    ) -> None:
        from dagster._core.definitions.run_request import InstigatorType
        from dagster._core.scheduler.instigation import TickData, TickStatus

        origin = self._origin(name)
        self.instance.create_tick(
            TickData(
                instigator_origin_id=origin.get_id(),
                instigator_name=name,
                instigator_type=InstigatorType.SENSOR if kind == "sensor" else InstigatorType.SCHEDULE,
                status=TickStatus.SUCCESS if runs else TickStatus.SKIPPED,
                timestamp=started,
                end_timestamp=time.time(),
                run_ids=[run.run_id for run in runs],
                run_keys=[run.tags[RUN_KEY] for run in runs if RUN_KEY in run.tags],
                skip_reason=skipped or None,
                cursor=cursor,
                selector_id=origin.get_selector().get_id(),
            )
        )


def _words(event: dg.DagsterEvent) -> str:
    """Why a step failed: a failure's own words, else the innermost error."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else f"{event.step_key} failed"
