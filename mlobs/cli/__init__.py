"""The command line: `mlobs`. Commands register with the application when this package is imported; all imports are light."""

from __future__ import annotations

from mlobs.cli import acting, answering, reading, setup
from mlobs.cli.application import app

__all__ = ["acting", "answering", "app", "reading", "setup"]
