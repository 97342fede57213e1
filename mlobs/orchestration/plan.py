"""What should run when: run requests as pure functions of declarations and instants.

Schedules and sensors only fetch facts (the clock, arrivals, what is broken) and pass on what these functions return.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from mlobs.orchestration.calendar import Family
from mlobs.orchestration.deployment import Deployment
from mlobs.orchestration.runs import PARTITION, WINDOW
from mlobs.orchestration.specs import accuracy_key, table_checks
from mlobs.spec import Model, Table
from mlobs.windows import Window


@dataclass(frozen=True)
class Target:
    """What one run goes through in one window: assets to make and checks to evaluate."""

    window: Window
    assets: tuple[dg.AssetKey, ...]
    checks: tuple[dg.AssetCheckKey, ...]


def due(deployment: Deployment, family: Family, now: datetime) -> list[Target]:
    """What is due at `now`, one target per window.

    Features and predictions of the window that holds `now`; actuals and performance of the newest window whose labels
    are mature. Tables that are filled elsewhere, and what hangs on them, wait for their arrival instead.
    """
    wanted: dict[Window, list[tuple[Model, str]]] = {}
    current = family.calendar.at(now)
    for model in family.models:
        if deployment.produced(model.features):
            wanted.setdefault(current, []).append((model, "features"))
        if deployment.produced(model.actuals):
            learned = model.accuracy is not None and model.accuracy.maturity is None
            known = deployment.monitoring.settled(model, now) if learned else model
            wanted.setdefault(mature_window(family, known, now), []).append((model, "actuals"))
    return [
        _target(deployment, family, window, wanted[window])
        for window in sorted(wanted)
        if family.calendar.holds(window)
    ]


def mature_window(family: Family, model: Model, now: datetime) -> Window:
    """The newest window whose labels are mature at `now`."""
    maturity = (model.accuracy.maturity if model.accuracy else None) or timedelta(0)
    last = family.calendar.at(now - maturity)
    return last.shifted(-family.calendar.cadence)


def after_arrival(
    deployment: Deployment, family: Family, table: Table, window: Window, scored: Iterable[Model] = ()
) -> Target:
    """What follows when a window of a table arrives, for the first time or again.

    Features are followed by predictions, actuals by performance. `scored` names the models whose performance in this
    window was measured before and must be measured again.
    """
    again = set(scored)
    steps = [(model, role) for model, role in deployment.users(table).items()]
    steps += [(model, "performance") for model in family.models if model in again]
    return _target(deployment, family, window, steps)


def _target(deployment: Deployment, family: Family, window: Window, steps: Sequence[tuple[Model, str]]) -> Target:
    """Tables and assets of (model, role) steps with what follows them; each key once."""
    assets: dict[dg.AssetKey, None] = {}
    checks: dict[dg.AssetCheckKey, None] = {}

    def add_table(table: Table) -> None:
        if deployment.produced(table):
            assets[deployment.table_key(table)] = None
        for spec in table_checks(deployment, family, table):
            checks[spec.key] = None

    for model, role in steps:
        if role in ("features", "predictions", "actuals"):
            add_table(model.tables[role])
        if role == "features" and deployment.produced(model.predictions):
            add_table(model.predictions)
        if role in ("actuals", "performance"):
            assets[deployment.model_key(model, "performance")] = None
            if model.accuracy is not None:
                checks[accuracy_key(deployment, model)] = None
    return Target(window, tuple(assets), tuple(checks))


def request(
    family: Family, target: Target, job: str, *, run_key: str | None = None, tags: dict[str, str] | None = None
) -> dg.RunRequest:
    """A run request for a target. Checks alone take their partition from a tag: Dagster finds no other way for them."""
    key = family.calendar.key(target.window)
    return dg.RunRequest(
        run_key=run_key,
        job_name=job,
        partition_key=key if target.assets else None,
        tags={WINDOW: key, **({} if target.assets else {PARTITION: key}), **(tags or {})},
        asset_selection=list(target.assets) if target.assets else None,
        asset_check_keys=list(target.checks),
    )
