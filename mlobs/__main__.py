"""The program `mlobs`, also as `python -m mlobs`: Ctrl-C is quiet before anything else is imported."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Run the command line on this process's arguments, and leave with its exit status."""
    signal.signal(signal.SIGINT, _leave)
    from mlobs.cli import app

    app(prog_name="mlobs")


def _leave(number: int, frame: Any) -> None:
    """Leave at once with status 130: no command runs yet, or it has ended; while one runs, it has its own handler."""
    with suppress(OSError, RuntimeError, ValueError):  # closed, or interrupted in the middle of a write
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
