"""The demo as a project: both models, and the addresses of what they live on, below one folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mlobs.alerts import Route
from mlobs.demo import arrival_delay, late_arrival, tables
from mlobs.demo.clock import ReplayClock
from mlobs.demo.story import Source
from mlobs.project import Project
from mlobs.spec import Model

RECEIVER = "MLOBS_DEMO_ALERTS"
"""Environment variable with the URL that alerts go to (any Apprise URL); without it they are only recorded."""


def models(source: Source) -> tuple[Model, ...]:
    """Both models of the demo: they share the table of features and that of actuals."""
    features, actuals = tables.features(source), tables.actuals(source)
    return arrival_delay.model(features, actuals), late_arrival.model(features, actuals)


def project(folder: Path | str | None = None, clock: Callable[[], datetime] | None = None) -> Project:
    """The demo as a project below `folder` (by default what MLOBS_DEMO says, else `demo_output`)."""
    root = Path(folder or os.environ.get("MLOBS_DEMO") or "demo_output").absolute()
    now = clock or ReplayClock(root / "clock.json")
    routes = (Route(name="demo", url_env=RECEIVER),) if os.environ.get(RECEIVER) else ()
    return Project(
        models=models(Source(now)),
        warehouse="duckdb:///warehouse.duckdb",
        history="sqlite:///history.db",
        tracking="sqlite:///mlflow.db",
        routes=routes,
        report_dir="report",
        clock=now,
        root=root,
    )
