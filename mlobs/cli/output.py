"""How commands speak: tables for people, JSON for machines, errors on stderr; colour only on a terminal."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

FINE, CHECKS_FAILED, MISTAKE, BUG, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit statuses: all fine, a check failed, the user must mend something, a bug, Ctrl-C."""

PIPED_WIDTH = 160
STYLES = {
    "passed": "green",
    "failed": "bold red",
    "critical": "bold white on red",
    "error": "bold red",
    "warn": "yellow",
    "warning": "yellow",
    "learning": "dim",
    "pending": "magenta",
    "retrain": "green",
    "promoted": "green",
    "hold": "yellow",
    "refused": "red",
    "open": "bold red",
    "reopened": "bold red",
    "acknowledged": "magenta",
    "expected": "magenta",
    "resolved": "green",
    "ok": "green",
    "missing": "yellow",
    "broken": "bold red",
    "champion": "bold green",
    "fine": "green",
    "labels pending": "magenta",
}


def console(stderr: bool = False) -> Console:
    """A console on stdout (or stderr); wide and plain when it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty() and stderr)


def say(text: str) -> None:
    """One plain line on stdout; nothing in it is markup."""
    console().print(text, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """One dim line on stderr: progress and hints that a pipe must not see."""
    console(stderr=True).print(text, style="dim", markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """One clear message on stderr."""
    from rich.text import Text

    line = Text("error: ", style="bold red")
    line.append(text, style="not bold default")
    console(stderr=True).print(line, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """A table with a title; cells are text, `right` names the columns that are set flush right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(columns),
    )
    for column in columns:
        shown.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(str(cell), style=STYLES.get(str(cell), "")) for cell in row))
    console().print(shown)


def as_json(content: Any) -> None:
    """Content as JSON: instants in ISO 8601, NaN and infinities as null."""
    print(json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "start") and hasattr(value, "end"):
        return {"start": value.start.isoformat(), "end": value.end.isoformat()}
    return str(value)


@contextmanager
def progress(text: str, total: int) -> Iterator[Any]:
    """A progress bar on a terminal's stderr; yields a function to call once per step done."""
    shown = console(stderr=True)
    if not shown.is_terminal or total < 2:
        yield lambda: None
        return
    from rich.progress import Progress

    with Progress(console=shown, transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)
