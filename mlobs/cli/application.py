"""The application that commands register with: how errors, Ctrl-C and options that all commands share are handled.

Imports stay light, so that `mlobs --help` is quick: what a command works with is imported when it runs.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mlobs.cli import output

if TYPE_CHECKING:
    from mlobs.project import Project
    from mlobs.spec import Table
    from mlobs.windows import Window

HELP = """ML observability made of Dagster's own parts.

Commands work on the project named by -d, MLOBS_PROJECT, or \\[tool.mlobs] in pyproject.toml.

Exit status: 0 fine, 1 a check failed, 2 something to mend, 3 a bug, 130 interrupted.
"""
EPILOG = "First steps: mlobs init  ·  mlobs doctor  ·  mlobs validate  ·  mlobs status"


PANELS = {
    "Begin": ("init", "demo", "doctor", "validate"),
    "Look": ("status", "report", "incidents", "versions", "profile", "explain-sql"),
    "Do": ("check", "backfill", "train", "rollback"),
    "Answer": ("ack", "expected", "mute"),
}
"""Commands in the order `--help` shows them, under these headings."""


class Commands(TyperGroup):
    """Turns errors raised on purpose into one message and status 2, Ctrl-C into status 130, and bugs into status 3."""

    def list_commands(self, ctx: Any) -> list[str]:
        order = [name for names in PANELS.values() for name in names]
        return sorted(super().list_commands(ctx), key=lambda name: order.index(name) if name in order else len(order))

    def invoke(self, ctx: Any) -> Any:
        with _interruptible() as interrupted:
            try:
                return super().invoke(ctx)
            except (Exception, KeyboardInterrupt) as error:
                if interrupted or isinstance(error, KeyboardInterrupt):
                    output.complain("interrupted; windows that were finished are kept, run it again to go on")
                    raise typer.Exit(output.INTERRUPTED) from None
                _leave(error)
                raise


def _leave(error: Exception | KeyboardInterrupt) -> None:
    """Says what went wrong and leaves with the right status; returns for what the framework knows how to handle."""
    from mlobs.errors import MlobsError

    if isinstance(error, MlobsError):
        output.complain(str(error))
        raise typer.Exit(output.MISTAKE) from error
    if hasattr(error, "exit_code") or isinstance(error, (typer.Abort, OSError)):
        return  # a usage error, an exit or a closed pipe
    traceback.print_exception(error, limit=-8)  # the frames of the framework say nothing
    output.complain("this is a bug in mlobs, or in the project's own functions; the lines above say where")
    raise typer.Exit(output.BUG) from error


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Yields a list that holds Ctrl-C once it came: libraries in the middle of a query may raise their own error for it."""
    came: list[int] = []

    def note(number: int, frame: Any) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


app = typer.Typer(
    name="mlobs",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Definitions = Annotated[
    str | None,
    typer.Option(
        "--definitions",
        "-d",
        envvar="MLOBS_PROJECT",
        metavar="MODULE:NAME",
        help="The mlobs.Project to work on.",
        rich_help_panel="Project",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
AnyTable = Annotated[str, typer.Argument(metavar="TABLE", help="A table of the project, as schema.name or name.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the project.")]
OneWindow = Annotated[
    str | None,
    typer.Option(
        "--window", "-w", metavar="START", help="Start of the window, such as 2013-05-01; the newest if left out."
    ),
]

Now = Annotated[
    str | None,
    typer.Option(
        "--now", metavar="TIME", help="Act as of this time; the project's clock if left out.", rich_help_panel="Project"
    ),
]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; your login if left out.")]
Note = Annotated[str, typer.Option("--note", "-n", help="Why, for the record.")]


def person(by: str) -> str:
    """Who acts: as said, else the login.

    Raises:
        MlobsError: when neither is known.
    """
    import getpass

    from mlobs.errors import MlobsError

    try:
        return by.strip() or getpass.getuser()
    except (OSError, KeyError) as error:
        raise MlobsError("who does this? Your login is unknown here: give --by NAME") from error


def examples(*lines: str) -> str:
    """An epilog that shows a command in use.

    >>> examples("mlobs status")
    'Example: mlobs status'
    """
    return ("Example: " if len(lines) == 1 else "Examples: ") + "\n\n".join(lines)


def project_of(definitions: str | None) -> Project:
    """The project that the options, the environment or pyproject.toml name."""
    from mlobs.project import load_project

    return load_project(definitions)


def now_of(project: Project, said: str | None = None) -> datetime:
    """The time said, or the project's own, or that of this machine."""
    from mlobs.windows import instant

    if said:
        return instant(said)
    return instant(project.clock()) if project.clock else datetime.now(UTC)


def window_at(table: Table, text: str) -> Window:
    """The window of `table` that holds the instant `text`, on the table's own cadence.

    Raises:
        WindowError: when `text` is no instant.
    """
    from mlobs.windows import Window, instant

    moment = instant(text)
    origin = table.start or datetime(1970, 1, 1, tzinfo=UTC)
    start = origin + (moment - origin) // table.cadence * table.cadence
    return Window(start, start + table.cadence)


def newest_window(table: Table, now: datetime) -> Window:
    """The newest window of `table` that has ended by `now`."""
    from mlobs.windows import Window

    end = min(now, table.end) if table.end else now
    origin = table.start or datetime(1970, 1, 1, tzinfo=UTC)
    start = origin + ((end - origin) // table.cadence - 1) * table.cadence
    return Window(start, start + table.cadence)


def _version(asked: bool) -> None:
    if asked:
        from mlobs import __version__

        print(f"mlobs {__version__}")
        raise typer.Exit


@app.callback(help=HELP, epilog=EPILOG)
def main(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """See HELP; the group's own options are handled by their callbacks."""
    if sys.stdout.encoding and sys.stdout.encoding.lower() in ("ascii", "latin-1", "us-ascii"):
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
