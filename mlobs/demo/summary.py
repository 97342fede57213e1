"""What happened in a replay, line by line: from Dagster's runs and what history remembers; prints with Rich.

The error of a replaced version on the days after its replacement is measured too, with the old version itself: only so
can anybody see whether the new one was really better.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mlobs.demo.replay import FAMILY, MODEL, SECOND, Result
from mlobs.demo.story import FAULTS, fault_on
from mlobs.detectors.accuracy import performance_name
from mlobs.engines import Engine
from mlobs.errors import TrackingError
from mlobs.history import History, StoredVersion
from mlobs.report.falls import fall_stories
from mlobs.spec import Model
from mlobs.tracking import Tracking
from mlobs.windows import DAY, Window, instant

MEANS = {
    "fault": "a fault that the demo plants in the data",
    "fell": "the model's accuracy check began to fail; when the error rose, and the likeliest cause",
    "alert": "a message was sent",
    "blocked": "a check found broken data, so nothing was predicted from it",
    "recovered": "the data was delivered again, checked, and predicted from",
    "hold": "the model would be trained again, but not on broken data",
    "wait": "the model would be trained again, but not yet",
    "retrain": "a challenger was trained",
    "shadow": "the new version is better on held-out days, and is watched on new ones before it serves",
    "promoted": "the new version is better, and is deployed",
    "refused": "the new version is not surely better, and the old one stays",
}
"""What the words of the table mean, for who sees it the first time."""

AROUND = 14
"""Days before and after a new version over which errors are compared."""
STYLES = {"fault": "red", "fell": "red", "alert": "red", "blocked": "yellow", "recovered": "green", "hold": "yellow"} | {
    "wait": "dim", "retrain": "cyan", "shadow": "cyan", "promoted": "bold green", "refused": "magenta",
}  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One line of the table."""

    day: date
    what: str
    text: str
    version: str = ""


@dataclass(frozen=True)
class Exchange:
    """A new version that was promoted, with mean absolute errors in minutes, each over up to `AROUND` days.

    Attributes:
        before: of the old version on the days before.
        after: of the new version on the days after.
        instead: of the old version on the days after, had it stayed.
    """

    day: date
    old: str
    new: str
    before: float
    after: float
    instead: float


def events(result: Result, history: History) -> list[Event]:
    """Everything worth telling, in order of days."""
    found: list[Event] = []
    for fault in FAULTS:
        if result.first <= fault.first <= result.last:
            through = f" for {fault.days} days" if fault.days > 1 else ""
            found.append(Event(fault.first, "fault", f"scripted{through}: {fault.story}"))
    found += _runs(result)
    found += _decisions(result, history)
    for name, prefix in ((MODEL, ""), (SECOND, f"{SECOND}: ")):
        for version in history.versions(name):
            told = [(version.decided, str(version.fate), version.info["verdict"])]
            if "won" in version.info:
                told.insert(0, (version.at, "shadow", version.info["won"]))
            found += [Event(at.date(), what, prefix + said, version.version) for at, what, said in told]
    for model in result.project.models:
        found += _falls(model, history, "" if model.name == MODEL else f"{model.name}: ")
    order = list(STYLES)
    return sorted(found, key=lambda e: (e.day, order.index(e.what)))


def _falls(model: Model, history: History, prefix: str) -> list[Event]:
    """Each run of windows in which the accuracy check failed: what rose, and the likeliest cause."""
    failed = [kept.verdict for kept in history.verdicts(performance_name(model), status="failed", detector="accuracy")]
    return [Event(f.failed.start.date(), "fell", prefix + f.sentence) for f in fall_stories(model, history, failed)]


def _runs(result: Result) -> list[Event]:
    """Blocked predictions, and the days on which they followed."""
    found, blocked = [], set[str]()
    for day, run in result.runs:
        if run.job != f"{FAMILY}_daily":
            continue
        failed = [e for e in run.evaluations if not e.passed and e.severity.value == "ERROR"]
        if not run.success:
            said = "; ".join(f"{e.check_name}: {e.description}" for e in failed if e.check_name != "accuracy")
            if run.partition not in blocked:
                found.append(
                    Event(day, "blocked", f"predictions of {run.partition}: {said or '; '.join(run.failures)}")
                )
            blocked.add(run.partition)
        elif run.partition in blocked and any("predictions" in e.asset_key.path for e in run.evaluations):
            blocked.discard(run.partition)
            found.append(Event(day, "recovered", f"{run.partition} delivered again: checks pass, predictions followed"))
    return found


def _decisions(result: Result, history: History) -> list[Event]:
    """The retraining policy's answers, each row of equal answers once."""
    found: list[Event] = []
    for name, prefix in ((MODEL, ""), (SECOND, f"{SECOND}: ")):
        last = ("", "")
        for decision in history.decisions(name):
            said = (decision.answer, decision.trigger)
            telling = decision.trigger not in ("", "shadow")  # a time in shadow is told with its version
            if said != last and decision.at.date() <= result.last and telling:
                found.append(Event(decision.at.date(), decision.answer, prefix + decision.reason))
            last = said
    return found


def exchanges(result: Result, model: Model, engine: Engine, history: History, tracking: Tracking) -> list[Exchange]:
    """Every promotion after the first, with errors before and after it."""
    promotions = history.promotions(model.name)
    found = []
    for old, new in pairwise(promotions):
        day = new.at.date()
        before = Window(instant(day) - AROUND * DAY, instant(day))
        end = min(instant(day) + AROUND * DAY, instant(result.last))
        if end <= instant(day) + DAY:
            continue
        after = Window(instant(day) + DAY, end)
        errors = [_error(model, engine, tracking, v, w) for v, w in ((old, before), (new, after), (old, after))]
        found.append(Exchange(day, old.version, new.version, *errors))
    return found


def _error(model: Model, engine: Engine, tracking: Tracking, version: StoredVersion | object, window: Window) -> float:
    """Mean absolute error of a version on a window's flights, in minutes."""
    number = getattr(version, "version", "")
    assert model.predict is not None
    estimator = tracking.load(tracking.version(model.name, number))
    rows = engine.fetch(model.features, window).merge(
        engine.fetch(model.actuals, window)[[*model.actuals.keys, model.actual]], on=list(model.actuals.keys)
    )
    rows = rows[rows[model.actual].notna()]
    if rows.empty:
        raise TrackingError(f"no flight with a known delay in {window}")
    return float(np.mean(np.abs(model.predict(estimator, rows) - rows[model.actual])))


def show(console: Console, told: list[Event], swapped: list[Exchange], result: Result) -> None:
    """The tables at the end of the demo."""
    table = RichTable(
        title=f"What happened, {result.first:%d %B} to {result.last:%d %B %Y}", title_justify="left", show_lines=False
    )
    table.add_column("day", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("version", justify="right")
    table.add_column("", overflow="fold")
    for event in told:
        style = STYLES[event.what]
        table.add_row(event.day.isoformat(), Text(event.what, style), event.version, Text(event.text))
    console.print(table)
    for what in dict.fromkeys(event.what for event in told):
        console.print(Text.assemble("  ", (f"{what:<10}", STYLES[what]), MEANS[what]))
    if swapped:
        errors = RichTable(title="New versions: mean absolute error in minutes", title_justify="left")
        for name in ("day", "version", "old one, 14 days before", "new one, 14 days after", "old one, same days after"):
            errors.add_column(name, justify="right")
        for s in swapped:
            errors.add_row(
                s.day.isoformat(), f"{s.old} → {s.new}", f"{s.before:.1f}", f"{s.after:.1f}", f"{s.instead:.1f}"
            )
        console.print(errors)


def alarms(result: Result, history: History) -> Counter[str]:
    """Failed windows of the features table by kind of day: `scripted`, `error`, `warn`; superseded verdicts count too."""
    counted: Counter[str] = Counter()
    seen: set[tuple[date, str]] = set()
    since, until = instant(result.first), instant(result.last + timedelta(days=1))
    for stored in history.verdicts("flights.features", since=since, until=until, status="failed", live=False):
        day = stored.verdict.window.start.date()
        kind = "scripted" if fault_on(day) else stored.verdict.severity
        if (day, kind) not in seen:
            seen.add((day, kind))
            counted[kind] += 1
    return counted
