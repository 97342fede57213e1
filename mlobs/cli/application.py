"""The application that commands register with: how errors, Ctrl-C and options that all commands share are handled.

Imports stay light, so that `mlobs --help` is quick: what a command works with is imported when it runs.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mlobs.cli import output

if TYPE_CHECKING:
    from mlobs.project import Opened, Project
    from mlobs.spec import Table
    from mlobs.windows import Window

HELP = """ML observability made of Dagster's own parts.

Commands work on the project named by -d, MLOBS_PROJECT, or \\[tool.mlobs] in pyproject.toml.

Exit status: 0 fine, 1 a check failed, 2 something to mend, 130 interrupted.
"""
EPILOG = "First steps: mlobs init  ·  mlobs doctor  ·  mlobs validate  ·  mlobs status"


class Commands(TyperGroup):
    """Turns errors raised on purpose into one message and status 2, and Ctrl-C into status 130."""

    def invoke(self, ctx: Any) -> Any:
        from mlobs.errors import MlobsError

        try:
            return super().invoke(ctx)
        except MlobsError as error:
            output.complain(str(error))
            raise typer.Exit(output.MISTAKE) from error
        except KeyboardInterrupt:
            output.complain("interrupted; windows that were finished are kept, run it again to go on")
            raise typer.Exit(output.INTERRUPTED) from None


app = typer.Typer(
    name="mlobs",
    cls=Commands,
    help=HELP,
    epilog=EPILOG,
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


def now_of(project: Project) -> datetime:
    """The project's own time, or the time of this machine."""
    from mlobs.windows import instant

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


def newest_window(opened: Opened, table: Table, now: datetime) -> Window:
    """The newest window of `table` that has ended by `now`."""
    end = min(now, table.end) if table.end else now
    origin = table.start or datetime(1970, 1, 1, tzinfo=UTC)
    from mlobs.windows import Window

    start = origin + ((end - origin) // table.cadence - 1) * table.cadence
    return Window(start, start + table.cadence)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"mlobs {version('mlobs')}")
        except PackageNotFoundError:
            print("mlobs (run from its source folder, not installed)")
        raise typer.Exit


@app.callback()
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
