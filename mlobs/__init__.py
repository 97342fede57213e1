"""mlobs: ML observability made of Dagster's own parts. This file holds the public names and nothing else.

Names are imported when they are first used, so that `import mlobs` is quick and loads neither Dagster nor MLflow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlobs.alerts import Route
    from mlobs.detectors import FreshnessMonitor, Range, TableMonitor, Verdict, drift, expected_range
    from mlobs.errors import MlobsError
    from mlobs.history import History
    from mlobs.metrics.profiles import Profile
    from mlobs.monitor import Monitoring
    from mlobs.orchestration import build_definitions
    from mlobs.orchestration.component import ModelMonitor
    from mlobs.profiling import Reference, explain_sql, profile, profile_windows
    from mlobs.project import Project
    from mlobs.spec import (
        Accuracy,
        Drift,
        Field,
        FieldHealth,
        Freshness,
        Mix,
        Model,
        Monitor,
        Retraining,
        Schema,
        Table,
        Volume,
    )
    from mlobs.windows import Window

_HOMES = {
    "mlobs.alerts": ("Route",),
    "mlobs.detectors": ("FreshnessMonitor", "Range", "TableMonitor", "Verdict", "drift", "expected_range"),
    "mlobs.errors": ("MlobsError",),
    "mlobs.history": ("History",),
    "mlobs.metrics.profiles": ("Profile",),
    "mlobs.monitor": ("Monitoring",),
    "mlobs.orchestration": ("build_definitions",),
    "mlobs.orchestration.component": ("ModelMonitor",),
    "mlobs.profiling": ("Reference", "explain_sql", "profile", "profile_windows"),
    "mlobs.project": ("Project",),
    "mlobs.spec": (
        "Accuracy", "Drift", "Field", "FieldHealth", "Freshness", "Mix", "Model", "Monitor", "Retraining", "Schema",
        "Table", "Volume",
    ),
    "mlobs.windows": ("Window",),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "Accuracy",
    "Drift",
    "Field",
    "FieldHealth",
    "Freshness",
    "FreshnessMonitor",
    "History",
    "Mix",
    "MlobsError",
    "Model",
    "ModelMonitor",
    "Monitor",
    "Monitoring",
    "Profile",
    "Project",
    "Range",
    "Reference",
    "Retraining",
    "Route",
    "Schema",
    "Table",
    "TableMonitor",
    "Verdict",
    "Volume",
    "Window",
    "build_definitions",
    "drift",
    "expected_range",
    "explain_sql",
    "profile",
    "profile_windows",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from mlobs.errors import nearest

        raise AttributeError(f"mlobs has no {name!r}; {nearest(name, _HOME)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
