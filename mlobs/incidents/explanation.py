"""Explains a fall in accuracy: when it began, its likely causes, and a sentence; reads history, writes nothing.

Checks judge the error over many windows together, so a check fails some time after the error rose. The onset is found as
the change point of the mean error by window (least squares, as in Page 1955 and the CART split); where several are
about as likely, one at which the version changed is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from mlobs.detectors.accuracy import ESTIMATED, performance_name
from mlobs.detectors.verdict import Verdict
from mlobs.history import History
from mlobs.incidents.causes import Evidence, Fall, RootCause, SegmentExcess, excess_by_segment, root_causes
from mlobs.incidents.evidence import BEFORE, gather, gather_promised, remembered_accuracy
from mlobs.incidents.grouping import GAP, model_of
from mlobs.incidents.records import Incident
from mlobs.metrics.accuracy import MIN_WINDOWS, error, naive_error, watched_error
from mlobs.spec import Model
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window

AFTER = 28
"""Windows from the onset on that are looked at, at most: what comes later may have other causes."""

LEAST_BEFORE = MIN_WINDOWS
"""Windows before an onset below which there is no level that it could have risen from."""

AS_LIKELY = 4.0
"""Onsets are taken for as likely as the best one when they explain less by at most so many residual variances: a profile
likelihood interval of 95%."""

LISTED = 3
"""Causes told in messages and on one screen; the report and `explain` list all."""


@dataclass(frozen=True)
class Explanation:
    """Why a model's accuracy fell, as far as history knows.

    Attributes:
        evidence: what it rests on.
        causes: the likeliest first; empty when nothing found explains the fall, or the error didn't rise.
    """

    evidence: Evidence
    causes: tuple[RootCause, ...]

    @property
    def fall(self) -> Fall:
        return self.evidence.fall

    @property
    def segments(self) -> dict[str, list[SegmentExcess]]:
        """Segment field -> the excess error by segment."""
        return excess_by_segment(self.evidence)

    @property
    def sentence(self) -> str:
        """What happened, and the likeliest cause."""
        fall = self.fall
        since, before, after = f"{fall.window.start:%Y-%m-%d}", f"{fall.before:.3g}", f"{fall.after:.3g}"
        if fall.promised:
            rose = (
                f"{fall.what} is {after} since {since}, soon after the first prediction; cross-validation gave {before}"
            )
        elif fall.clear:
            rose = f"{fall.what} rose from {before} to {after} on {since}"
        else:
            return f"{fall.what} did not clearly rise: {before} in the windows before {since}, {after} since"
        if not self.causes:
            return f"{rose}; nothing that is remembered explains it: look at what changed outside of these tables"
        return f"{rose}; most likely: {self.causes[0].sentence}"

    @property
    def told(self) -> tuple[str, ...]:
        """For a message: the sentence, then the next likeliest causes."""
        return (self.sentence, *(cause.sentence for cause in self.causes[1:LISTED]))

    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        fall = self.fall
        return {
            "model": fall.model,
            "metric": fall.metric,
            "measured": fall.what,
            "since": fall.window.start,
            "until": fall.window.end,
            "before": fall.before,
            "after": fall.after,
            "sentence": self.sentence,
            "causes": [
                {
                    "rank": rank,
                    "kind": c.kind,
                    "subject": c.subject,
                    "score": round(c.score, 3),
                    "share": round(c.share, 3),
                    "sentence": c.sentence,
                    "evidence": list(c.evidence),
                }
                for rank, c in enumerate(self.causes, 1)
            ],
        }


def explain(
    history: History,
    model: Model,
    window: Window,
    lineage: Mapping[str, Sequence[str]],
) -> Explanation | None:
    """Why the model's accuracy check fails in `window` (or from the first to the last of its windows).

    Args:
        lineage: table (or "model.performance") -> the tables it is made from.

    Returns:
        None when too little is remembered: no labelled predictions in the window, or neither windows before it nor a
        cross-validated error to compare them with.

    Raises:
        HistoryError, ProfileError: when history can't be read.
    """
    first, said = _episode(history, model, window)
    against_naive = bool(said) and all(v.metric == "skill" for v in said)
    begun = onset(history, model, Window(first, window.end), against_naive=against_naive)
    if begun is None:
        judged = Window(_judged_from(history, model, first), window.end)
        evidence = gather_promised(history, model, judged, lineage, against_naive=against_naive)
    else:
        evidence = gather(history, model, begun, lineage, against_naive=against_naive)
    if evidence is None:
        return None
    return Explanation(evidence, tuple(root_causes(evidence)) if evidence.fall.clear else ())


def explain_incident(
    history: History, incident: Incident, models: Iterable[Model], lineage: Mapping[str, Sequence[str]]
) -> dict[str, Explanation]:
    """Model -> why its accuracy fell, for every model whose accuracy fails in the incident."""
    known = {performance_name(model): model for model in models}
    found: dict[str, Explanation] = {}
    for table in incident.touched.tables:
        model = known.get(table)
        spans = [
            Window(s.start, s.end)
            for s in incident.strands
            if s.key.table == table and _realised(s.key.metric, s.key.segment)
        ]
        if model is None or model_of(table) is None or not spans:
            continue
        explained = explain(history, model, Window(min(w.start for w in spans), max(w.end for w in spans)), lineage)
        if explained is not None:
            found[model.name] = explained
    return found


def _episode(history: History, model: Model, window: Window) -> tuple[datetime, list[Verdict]]:
    """Start of the run of failed windows that leads up to `window`, and the failures in `window`."""
    stored = history.verdicts(performance_name(model), until=window.end, status="failed", detector="accuracy")
    failed = sorted(
        (s.verdict for s in stored if _realised(s.verdict.metric, s.verdict.segment)),
        key=lambda v: v.window,
        reverse=True,
    )
    first = window.start
    for verdict in failed:
        if verdict.window.end + GAP * verdict.window.length < first:
            break
        first = min(first, verdict.window.start)
    return first, [v for v in failed if v.window.overlaps(window)]


def _realised(metric: str, segment: str) -> bool:
    """Whether a failure of accuracy speaks of all rows, and of labels that have come."""
    return not segment and not metric.startswith(ESTIMATED)


def _judged_from(history: History, model: Model, first: datetime) -> datetime:
    """Start of the windows that the check of the window at `first` looked at."""
    span = model.accuracy.span if model.accuracy else 1
    known = sorted(w.start for w, s in remembered_accuracy(history, model, first).items() if s.labelled)
    return known[-(span - 1) :][0] if known and span > 1 else first


def onset(history: History, model: Model, window: Window, *, against_naive: bool = False) -> Window | None:
    """From the window in which the error rose, to the last one looked at: `window` with its true start.

    The check that failed first in `window` looked at its `span` windows; the rise lies in one of these, or in `window`.

    Returns:
        None when there are no labelled predictions in the window, or fewer than `LEAST_BEFORE` windows before it.
    """
    metric = watched_error(model.task, model.accuracy.metric if model.accuracy else None)
    span = model.accuracy.span if model.accuracy else 1
    states = {w: s for w, s in remembered_accuracy(history, model, window.end).items() if s.labelled}
    ordered = sorted(states)
    inside = [n for n, w in enumerate(ordered) if w.start >= window.start]
    if not inside or inside[0] < LEAST_BEFORE:
        return None
    lowest, highest = max(LEAST_BEFORE, inside[0] - span + 1), inside[0]
    base = max(0, lowest - BEFORE)
    seen = ordered[base : min(inside[-1], inside[0] + AFTER) + 1]
    values = np.array([_value(states[w], metric, against_naive) for w in seen])
    rows = np.where(np.isfinite(values), [states[w].labelled for w in seen], 0.0)
    values = np.nan_to_num(values)
    gains = {n: _gain(values, rows, n) for n in range(lowest - base, highest - base + 1)}
    best = max(gains, key=lambda n: (gains[n], -n))
    noise = _noise(values, rows, best)
    changed = _version_starts(history, model, seen)
    likely = [n for n in changed if gains.get(n, 0.0) > 0 and gains[best] - gains[n] <= AS_LIKELY * noise]
    start = max(likely, key=lambda n: gains[n], default=best)
    return Window(seen[start].start, seen[min(start + AFTER, len(seen)) - 1].end)


def _value(state: AccuracyState, metric: str, against_naive: bool) -> float:
    return error(state, metric) - (naive_error(state, metric) if against_naive else 0.0)


def _gain(values: np.ndarray, rows: np.ndarray, split: int) -> float:
    """How much of the squared spread a rise at `split` explains; 0 for a fall."""
    before, after = rows[:split].sum(), rows[split:].sum()
    if not before or not after:
        return 0.0
    rise = (values[split:] @ rows[split:]) / after - (values[:split] @ rows[:split]) / before
    return float(before * after / (before + after) * rise**2) if rise > 0 else 0.0


def _noise(values: np.ndarray, rows: np.ndarray, split: int) -> float:
    """Residual variance around the two means, in the unit of `_gain`."""
    spread, parts = 0.0, 0
    for part in (slice(None, split), slice(split, None)):
        weight = rows[part].sum()
        if weight:
            spread += float(rows[part] @ (values[part] - (values[part] @ rows[part]) / weight) ** 2)
            parts += 1
    windows = int((rows > 0).sum()) - parts
    return spread / windows if windows > 0 else math.inf


def _version_starts(history: History, model: Model, seen: Sequence[Window]) -> list[int]:
    """Places in `seen` where another version made most of the predictions than in the window before."""
    counts: dict[Window, dict[str, int]] = {}
    for window, version, payload in history.accuracy(model.name, since=seen[0].start, until=seen[-1].end):
        counts.setdefault(window, {})[version] = AccuracyState.from_bytes(payload).predictions
    leading = [max(counts[w], key=lambda v: (counts[w][v], v)) if w in counts else "" for w in seen]
    return [n for n in range(1, len(leading)) if leading[n] != leading[n - 1]]
