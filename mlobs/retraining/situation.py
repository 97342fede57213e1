"""Gathers from history the facts on which `decide` rests; reads only, and reads no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlobs.detectors.accuracy import ESTIMATED, performance_name
from mlobs.detectors.drift import is_far
from mlobs.detectors.verdict import Verdict
from mlobs.retraining.policy import Fault, Situation
from mlobs.retraining.training_set import newest_mature
from mlobs.spec import Model, Retraining, Table
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window, instant

if TYPE_CHECKING:
    from mlobs.history import History
    from mlobs.history.records import Feedback, StoredVersion

IMPORTANT_SHARE = 0.8
"""Important features are the fewest that together carry this share of the champion's permutation importance."""

DATA_METRICS = ("unusable_predictions", "unreadable_labels")
"""Accuracy verdicts that speak of broken rows; they call for a repair, not for training."""


def situation(
    model: Model,
    history: History,
    now: datetime,
    running: bool,
    manual: bool = False,
    external: str = "",
    signal: datetime | None = None,
) -> Situation:
    """What is known of a model at `now`.

    Args:
        running: whether a training run is under way.
        manual: a person asks for a training.
        external: why an outside signal asks for one (`newest_signal`), and `signal` when it did.
    """
    now = instant(now)
    policy = model.retraining or Retraining()
    champion = history.champion(model.name)
    versions = history.versions(model.name)
    end = newest_mature(model, now)
    start = end - policy.history if policy.history else model.features.start
    promoted = champion.at if champion else None
    failures, failure, judged = _failures(model, history, promoted)
    estimates, estimate, estimated = _failures(model, history, promoted, estimated=True)
    shadow, until = _shadow(versions)
    drifted, drift = _drift(model, history, champion.version if champion else "", versions, promoted)
    last_end = max((instant(v.info["window_end"]) for v in versions if "window_end" in v.info), default=None)
    return Situation(
        model=model.name,
        now=now,
        champion=champion.version if champion else "",
        running=running,
        manual=manual,
        external=external,
        signal=signal,
        shadow=shadow,
        shadow_until=until,
        shadow_over=until is not None and end >= until,
        estimates=estimates,
        estimate=estimate,
        estimated=estimated,
        failures=failures,
        failure=failure,
        drift_windows=drifted,
        drift=drift,
        judged=judged,
        faults=faults(model, history, start, now),
        newest=tuple(
            Window(end - (n + 1) * model.features.cadence, end - n * model.features.cadence)
            for n in range(policy.hold_windows - 1, -1, -1)
        ),
        trained=tuple(sorted({v.at for v in versions})),
        new_labels=_labels_since(model, history, last_end),
    )


def _shadow(versions: Sequence[StoredVersion]) -> tuple[str, datetime | None]:
    """The version that is watched in shadow, and the end of the last window it is watched on."""
    for version in reversed(versions):
        if version.info.get("shadow"):
            return version.version, instant(version.info["shadow"])
    return "", None


def faults(model: Model, history: History, since: datetime | None, now: datetime) -> tuple[Fault, ...]:
    """Data faults in the tables that training reads: live `error` verdicts that nobody marked as expected."""
    found = []
    for table in (model.features, model.actuals):
        excused = _excused(history, table)
        for stored in history.verdicts(table.id, since=since, until=now, status="failed"):
            verdict = stored.verdict
            if verdict.severity == "error" and not any(f.speaks_of(verdict) for f in excused):
                found.append(Fault(verdict.window, table.id, verdict.reason))
    return tuple(sorted(found))


def _excused(history: History, table: Table) -> list[Feedback]:
    return history.feedback(kind="expected", table=table.id)


def _failures(
    model: Model, history: History, promoted: datetime | None, *, estimated: bool = False
) -> tuple[int, str, Window | None]:
    """Consecutive newest judged windows that failed, the newest reason, and the newest judged window.

    With `estimated` those whose accuracy was only foretold, before labels came.

    Windows before the champion was promoted say nothing of it. Windows that are pending or learning neither count nor
    break the row.
    """
    stored = history.verdicts(performance_name(model), detector="accuracy", since=promoted)
    by_window: dict[Window, list[Verdict]] = {}
    for s in stored:
        v = s.verdict
        if v.segment or v.metric in DATA_METRICS or (promoted and v.window.start < promoted):
            continue
        if v.metric.startswith(ESTIMATED) is estimated and v.status in ("passed", "failed"):
            by_window.setdefault(v.window, []).append(v)
    if not by_window:
        return 0, "", None
    return *_row(by_window[w] for w in sorted(by_window, reverse=True)), max(by_window)


def _row(newest_first: Iterable[Sequence[Verdict]]) -> tuple[int, str]:
    count, reason = 0, ""
    for verdicts in newest_first:
        failed = [v for v in verdicts if v.failed]
        if not failed:
            break
        count += 1
        reason = reason or failed[0].reason
    return count, reason


def _drift(
    model: Model, history: History, version: str, versions: Sequence[StoredVersion], promoted: datetime | None
) -> tuple[int, str]:
    """Consecutive newest windows in which an important feature drifted, and the newest reason."""
    if model.retraining is None or not model.retraining.on_drift:
        return 0, ""
    info: Mapping[str, Any] = next((v.info for v in versions if v.version == version), {})
    important = important_features(info.get("importances", {}))
    by_window: dict[Window, list[Verdict]] = {}
    for s in history.verdicts(model.features.id, detector="drift", since=promoted):
        v = s.verdict
        if (not important or v.field in important or not v.field) and not (promoted and v.window.start < promoted):
            by_window.setdefault(v.window, []).append(replace(v, status="failed") if is_far(v) else v)
    return _row(by_window[w] for w in sorted(by_window, reverse=True))


def important_features(importances: Mapping[str, float]) -> tuple[str, ...]:
    """The fewest features that together carry 80% of the positive importance, most important first.

    >>> important_features({"hour": 3.0, "dest": 1.5, "temp": 0.5, "noise": -0.1})
    ('hour', 'dest')
    """
    positive = sorted(((value, name) for name, value in importances.items() if value > 0), reverse=True)
    total, carried, chosen = sum(value for value, _ in positive), 0.0, []
    for value, name in positive:
        if carried >= IMPORTANT_SHARE * total:
            break
        chosen.append(name)
        carried += value
    return tuple(chosen)


def _labels_since(model: Model, history: History, since: datetime | None) -> int:
    """Labelled rows in windows after the last training's data; shadow versions count once."""
    newest: dict[Window, int] = {}
    for window, _, payload in history.accuracy(model.name, since=since):
        if since is None or window.start >= since:
            newest[window] = max(newest.get(window, 0), AccuracyState.from_bytes(payload).labelled)
    return sum(newest.values())
