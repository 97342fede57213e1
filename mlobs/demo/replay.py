"""Replays 2013 through Dagster, day by day, as production would run it; then says what happened.

History (January to March) is backfilled and the first version trained; from April on every simulated morning the real
schedule and the real sensors are evaluated against the real instance, and the runs they ask for are made.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlobs.demo import flights
from mlobs.demo.clock import ReplayClock
from mlobs.demo.project import project
from mlobs.demo.receiver import receiver
from mlobs.errors import SpecError, TrainingError, WarehouseError
from mlobs.project import Project
from mlobs.windows import DAY, instant

if TYPE_CHECKING:
    from mlobs.orchestration.replay import Replay, Run

MODEL, SECOND = "arrival_delay", "late_arrival"
FAMILY = f"{MODEL}_family"
YEAR_START = date(2013, 1, 1)
FIRST_DAY = date(2013, 4, 1)
LAST_DAY = date(2013, 12, 31)
MORNING = timedelta(hours=6)
MORNING_ROUND = tuple(
    [f"{FAMILY}_{name}" for name in ("redelivery", "daily_schedule", "freshness", "alerts")]
    + [f"{MODEL}_retraining", f"{SECOND}_retraining"]
)
"""What the daemon would evaluate each morning: corrected deliveries, the schedule, then what follows from verdicts."""
MARKER = ".mlobs-demo"
"""A file that says that a folder was made by the demo, and may be emptied by it."""

DAGSTER_YAML = """\
# Made by the mlobs demo. Runs take turns at the DuckDB file; no telemetry; no welcome window.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency: {pools: {granularity: op, default_limit: 1}}
"""


@dataclass
class Result:
    """What a replay leaves.

    Attributes:
        project: the demo, with everything that was remembered.
        first, last: the days it went through.
        runs: (simulated day, Dagster run), in order.
        messages: titles of the alerts that the receiver got.
        seconds: wall time.
    """

    project: Project
    first: date
    last: date
    runs: list[tuple[date, Run]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, day: date, run: Run) -> None:
        self.runs.append((day, run))


def last_day(until: str | date | None, days: int | None) -> date:
    """The last day to replay, from `--until` and `--days`.

    Raises:
        SpecError: not a date, or outside 2013-04-01 to 2013-12-31.
    """
    try:
        end = date.fromisoformat(until) if isinstance(until, str) else until or date(2013, 9, 30)
    except ValueError as error:
        raise SpecError(f"until {until!r} is no date: write it as 2013-09-30") from error
    if days is not None:
        if days < 1:
            raise SpecError(f"days must be at least 1, got {days}")
        end = min(FIRST_DAY + timedelta(days=days - 1), LAST_DAY)
    if not FIRST_DAY <= end <= LAST_DAY:
        raise SpecError(f"until {end} lies outside the replay: give a day from {FIRST_DAY} to {LAST_DAY}")
    return end


def prepare(folder: Path) -> Path:
    """An empty folder for a new replay, with Dagster's home in it.

    Raises:
        WarehouseError: it can't be written, or holds something that the demo didn't make.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise WarehouseError(f"the demo can't use {folder}: it is a file; give another --output")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise WarehouseError(
            f"the demo won't empty {folder}: it holds files that the demo didn't make; give another --output"
        )
    try:
        if folder.exists():
            shutil.rmtree(folder)
        home = folder / "dagster"
        home.mkdir(parents=True)
        (folder / MARKER).touch()
        (home / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    except OSError as error:
        raise WarehouseError(f"the demo can't write {folder} ({error.strerror}): give another --output") from error
    return folder


Progress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what comes next)."""


def _no_progress(done: int, of: int, what: str) -> None:
    """Says nothing."""


def replay(folder: Path, last: date, *, progress: Progress = _no_progress) -> Result:
    """Replay up to `last`, in a fresh `folder`.

    Raises:
        DataError: the data package is missing.
        WarehouseError: the folder can't be used.
        TrainingError: history could not be loaded, or the first version not be trained.
    """
    started = time.monotonic()
    flights.load()
    folder = prepare(folder)
    os.environ |= {"DAGSTER_HOME": str(folder / "dagster"), "MLOBS_DEMO": str(folder)}
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # small fits: threads that wait for each other cost more than they save
    os.environ |= {"DAGSTER_DISABLE_TELEMETRY": "yes", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

    import dagster as dg

    from mlobs.demo.definitions import definitions
    from mlobs.engines import connect
    from mlobs.orchestration.fast_storage import fast_storage
    from mlobs.orchestration.replay import Replay

    clock = ReplayClock(folder / "clock.json")
    days = (last - FIRST_DAY).days + 1
    steps = days + 2
    with receiver() as messages, dg.DagsterInstance.get() as instance, fast_storage(instance):
        demo = project(folder, clock)
        runs = Replay(definitions(demo), instance)
        result = Result(demo, FIRST_DAY, last, messages=messages)
        # opened once, since all runs are made by this one process
        with connect(demo.placed(demo.warehouse)).session():
            _history(runs, result, clock, lambda done, what: progress(done, steps, what))
            for number in range(days):
                day = FIRST_DAY + timedelta(days=number)
                progress(2 + number, steps, f"{day:%d %B}")
                clock.set(instant(day) + MORNING)
                for name in MORNING_ROUND:
                    for run in runs.tick(name).runs:
                        result.note(day, run)
        clock.release()
        progress(steps, steps, "done")
    result.seconds = time.monotonic() - started
    return result


def _history(runs: Replay, result: Result, clock: ReplayClock, progress: Callable[[int, str], None]) -> None:
    """January to March: what is delivered, and the first versions.

    Raises:
        TrainingError: it could not be loaded, or a version not be trained.
    """
    clock.set(instant(FIRST_DAY))
    progress(0, "January to March: history")
    first, before = YEAR_START.isoformat(), (FIRST_DAY - DAY).isoformat()
    result.note(FIRST_DAY, runs.run(f"{FAMILY}_backfill", partition=first, through=before))
    progress(1, "January to March: first versions")
    for name in (MODEL, SECOND):
        result.note(FIRST_DAY, runs.run(f"{name}_retrain"))
    failures = [failure for _, run in result.runs for failure in run.failures]
    if any(not run.success for _, run in result.runs):
        raise TrainingError(f"the replay can't start: {'; '.join(failures)}")
