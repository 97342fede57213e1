"""Why the accuracy of a model fell, run of failed windows by run of failed windows; explained by `incidents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlobs.detectors.accuracy import ESTIMATED
from mlobs.detectors.verdict import Verdict
from mlobs.report.content import CauseLine, ExcessLine, FallStory
from mlobs.spec import Model
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.history import History
    from mlobs.incidents import Explanation

MAX_FALLS = 8
"""Newest runs of failed windows that are explained."""
MAX_SEGMENTS = 12


def fall_stories(
    model: Model, history: History, verdicts: Sequence[Verdict], lineage: Mapping[str, Sequence[str]] | None = None
) -> tuple[FallStory, ...]:
    """The newest runs of windows in which the accuracy of all rows failed, newest first, each with its likely causes.

    Raises:
        HistoryError, ProfileError: when history can't be read.
    """
    from mlobs.incidents import explain, lineage_of

    edges = lineage or lineage_of([model])
    failed = sorted({v.window for v in verdicts if v.failed and not v.segment and not v.metric.startswith(ESTIMATED)})
    runs: list[Window] = []
    for window in failed:
        if runs and window.start <= runs[-1].end + window.length:
            runs[-1] = runs[-1].hull(window)
        else:
            runs.append(window)
    told = []
    for run in reversed(runs[-MAX_FALLS:]):
        found = explain(history, model, run, edges)
        told.append(_story(run, found) if found else FallStory(run, "too little came before to say why"))
    return tuple(told)


def _story(run: Window, found: Explanation) -> FallStory:
    causes = tuple(CauseLine(c.kind, c.sentence, c.share, c.score, c.evidence) for c in found.causes)
    excess: list[ExcessLine] = []
    for parts in found.segments.values() if found.fall.clear else ():
        before = sum(p.change.rows_before for p in parts) or 1.0
        after = sum(p.change.rows_after for p in parts) or 1.0
        for part in parts[:MAX_SEGMENTS]:
            c = part.change
            rows = c.rows_before / before, c.rows_after / after
            excess.append(ExcessLine(c.segment, *rows, c.error_before, c.error_after, part.share))
    return FallStory(run, found.sentence, causes, tuple(excess))
