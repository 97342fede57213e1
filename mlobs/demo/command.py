"""`mlobs demo`: the replay with a progress bar, what happened as a table, the report, and how to open Dagster on it."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mlobs.demo import summary
from mlobs.demo.replay import MARKER, Result, last_day, replay
from mlobs.errors import MlobsError, WarehouseError

SPOKEN = 20
"""Where no bar can be drawn (a pipe, CI), a line is printed every so many days."""


def run(output: Path, until: str | None, days: int | None, console: Console) -> dict[str, Any]:
    """Replay into `output` and say what happened; returns the same for machines.

    Raises:
        MlobsError: bad dates, missing data, a folder that can't be used, or a replay that can't start.
    """
    last = last_day(until, days)
    _collect_rarely()
    bar = Progress(
        TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    console.print(f"Replaying JetBlue's 2013 up to {last:%d %B} through Dagster, in {output.absolute()}")
    with bar:
        task = bar.add_task("starting", total=None)

        def advance(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=of, description=what)
            if not console.is_terminal and done % SPOKEN == 0:
                console.print(f"{done} of {of}: {what}")

        result = replay(output, last, progress=advance)
    said = tell(result, console)
    console.print(f"Took {result.seconds:.0f} s. Open the report in a browser: {said['report'][-1]}", soft_wrap=True)
    console.print(f"The same history in Dagster's UI: [bold]{ui_hint(output)}[/bold]", soft_wrap=True)
    gc.freeze()  # nothing to look through when the process ends
    return said


def tell(result: Result, console: Console) -> dict[str, Any]:
    """Says what happened in a replay and writes its report; returns the same for machines."""
    with result.project.open() as opened:
        model = result.project.models[0]
        told = summary.events(result, opened.history)
        swapped = summary.exchanges(result, model, opened.engine, opened.history, opened.tracking)
        summary.show(console, told, swapped, result)
        counted = summary.alarms(result, opened.history)
        from mlobs.report import write

        assert result.project.clock is not None
        pages = write(result.project.models, opened.history, result.project.report_folder, result.project.clock())
    console.print(
        f"Days on which the features alarmed: {counted['scripted']} scripted, {counted['error']} as data faults and"
        f" {counted['warn']} as changes on other days. Alerts sent: {len(result.messages)}."
    )
    return {
        "first": result.first,
        "last": result.last,
        "events": [asdict(event) for event in told],
        "new_versions": [asdict(exchange) for exchange in swapped],
        "alarm_days": {kind: counted[kind] for kind in ("scripted", "error", "warn")},
        "messages": result.messages,
        "report": pages,
        "seconds": result.seconds,
    }


def _collect_rarely() -> None:
    """Garbage is collected seldom: a process that has imported Dagster and MLflow spends a tenth of its time on it."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def ui_hint(output: Path) -> str:
    """The command that opens the Dagster UI on a replayed folder."""
    return f"mlobs demo --ui --output {output}" if not Path("Makefile").exists() else "make ui"


def ui(output: Path, port: int) -> int:
    """Open Dagster (webserver and daemon) on a replayed folder; returns its exit status.

    Raises:
        WarehouseError: there is no replay in that folder.
        MlobsError: Dagster is not installed beside this Python.
    """
    folder = output.absolute()
    if not (folder / MARKER).exists():
        raise WarehouseError(f"no replay in {folder}: run the demo first (`make demo` or `mlobs demo`)")
    dagster = shutil.which(
        "dagster", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if dagster is None:
        raise MlobsError(
            "the command `dagster` is not installed beside this Python: pip install dagster dagster-webserver"
        )
    environment = os.environ | {"DAGSTER_HOME": str(folder / "dagster"), "MLOBS_DEMO": str(folder)}
    workspace = folder / "workspace.yaml"
    workspace.write_text(
        "load_from: [{python_module: {module_name: mlobs.demo.definitions, location_name: mlobs}}]\n", encoding="utf-8"
    )
    try:
        return subprocess.run(
            [dagster, "dev", "-w", str(workspace), "-p", str(port)], env=environment, check=False
        ).returncode
    except KeyboardInterrupt:
        return 0
