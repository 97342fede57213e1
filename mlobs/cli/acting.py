"""Commands that do something and remember it: check, backfill, train, rollback."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlobs.cli import output
from mlobs.cli.application import (
    By,
    Definitions,
    Json,
    ModelName,
    Note,
    Now,
    OneWindow,
    app,
    examples,
    newest_window,
    now_of,
    person,
    project_of,
    window_at,
)

if TYPE_CHECKING:
    from datetime import datetime

    from mlobs.detectors.verdict import Verdict
    from mlobs.project import Opened, Project
    from mlobs.spec import Model, Table
    from mlobs.windows import Window


class FailOn(StrEnum):
    """Which verdicts make the exit status 1."""

    error = "error"
    warn = "warn"
    never = "never"


FailOnOption = Annotated[FailOn, typer.Option("--fail-on", help="Severity from which the exit status is 1.")]


def _targets(project: Project, name: str | None) -> tuple[list[Table], list[Model]]:
    """The tables and models that a name means: one of either, or everything."""
    from mlobs.errors import SpecError, nearest

    if name is None:
        return list(project.tables.values()), list(project.models)
    if name in [model.name for model in project.models]:
        return [], [project.model(name)]
    known = [*project.tables, *(model.name for model in project.models)]
    if name not in known and name not in [table.name for table in project.tables.values()]:
        raise SpecError(f"no table or model {name!r} in this project; {nearest(name, known)}")
    return [project.table(name)], []


@app.command(
    rich_help_panel="Do", epilog=examples("mlobs check", "mlobs check orders --window 2024-03-20 --fail-on warn")
)
def check(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[TABLE|MODEL]", help="A table, or a model for its accuracy; all if left out."),
    ] = None,
    window: OneWindow = None,
    fail_on: FailOnOption = FailOn.error,
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Judge a window now and remember the verdicts. Status 1 when a check fails: made for CI."""
    project = project_of(definitions)
    tables, models = _targets(project, what)
    moment = now_of(project, now)
    verdicts: list[Verdict] = []
    with project.open() as opened, output.progress("checking", len(tables) + len(models)) as step:
        for table in tables:
            at = window_at(table, window) if window else newest_window(table, moment)
            if what is None and not opened.engine.exists(table):
                output.note(f"{table.id} is not in the warehouse yet; skipped")
            else:
                verdicts += opened.monitoring.check(table, at, moment)
            step()
        for model in models:
            at = window_at(model.predictions, window) if window else newest_window(model.predictions, moment)
            verdicts += opened.monitoring.score(model, at, moment)[0]
            step()
        _file(opened, moment)
    _tell(verdicts, json)
    _leave(verdicts, fail_on)


def _file(opened: Opened, now: datetime) -> None:
    """Groups what failed into incidents; what is said of it is sent by the alerts sensor, not from here."""
    from mlobs.incidents import update

    update(opened.history, opened.project.lineage(), now, models=opened.project.models)


def _tell(verdicts: Sequence[Verdict], json: bool) -> None:
    """What was judged: counts per check, and each failure with its reason."""
    from mlobs.report.wording import measured, span

    if json:
        output.as_json(
            [
                {
                    "table": v.table,
                    "window": v.window,
                    "check": v.detector,
                    "field": v.field,
                    "metric": v.metric,
                    "segment": v.segment,
                    "status": v.status,
                    "severity": v.severity,
                    "value": v.value,
                    "expected": {
                        "low": v.expected.low,
                        "high": v.expected.high,
                        "missing_windows": v.expected.learning,
                    },
                    "reason": v.reason,
                }
                for v in verdicts
                if v.status != "passed" or not v.field
            ]
        )
        return
    counts: dict[tuple[str, str, str], dict[str, int]] = {}
    for v in verdicts:
        found = counts.setdefault((v.table, v.window.key, v.detector), {})
        found[v.status] = found.get(v.status, 0) + 1
    rows = [
        (table, key, name, _overall(found), ", ".join(f"{n} {status}" for status, n in sorted(found.items())))
        for (table, key, name), found in counts.items()
    ]
    output.table("Checks", ("table", "window", "check", "result", "metrics"), rows)
    failed = sorted((v for v in verdicts if v.failed), key=lambda v: (v.severity != "error", v.table, v.field))
    if failed:
        cells = [
            (
                v.severity,
                v.field or v.segment or v.table,
                v.metric,
                measured(v.metric, v.value),
                span(v.metric, v.expected.low, v.expected.high),
                v.reason,
            )
            for v in failed
        ]
        output.table("Failures", ("severity", "field", "metric", "value", "expected", "why"), cells)


def _overall(found: dict[str, int]) -> str:
    return next((status for status in ("failed", "passed", "pending", "learning") if found.get(status)), "learning")


def _leave(verdicts: Sequence[Verdict], fail_on: FailOn) -> None:
    counted = {"error": ("error",), "warn": ("error", "warn"), "never": ()}[fail_on.value]
    if any(v.failed and v.severity in counted for v in verdicts):
        raise typer.Exit(output.CHECKS_FAILED)


@app.command(
    rich_help_panel="Do",
    epilog=examples(
        "mlobs backfill orders --from 2024-01-01 --to 2024-03-31", "mlobs backfill delivery_time --from 2024-03-01"
    ),
)
def backfill(
    what: Annotated[
        str, typer.Argument(metavar="TABLE|MODEL", help="A table, or a model for predictions and accuracy.")
    ],
    first: Annotated[str, typer.Option("--from", metavar="START", help="First window.")],
    last: Annotated[
        str | None, typer.Option("--to", metavar="START", help="Last window, included; the newest if left out.")
    ] = None,
    load: Annotated[bool, typer.Option(help="Load each window first, where the table has a load function.")] = True,
    fail_on: FailOnOption = FailOn.never,
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Load, judge and remember many windows, oldest first. Windows done before are done again, never doubled."""
    project = project_of(definitions)
    tables, models = _targets(project, what)
    moment = now_of(project, now)
    with project.open() as opened:
        if models:
            verdicts = _backfill_model(opened, models[0], first, last, moment)
        else:
            verdicts = _backfill_table(opened, tables[0], first, last, load, moment)
        _file(opened, moment)
    _tell_windows(what, verdicts, json)
    _leave([v for found in verdicts.values() for v in found], fail_on)


def _windows(table: Table, first: str, last: str | None, now: datetime) -> list[Window]:
    from mlobs.errors import WindowError
    from mlobs.windows import Window

    start = window_at(table, first)
    end = window_at(table, last) if last else newest_window(table, now)
    if end.start < start.start:
        raise WindowError(f"--from {start.key} lies after --to {end.key}: swap them")
    return list(Window(start.start, end.end).split(table.cadence))


def _backfill_table(
    opened: Opened, table: Table, first: str, last: str | None, load: bool, now: datetime
) -> dict[Window, list[Verdict]]:
    windows = _windows(table, first, last, now)
    if load and table.load is not None:
        with output.progress(f"loading {table.id}", len(windows)) as step:
            for window in windows:
                opened.monitoring.land(table, window, min(now, window.end))
                step()
    output.note(f"judging {len(windows)} windows of {table.id}")
    return opened.monitoring.backfill(table, windows, now)


def _backfill_model(
    opened: Opened, model: Model, first: str, last: str | None, now: datetime
) -> dict[Window, list[Verdict]]:
    """Predictions of the champion where the model predicts, then accuracy, window by window."""
    windows = _windows(model.predictions, first, last, now)
    champion = opened.tracking.champion(model.name) if model.predicts else None
    estimator = opened.tracking.load(champion) if champion else None
    expectation = opened.tracking.load_expectation(champion) if champion else None
    told: dict[Window, list[Verdict]] = {}
    with output.progress(f"predicting and scoring {model.name}", len(windows)) as step:
        for window in windows:
            if champion is not None and not opened.monitoring.blocked(model, window):
                opened.monitoring.predict(model, window, champion.version, estimator, min(now, window.end), expectation)
            told[window] = opened.monitoring.score(model, window, now)[0]
            step()
    return told


def _tell_windows(what: str, verdicts: dict[Window, list[Verdict]], json: bool) -> None:
    failures = {window: [v for v in found if v.failed] for window, found in verdicts.items()}
    if json:
        output.as_json(
            {
                "target": what,
                "windows": len(verdicts),
                "failed": {window.key: [v.reason for v in found] for window, found in failures.items() if found},
            }
        )
        return
    failed = {window: found for window, found in failures.items() if found}
    output.say(f"{what}: {len(verdicts)} windows judged, {len(failed)} with failures")
    rows = [
        (window.key, worst.severity, worst.field or worst.segment or worst.metric, worst.reason, str(len(found)))
        for window, found in failed.items()
        for worst in [min(found, key=lambda v: (v.severity != "error", -abs(v.score)))]
    ]
    if rows:
        output.table(
            "Windows with failures", ("window", "severity", "worst", "why", "metrics"), rows, right=("metrics",)
        )


@app.command(rich_help_panel="Do", epilog=examples("mlobs train delivery_time --note 'new fields'"))
def train(
    model: ModelName,
    note: Note = "",
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Train a challenger now, compare it with the champion, and promote or refuse it. Status 1 when refused.

    The same steps as the retraining job in Dagster. Held back when a data fault covers the training data.
    """
    from mlobs.retraining.run import retrain

    project = project_of(definitions)
    chosen = project.model(model)
    with project.open() as opened:
        outcome = retrain(
            opened.monitoring, opened.tracking, chosen, now_of(project, now), reason=note, progress=output.note
        )
    if json:
        output.as_json(
            {
                "model": chosen.name,
                "version": outcome.version.version,
                "promoted": outcome.promoted,
                "reason": outcome.reason,
                "metric": outcome.training.metric,
                "cv_error": outcome.training.cv_error,
                "rows": outcome.training.rows,
            }
        )
    else:
        answer = "is the champion" if outcome.promoted else "does not serve"
        output.say(f"{chosen.name}: version {outcome.version.version} {answer}: {outcome.reason}")
    if not outcome.promoted:
        raise typer.Exit(output.CHECKS_FAILED)


@app.command(
    rich_help_panel="Do",
    epilog=examples("mlobs rollback delivery_time --note 'worse on weekends'", "mlobs rollback delivery_time --to 3"),
)
def rollback(
    model: ModelName,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="The version; the champion before if left out.")
    ] = None,
    note: Note = "rollback",
    by: By = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Make an earlier version the champion again."""
    project = project_of(definitions)
    chosen = project.model(model)
    moment = now_of(project, now)
    with project.open() as opened:
        if not yes:
            wanted = f"version {to}" if to else "the one before it"  # the alias may be gone, and this sets it again
            typer.confirm(f"{chosen.name}: replace the champion by {wanted}?", abort=True, err=json)
        who = person(by)
        opened.history.check_writable()
        version = opened.tracking.rollback(chosen.name, by=who, at=moment, reason=note, to=to)
        opened.history.record_promotion(chosen.name, version.version, moment, who, note)
        if version.window is not None:
            windows = list(version.window.split(chosen.features.cadence))
            opened.monitoring.pin_reference(chosen, version.version, windows, moment)
    if json:
        told = {"model": chosen.name, "champion": version.version, "training_data": version.window}
        output.as_json(told | {"at": moment, "by": who, "note": note})
        return
    output.say(f"{chosen.name}: version {version.version} is the champion; drift is measured against its training data")
