"""What is recorded of a training, and what the registry knows of a version. Plain data; no MLflow here."""

from __future__ import annotations

import contextlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from typing import Any

from mlobs.windows import Window, instant

TAG = "mlobs."
"""Prefix of the tags that mlobs sets."""

_ENVIRONMENT = ("mlobs", "scikit-learn", "skops", "numpy", "pandas", "mlflow", "mlflow-skinny")


@dataclass(frozen=True)
class Training:
    """What is recorded of one training beside the model itself.

    Attributes:
        window: the training data's window; `fingerprint` of its rows, `rows` their number, `excluded` what was left out.
        at: data time of the training.
        params: settings, as text or numbers.
        metrics: cross-validated metrics and others, one value each.
        folds: one mapping of metrics a fold, oldest fold first.
        importances: input -> permutation importance (rise of the error when the input is shuffled).
        cv_error: cross-validated error in the watched metric; `metric` is its name.
        baseline: the naive prediction (training median, class prior, commonest class).
        fit_seconds, score_seconds: wall time of the fit, and of scoring the held-out rows.
        cause: what called for it (see `Decision.cause`), `reason` in words.
    """

    window: Window
    fingerprint: str
    rows: int
    at: datetime
    metric: str
    cv_error: float
    baseline: float | str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    folds: Sequence[Mapping[str, float]] = ()
    importances: Mapping[str, float] = field(default_factory=dict)
    excluded: Sequence[Window] = ()
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    cause: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Version:
    """A registered model version.

    Attributes:
        model, version: registered name and number (as text).
        run_id: its MLflow run.
        source: where its files lie.
        aliases: `champion`, `challenger` and whatever else was set.
        tags: audit tags without the `mlobs.` prefix: window_start, window_end, fingerprint, trained_at, cv_error, metric,
            baseline, cause, promoted_at, promoted_by, promoted_because ...
    """

    model: str
    version: str
    run_id: str
    source: str
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def window(self) -> Window | None:
        """The window of its training data; None for versions that mlobs didn't train."""
        if "window_start" not in self.tags or "window_end" not in self.tags:
            return None
        return Window(self.tags["window_start"], self.tags["window_end"])

    @property
    def trained_at(self) -> datetime | None:
        """Data time of the training."""
        return instant(self.tags["trained_at"]) if "trained_at" in self.tags else None

    @property
    def cv_error(self) -> float | None:
        """Cross-validated error in the watched metric."""
        return float(self.tags["cv_error"]) if "cv_error" in self.tags else None

    @property
    def baseline(self) -> float | str | None:
        """The naive prediction."""
        return json.loads(self.tags["baseline"]) if "baseline" in self.tags else None


def version_of(found: Any) -> Version:
    tags = {name.removeprefix(TAG): value for name, value in found.tags.items()}
    return Version(
        found.name, str(found.version), found.run_id or "", found.source, tuple(sorted(found.aliases or ())), tags
    )


def audit_tags(training: Training) -> dict[str, str]:
    return {
        "window_start": training.window.start.isoformat(),
        "window_end": training.window.end.isoformat(),
        "fingerprint": training.fingerprint,
        "rows": str(training.rows),
        "trained_at": training.at.isoformat(),
        "metric": training.metric,
        "cv_error": repr(float(training.cv_error)),
        "baseline": json.dumps(training.baseline),
        "importances": json.dumps({name: round(value, 6) for name, value in training.importances.items()}),
        "excluded": json.dumps([w.key for w in training.excluded]),
        "cause": training.cause,
        "reason": training.reason,
    }


def environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform(), "git_commit": _git_commit()}
    for package in _ENVIRONMENT:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[f"package.{package}"] = metadata.version(package)
    return {name: value for name, value in found.items() if value}


def _git_commit() -> str:
    """The commit of the working directory, "" outside a repository or without git."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def changed(
    before: tuple[Mapping[str, str], Mapping[str, str]] | None, after: tuple[Mapping[str, str], Mapping[str, str]]
) -> str:
    if before is None:
        return ""
    notes = []
    for name in sorted(set(before[0]) | set(after[0])):
        old, new = before[0].get(name, "none"), after[0].get(name, "none")
        if old != new:
            notes.append(f"{name}: {old} -> {new}")
    for name, word in (("fingerprint", "data"), ("excluded", "excluded windows")):
        if before[1].get(name) != after[1].get(name):
            notes.append(word)
    return "; ".join(notes)
