"""The retraining sensor: fetches facts, asks the policy what follows, returns a run request or the reason for none.

Other sensors: `alerting`, and `deliveries` for redelivery, tables filled elsewhere, and silence.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from mlobs.orchestration.calendar import Family
from mlobs.orchestration.deployment import Deployment, wall_clock
from mlobs.orchestration.runs import CHECK, MODEL, REASON, RUN_KEY, SOURCE, TRIGGER, WINDOW, short
from mlobs.orchestration.specs import accuracy_key
from mlobs.spec import Model, Retraining

if TYPE_CHECKING:
    from mlobs.retraining.policy import Situation

OVERLAP = 3600.0
"""Seconds before the newest evaluation seen that are read again: an evaluation gets its id when its run starts, and may
be written after others with higher ids."""

CLAIM = timedelta(minutes=5)
"""Wall time after which a claim lapses whose daemon died before Dagster had made the run."""

SILENCE = timedelta(hours=6)
"""Wall time without an event after which a training run is taken for dead. A training says each step before it begins; the
longest, a fit of boosted trees or a forest on millions of rows, stays well below."""

PAGE = 200
BUSY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True)
class Failure:
    """One failed evaluation of a check: its record's id is one per check, run and partition."""

    id: int
    check: str
    partition: str
    run_id: str
    timestamp: float


@dataclass(frozen=True)
class Memory:
    """What the retraining sensor remembers between ticks, as its cursor.

    Attributes:
        newest: wall time of the newest failed evaluation seen, seconds.
        seen: ids of the failed evaluations in the overlap.
        pending: the newest failed evaluation that no run has answered yet.
        answer: the policy's last answer to it.
    """

    newest: float = 0.0
    seen: tuple[int, ...] = ()
    pending: Failure | None = None
    answer: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> "Memory":
        if not cursor:
            return cls()
        kept = json.loads(cursor)
        pending = Failure(**kept["pending"]) if kept.get("pending") else None
        return cls(kept["newest"], tuple(kept["seen"]), pending, kept.get("answer", ""))

    def write(self) -> str:
        pending = vars(self.pending) if self.pending else None
        return json.dumps({"newest": self.newest, "seen": self.seen, "pending": pending, "answer": self.answer})

    def noting(self, failures: Sequence[Failure]) -> tuple["Memory", list[Failure]]:
        """The memory after a look at the failures in the overlap, and those that are new."""
        known = set(self.seen)
        fresh = [failure for failure in failures if failure.id not in known]
        newest = max([self.newest, *(failure.timestamp for failure in failures)])
        pending = max(
            [*fresh, *([self.pending] if self.pending else [])], key=lambda f: (f.timestamp, f.id), default=None
        )
        return replace(self, newest=newest, seen=tuple(f.id for f in failures), pending=pending), fresh


def failed_evaluations(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey], since: float) -> list[Failure]:
    """Failed evaluations newer than `since` (epoch seconds) with severity ERROR, oldest first.

    Reads the event log by check key, newest first; Dagster has no public call for this.
    """
    found: list[Failure] = []
    for key in keys:
        cursor: int | None = None
        while True:
            page = instance.event_log_storage.get_asset_check_execution_history(
                key, limit=PAGE, cursor=cursor, status={AssetCheckExecutionRecordStatus.FAILED}
            )
            fresh = [record for record in page if record.event and record.event.timestamp > since]
            for record in fresh:
                evaluation = record.evaluation
                if evaluation is not None and evaluation.severity is dg.AssetCheckSeverity.ERROR and record.event:
                    found.append(
                        Failure(
                            id=record.id,
                            check=key.to_user_string(),
                            partition=record.partition or "",
                            run_id=record.run_id or "",
                            timestamp=record.event.timestamp,
                        )
                    )
            if len(page) < PAGE or not fresh:
                break
            cursor = page[-1].id
    return sorted(found, key=lambda f: (f.timestamp, f.id))


def retraining_sensor(
    deployment: Deployment, family: Family, model: Model, job: Any, *, interval: int = 30
) -> dg.SensorDefinition:
    """Asks the retraining policy about each failed accuracy evaluation until a run has answered it, and about all else that
    may call for training: an outside signal, estimated accuracy, the schedule's floor, a challenger watched in shadow.

    At most one run per cause: it is in the run key, which Dagster refuses to launch twice even when the cursor is lost. Of
    two daemons that ask at the same moment, which Dagster doesn't tell apart, only the one that claims the cause in history
    requests the run. One run answers all evaluations that failed before it was asked for.
    """
    policy = model.retraining
    if policy is None:
        raise ValueError(f"model {model.name!r} has no retraining policy")
    keys = [accuracy_key(deployment, model)]
    if policy.on_drift:
        keys.append(dg.AssetCheckKey(deployment.table_key(model.features), "drift"))

    @dg.sensor(
        name=f"{model.name}_retraining",
        job=job,
        minimum_interval_seconds=interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Retrains {model.name} when its accuracy failed and the policy agrees; else says why not.",
        tags={MODEL: model.name},
    )
    def retraining(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from mlobs.retraining.policy import decide

        memory = Memory.read(context.cursor)
        failures = failed_evaluations(context.instance, keys, memory.newest - OVERLAP)
        memory, fresh = memory.noting(failures)
        if memory.pending is None and not watches_more(policy):
            context.update_cursor(memory.write())
            return dg.SkipReason(f"no failed accuracy evaluation of {model.name} waits for an answer")
        now = deployment.now()
        facts = gathered(deployment, model, now, running=is_running(context.instance, job.name, wall_clock()))
        if memory.pending is None:  # failures that were answered before call for nothing more
            facts = replace(facts, failures=0, drift_windows=0)
        decision = decide(policy, facts)
        if decision.trigger and (fresh or decision.answer != memory.answer):
            detail = {
                "evaluation": memory.pending.id if memory.pending else None,
                "window": memory.pending.partition if memory.pending else "",
                "excluded": [window.key for window in decision.excluded],
                "failures": facts.failures,
                "new_labels": facts.new_labels,
            }
            deployment.history.save_decision(
                model.name, now, decision.answer, decision.reason, decision.trigger, detail
            )
        if decision.answer != "retrain":
            settled = not decision.trigger and not facts.failures and not facts.running
            kept = replace(memory, pending=None if settled else memory.pending, answer=decision.answer)
            context.update_cursor(kept.write())
            return dg.SkipReason(f"{decision.answer}: {decision.reason}")
        cause = memory.pending
        run_key = f"{model.name}:{cause.id}" if cause else decision.cause
        answered = replace(memory, pending=None, answer=decision.answer)
        if context.instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY: run_key, MODEL: model.name})):
            context.update_cursor(answered.write())
            return dg.SkipReason(f"a run has answered this already: {decision.reason}")
        asked = wall_clock()
        if not deployment.history.claim(f"run:{run_key}", deployment.identity, asked, asked + CLAIM):
            context.update_cursor(replace(memory, answer=decision.answer).write())
            return dg.SkipReason(f"another daemon is asking for this run: {decision.reason}")
        tags = {MODEL: model.name, TRIGGER: decision.trigger, REASON: short(decision.reason)}
        if cause:
            tags |= {CHECK: cause.check, SOURCE: cause.run_id or "runless", WINDOW: cause.partition or "none"}
        request = dg.RunRequest(run_key=run_key, tags=tags)
        return dg.SensorResult(run_requests=[request], cursor=answered.write())

    return retraining


def watches_more(policy: Retraining) -> bool:
    """Whether something else than a failed evaluation may call for training."""
    return bool(policy.signal or policy.on_estimate or policy.every or policy.shadow)


def gathered(deployment: Deployment, model: Model, now: datetime, *, running: bool) -> "Situation":
    """The facts the policy decides on, the newest outside signal among them."""
    from mlobs.retraining.signals import newest_signal
    from mlobs.retraining.situation import situation

    model = deployment.monitoring.settled(model, now, otherwise=model.features.cadence)
    asked = newest_signal(deployment.engine, model, deployment.history, now)
    return situation(
        model,
        deployment.history,
        now,
        running=running,
        external=asked.reason if asked else "",
        signal=asked.at if asked else None,
    )


def is_running(instance: dg.DagsterInstance, job_name: str, now: datetime) -> bool:
    """Whether a run of the job is queued or under way at wall time `now`.

    A run whose process was killed stays started in Dagster for good, unless run monitoring is set up. One that has written
    no event for `SILENCE` counts as dead, so that it doesn't stop training for ever; were it alive after all, two trainings
    would register two versions, and the alias would still move as a whole.
    """
    for run in instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=BUSY)):
        newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        waits = run.status in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
        if waits or not newest or now.timestamp() - newest[0].timestamp < SILENCE.total_seconds():
            return True
    return False
