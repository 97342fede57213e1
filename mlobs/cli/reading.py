"""Commands that only look: status, report, validate, profile, incidents, versions, explain-sql."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs.cli import output
from mlobs.cli.application import (
    AnyTable,
    Definitions,
    Json,
    ModelName,
    Now,
    OneWindow,
    app,
    examples,
    newest_window,
    now_of,
    project_of,
    window_at,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlobs.metrics.profiles import Profile
    from mlobs.project import Project
    from mlobs.report.content import Glance, ModelPage
    from mlobs.spec import Model, Table


@app.command(
    rich_help_panel="Look",
    epilog=examples("mlobs status", "mlobs status delivery_time", "mlobs status --exit-code --json"),
)
def status(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="One model, with notes; all if left out.")
    ] = None,
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Status 1 when a model needs attention, for scripts.")
    ] = False,
) -> None:
    """Every model on one screen, a line each: accuracy, data, freshness, incidents, retraining. One model: with notes."""
    project = project_of(definitions)
    models = [project.model(model)] if model is not None else list(project.models)
    pages = _pages(project, models, now_of(project, now))
    if json:
        output.as_json(
            [
                {
                    "model": page.name,
                    "champion": page.champion or None,
                    "state": page.state,
                    "as_of": page.now,
                    "checks": {
                        g.name.lower(): {"state": g.state, "value": g.value, "note": g.note} for g in page.glances
                    },
                    "accuracy_fell": [{"windows": fall.failed, "why": fall.sentence} for fall in page.accuracy.falls],
                }
                for page in pages
            ]
        )
    elif len(pages) == 1:
        _one_model(pages[0])
    else:
        _all_models(pages)
    if exit_code and any(page.state in ("error", "warn") for page in pages):
        raise typer.Exit(output.CHECKS_FAILED)


def _pages(project: Project, models: Sequence[Model], now: datetime) -> list[ModelPage]:
    """What the report's pages say, without what only drawings need."""
    from mlobs.report.collect import REACH, model_page
    from mlobs.report.tables import Tables

    with project.open() as opened:
        tables = Tables(opened.remembered, now - REACH, now, drawn=False)
        return [model_page(model, opened.remembered, now, project.lineage(), tables) for model in models]


def _one_model(page: ModelPage) -> None:
    """A model's five checks with their notes, and why its accuracy fell last if its check still fails."""
    from mlobs.report.wording import moment, state_word, stretch

    champion = f"champion version {page.champion}" if page.champion else "no version deployed"
    rows = [(g.name, state_word(g.state), g.value, g.note) for g in page.glances]
    title = f"{page.name} ({page.task}), {champion}, as of {moment(page.now)} UTC"
    output.table(title, ("", "state", "value", "note"), rows)
    if page.accuracy.falls and page.glances[0].state in ("error", "warn"):
        fall = page.accuracy.falls[0]
        output.say(f"Why accuracy fails in {stretch(fall.failed)}: {fall.sentence}")


def _all_models(pages: Sequence[ModelPage]) -> None:
    """A line for each model, those that need somebody first."""
    from mlobs.report.content import WORST_FIRST
    from mlobs.report.wording import moment, state_word

    ordered = sorted(pages, key=lambda page: (WORST_FIRST.index(page.state), page.name))
    rows = [
        (state_word(page.state), page.name, page.champion or "–", *(_cell(glance) for glance in page.glances))
        for page in ordered
    ]
    names = [glance.name.lower() for glance in pages[0].glances]
    output.table(f"Models, as of {moment(pages[0].now)} UTC", ("state", "model", "version", *names), rows)


def _cell(glance: Glance) -> str:
    """A check in a few words: its value, and its state where that is news."""
    from mlobs.report.wording import state_word

    return f"{glance.value} ({state_word(glance.state)})" if glance.state in ("error", "warn") else glance.value


@app.command(
    rich_help_panel="Look",
    epilog=examples("mlobs report", "mlobs report --output /srv/www/mlobs --model delivery_time"),
)
def report(
    now: Now = None,
    definitions: Definitions = None,
    folder: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write to; the project's report_dir if left out.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only this model; repeat it.")] = None,
    json: Json = False,
) -> None:
    """Write the HTML report: one self-contained file per model, and an index."""
    from mlobs.report import write

    project = project_of(definitions)
    models = [project.model(name) for name in model] if model else list(project.models)
    with project.open() as opened, output.progress("gathering the report", len(models)) as step:
        files = write(models, opened.remembered, folder or project.report_folder, now_of(project, now), step=step)
    if json:
        output.as_json({"files": files})
    else:
        for file in files:
            output.say(str(file))


@app.command(rich_help_panel="Begin", epilog=examples("mlobs validate", "mlobs validate --no-warehouse"))
def validate(
    definitions: Definitions = None,
    warehouse: Annotated[bool, typer.Option(help="Also look whether tables and columns exist.")] = True,
    json: Json = False,
) -> None:
    """Check the declarations, and their tables and columns against the warehouse. Status 1 when something is missing."""
    project = project_of(definitions)
    findings: list[tuple[str, str, str]] = []
    for model in project.models:
        fields = len(model.features.fields) or "all"
        findings.append(
            (f"model {model.name}", "ok", f"{model.task}, {fields} feature fields, {len(model.monitors)} monitors")
        )
    if warehouse:
        from mlobs.engines import Source

        with project.open() as opened:
            engine = opened.engine
            for table in project.tables.values():
                if not engine.exists(table):
                    made = _made_by(project, table)
                    findings.append(
                        (f"table {table.id}", "missing" if made else "broken", made or "not in the warehouse")
                    )
                    continue
                columns = engine.columns(Source.table(table.path))
                findings.append(_columns_finding(project, table, columns))
    if json:
        output.as_json([dict(zip(("what", "state", "detail"), found, strict=True)) for found in findings])
    else:
        output.table("Declarations", ("what", "state", "detail"), findings)
    if any(state == "broken" for _, state, _ in findings):
        raise typer.Exit(output.CHECKS_FAILED)


def _made_by(project: Any, table: Table) -> str:
    """Why a table need not exist yet."""
    if table.load is not None:
        return "not yet: its first load makes it"
    for model in project.models:
        if model.predictions.id == table.id and model.predicts:
            return "not yet: the first predictions make it"
    return ""


def _columns_finding(project: Any, table: Table, columns: dict[str, str]) -> tuple[str, str, str]:
    from mlobs.errors import nearest

    needed = dict.fromkeys((*table.keys, table.time, *(f.name for f in table.fields), *table.segments))
    for model in project.models:
        if model.predictions.id == table.id:
            needed |= dict.fromkeys((model.prediction, model.version))
        if model.actuals.id == table.id:
            needed |= dict.fromkeys((model.actual,))
        if model.features.id == table.id:
            needed |= dict.fromkeys(model.input_names)
    missing = [name for name in needed if name not in columns]
    if missing:
        told = "; ".join(f"no column {name!r}, {nearest(name, columns)}" for name in missing)
        return f"table {table.id}", "broken", told
    return f"table {table.id}", "ok", f"{len(columns)} columns"


@app.command(
    rich_help_panel="Look",
    epilog=examples("mlobs profile orders --window 2024-03-20", "mlobs profile flights.parquet --field dep_delay"),
)
def profile(
    what: Annotated[
        str, typer.Argument(metavar="TABLE|FILE", help="A table of the project, or a Parquet or CSV file.")
    ],
    window: OneWindow = None,
    field: Annotated[list[str] | None, typer.Option("--field", "-f", help="Only this field; repeat it.")] = None,
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Measure a table's window, or a file, and print its metrics. Nothing is remembered."""
    from mlobs.errors import SpecError, nearest
    from mlobs.report.wording import measured, metric_name

    taken, title, units = _profile(what, window, now, definitions)
    names = list(taken.fields)
    for name in field or ():
        if name not in names:
            raise SpecError(f"{what} has no field {name!r}; {nearest(name, names)}")
    rows = [m for m in taken.measurements() if (not field or m.field in field) and m.value == m.value]
    if json:
        output.as_json(
            {
                "table": taken.table or what,
                "window": taken.window,
                "rows": taken.rows,
                "metrics": [
                    {"field": m.field, "metric": m.metric, "segment": m.segment, "value": m.value, "rows": m.rows}
                    for m in rows
                ],
            }
        )
        return
    cells = [
        (
            m.field or "(table)",
            metric_name(m.metric) + (f" of {m.segment}" if m.segment else ""),
            measured(m.metric, m.value, units.get(m.field, "")),
        )
        for m in rows
    ]
    output.table(title, ("field", "metric", "value"), cells, right=("value",))


def _profile(
    what: str, window: str | None, now: str | None, definitions: str | None
) -> tuple[Profile, str, dict[str, str]]:
    """The profile of a file in the working directory, or of a table of the project."""
    from mlobs.errors import SpecError

    if Path(what).suffix or any(sign in what for sign in "*/\\"):
        from mlobs.profiling import profile as profile_data

        if (
            not any(sign in what for sign in "*?")
            and not Path(what).exists()
            and Path(what).suffix in (".parquet", ".csv")
        ):
            raise SpecError(f"file {what} doesn't exist")
        if Path(what).exists() or "*" in what:
            taken = profile_data(what)
            return taken, f"{what}: {taken.rows:,} rows", {}
    from mlobs.profiling import Reference, learn_reference, profile

    project = project_of(definitions)
    table = project.table(what)
    with project.open() as opened:
        chosen = window_at(table, window) if window else newest_window(table, now_of(project, now))
        file = project.history_file()
        pinned = opened.history.reference(table.id) if file is None or file.exists() else None
        if pinned is not None:
            reference = Reference.from_bytes(pinned.payload)
        else:
            reference = learn_reference(opened.engine, table, [chosen])
        taken = profile((opened.engine, table), reference=reference, window=chosen)
    units = {f.name: f.unit for f in table.fields}
    return taken, f"{table.id}, window {chosen}: {taken.rows:,} rows", units


@app.command("explain-sql", rich_help_panel="Look", epilog=examples("mlobs explain-sql orders --window 2024-03-20"))
def explain_sql(
    table: AnyTable, window: OneWindow = None, now: Now = None, definitions: Definitions = None, json: Json = False
) -> None:
    """Print the SQL that a check of the table runs, in the warehouse's own dialect."""
    from mlobs.profiling import Reference, learn_reference
    from mlobs.profiling import explain_sql as explained

    project = project_of(definitions)
    chosen = project.table(table)
    with project.open() as opened:
        at = window_at(chosen, window) if window else newest_window(chosen, now_of(project, now))
        file = project.history_file()
        pinned = opened.history.reference(chosen.id) if file is None or file.exists() else None
        reference = Reference.from_bytes(pinned.payload) if pinned else learn_reference(opened.engine, chosen, [at])
        sql = explained((opened.engine, chosen), [at], reference=reference)
        dialect = opened.engine.dialect
    if json:
        output.as_json({"table": chosen.id, "window": at, "dialect": dialect, "sql": sql})
    else:
        output.say(sql)


@app.command(rich_help_panel="Look", epilog=examples("mlobs versions delivery_time"))
def versions(model: ModelName, now: Now = None, definitions: Definitions = None, json: Json = False) -> None:
    """The versions of a model side by side: training data, errors, run time, what changed, who deployed which and why."""
    project = project_of(definitions)
    chosen = project.model(model)
    (page,) = _pages(project, [chosen], now_of(project, now))
    if json:
        output.as_json(
            [
                {"version": v.version, "champion": v.champion, "facts": dict(v.facts), "changed": list(v.changes)}
                for v in page.versions
            ]
        )
        return
    if not page.versions:
        output.say(f"no version of {chosen.name} has been trained yet")
        return
    names = list(dict.fromkeys(name for card in page.versions for name, _ in card.facts))
    columns = ["", *(f"version {v.version}" + (" (champion)" if v.champion else "") for v in page.versions)]
    rows = [[name, *(dict(v.facts).get(name, "–") for v in page.versions)] for name in names]
    rows.append(["Changed", *("\n".join(v.changes) or "–" for v in page.versions)])
    output.table(f"Versions of {chosen.name}", columns, rows)
