"""Why did a model's accuracy fall? Ranks what was found around the fall; pure functions of plain evidence.

The excess error is divided among possible causes. Each gets a score in [0, 1]: the share of the excess it can explain,
times how sure its evidence is. Shares overlap (a broken field also shows in a segment), so they don't add up to 1.

- Segments and mix: the exact decomposition of a difference of two weighted means (Kitagawa 1955, "Components of a
  difference between two rates", JASA 50): sum of w'(e' - e), error within segments, plus sum of (w' - w)(e - E), mix.
- Fields: permutation importance is the rise of the error when a field is destroyed, hence the most that a fault, change
  or drift of the field can explain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mlobs.detectors.verdict import Verdict
from mlobs.windows import Window

Kind = Literal["data fault", "drift", "segment", "version", "mix", "labels", "harder"]

LEAST = 0.05
"""Causes of a lower score are not listed."""

UNKNOWN_IMPORTANCE = 0.5
"""The share of the excess that a field may explain whose importance was never measured."""

SURENESS: Mapping[Kind, float] = {
    "data fault": 1.0,
    "labels": 1.0,
    "version": 0.95,
    "segment": 0.9,
    "mix": 0.8,
    "drift": 0.7,
    "harder": 0.6,
}
"""How far the evidence of each kind is believed: broken data is seen itself, the rest is inferred from coincidence."""


ERRORS = {
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mse": "mean squared error",
    "bias": "mean error",
    "brier": "Brier score",
}
"""Metrics of error whose name says little to who doesn't know it."""


@dataclass(frozen=True)
class Fall:
    """A model's error before and after it rose; `standard_error` is that of their difference.

    Attributes:
        window: from the first window of the fall to the last one looked at.
        against_naive: whether `before` and `after` are the error beyond the naive baseline's, not the error itself: a
            model may lose its skill while the season gets easier and its error falls.
        promised: whether `before` is what cross-validation gave, since too few windows came before.
    """

    model: str
    window: Window
    metric: str
    before: float
    after: float
    standard_error: float = 0.0
    against_naive: bool = False
    promised: bool = False

    @property
    def clear(self) -> bool:
        """Whether the error rose by more than two standard errors."""
        return self.excess > 2 * self.standard_error

    @property
    def what(self) -> str:
        """What rose, in words."""
        error = ERRORS.get(self.metric, self.metric.replace("_", " "))
        return f"{error} beyond the naive baseline's" if self.against_naive else error

    @property
    def excess(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class SegmentChange:
    """One segment before and after: labelled rows, mean error, and the standard error of the difference of the means."""

    segment: str
    rows_before: float
    rows_after: float
    error_before: float
    error_after: float
    standard_error: float = 0.0


@dataclass(frozen=True)
class FieldDrift:
    """How far a field has moved from the reference: its distance (PSI), and the threshold beyond which that is drift."""

    table: str
    field: str
    distance: float
    threshold: float


@dataclass(frozen=True)
class VersionChange:
    """A version that took over at `at`: the error in the last windows of the one before it and in its own first ones."""

    version: str
    previous: str
    at: datetime
    error_before: float
    error_after: float
    standard_error: float = 0.0


@dataclass(frozen=True)
class Labels:
    """Share of predictions that have their label, in [0, 1]: as usual, and in the windows of the fall."""

    usual: float
    now: float


@dataclass(frozen=True)
class Evidence:
    """All that is known around a fall.

    Attributes:
        verdicts: failed verdicts on tables upstream, in the windows of the fall.
        importances: field -> rise of the error when the field is destroyed, in the metric's unit; empty if unknown.
        segments: by segment field; each list covers all rows.
        harder: (before, after) of the naive baseline's error, if known.
        actuals: the table that labels come from.
    """

    fall: Fall
    verdicts: Sequence[Verdict] = ()
    drift: Sequence[FieldDrift] = ()
    importances: Mapping[str, float] | None = None
    segments: Mapping[str, Sequence[SegmentChange]] | None = None
    versions: Sequence[VersionChange] = ()
    labels: Labels | None = None
    harder: tuple[float, float] | None = None
    actuals: str = ""


@dataclass(frozen=True)
class RootCause:
    """A possible cause of a fall.

    Attributes:
        kind: `data fault`, `drift`, `segment` (it alone got worse), `version`, `mix` (harder segments grew), `labels`
            (they are late, so that what was measured is not all) or `harder` (the naive baseline got worse as well).
        subject: the field, table, segment or version.
        score: in [0, 1]; the list is ranked by it.
        share: share of the excess error it can explain, in [0, 1].
        sentence: for a person.
        evidence: what it rests on, one sentence each.
    """

    kind: Kind
    subject: str
    score: float
    share: float
    sentence: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class SegmentExcess:
    """What one segment adds to the excess error; over all segments of a field both parts add up to the excess.

    Attributes:
        within: from its own error having risen, in the metric's unit: its share of the rows now times the rise.
        mix: from its share of the rows having changed: the change times how far its error lay from the mean before.
        share: (within + mix) / excess; may be negative or above 1 where others make up for it.
    """

    change: SegmentChange
    within: float
    mix: float
    share: float


def excess_by_segment(evidence: Evidence) -> dict[str, list[SegmentExcess]]:
    """The excess error of a fall divided among the segments of each field, the largest part first (Kitagawa 1955).

    >>> day = Window.day("2013-06-01")
    >>> origins = [SegmentChange("origin=JFK", 50, 80, 20, 30), SegmentChange("origin=LGA", 50, 20, 10, 10)]
    >>> found = excess_by_segment(Evidence(Fall("delay", day, "mae", 15.0, 26.0), segments={"origin": origins}))
    >>> [(x.change.segment, x.within, round(x.mix, 3), round(x.share, 3)) for x in found["origin"]]
    [('origin=JFK', 8.0, 1.5, 0.864), ('origin=LGA', 0.0, 1.5, 0.136)]
    """
    excess = evidence.fall.excess
    if not excess > 0 or not math.isfinite(excess):
        return {}
    by_segment = {id(c): share for c, share in _mix_shares(evidence)}
    found: dict[str, list[SegmentExcess]] = {}
    for name, changes in (evidence.segments or {}).items():
        total = sum(c.rows_after for c in changes)
        parts = []
        for c in changes:
            rise = c.error_after - c.error_before
            within = c.rows_after / total * rise if total and math.isfinite(rise) else 0.0
            mix = by_segment.get(id(c), 0.0) * excess
            parts.append(SegmentExcess(c, within, mix, (within + mix) / excess))
        found[name] = sorted(parts, key=lambda x: (-x.share, x.change.segment))
    return found


def root_causes(evidence: Evidence) -> list[RootCause]:
    """Possible causes of a fall in accuracy, the likeliest first; empty when the error didn't rise.

    >>> day = Window.day("2013-06-01")
    >>> shares = [SegmentChange("origin=JFK", 100, 100, 20, 32), SegmentChange("origin=LGA", 100, 100, 20, 20)]
    >>> found = root_causes(Evidence(Fall("delay", day, "mae", 20.0, 26.0), segments={"origin": shares}))
    >>> found[0].sentence
    'error rose from 20 to 32 where origin=JFK: 100% of the rise comes from its 50% of the rows'
    """
    fall = evidence.fall
    if not fall.excess > 0 or not math.isfinite(fall.excess):
        return []
    found = [
        *_faults(evidence),
        *_drifts(evidence),
        *_segments(evidence),
        *_mix(evidence),
        *_versions(evidence),
        *_labels(evidence),
        *_harder(evidence),
    ]
    ranked = sorted((c for c in found if c.score >= LEAST), key=lambda c: (-c.score, c.kind, c.subject))
    causes: dict[tuple[Kind, str], RootCause] = {}
    for c in ranked:
        first = causes.setdefault((c.kind, c.subject), c)
        causes[c.kind, c.subject] = replace(first, evidence=tuple(dict.fromkeys((*first.evidence, *c.evidence))))
    return list(causes.values())


def _cause(
    kind: Kind, subject: str, share: float, sure: float, sentence: str, evidence: Iterable[str] = ()
) -> RootCause:
    share = min(max(share, 0.0), 1.0)
    return RootCause(kind, subject, SURENESS[kind] * share * min(max(sure, 0.0), 1.0), share, sentence, tuple(evidence))


# Kinds of cause


def _faults(e: Evidence) -> list[RootCause]:
    """Broken data upstream: one cause per field and segment, and per table for what is neither's.

    What is broken in a part of a segment that is broken as a whole belongs to the whole.
    """
    broken = [v for v in e.verdicts if v.failed and v.severity == "error" and v.detector != "accuracy"]
    segments = sorted({(v.table, v.segment) for v in broken if v.segment and not v.field})
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for v in broken:
        wider = (whole for table, whole in segments if table == v.table and _is_part(v.segment, whole))
        groups.setdefault((v.table, v.field or next(wider, v.segment)), []).append(v)
    found = []
    for (table, subject), verdicts in sorted(groups.items()):
        strongest = max(verdicts, key=lambda v: (v.segment == subject, abs(v.score), v.window.end))
        share = _explained_by_fault(e, strongest)
        named = f"{subject} of {table}" if subject else table
        kind: Kind = "labels" if table == e.actuals else "data fault"
        sentence = f"{named} is broken: {strongest.reason}"
        found.append(_cause(kind, f"{table}.{subject}" if subject else table, share, 1.0, sentence, _reasons(verdicts)))
    return found


def _is_part(segment: str, whole: str) -> bool:
    """Whether the label of a segment by two fields holds that of a segment by one; a value may hold a comma itself.

    >>> _is_part("city=Bath, ME, dest=MIA", "city=Bath, ME"), _is_part("city=Bath, ME", "city=Bath")
    (True, False)
    """
    if segment.startswith(f"{whole}, "):
        other = segment.removeprefix(f"{whole}, ")
    elif segment.endswith(f", {whole}"):
        other = segment.removesuffix(f", {whole}")
    else:
        return False
    return "=" in other or other.endswith(" is null")


def _explained_by_fault(e: Evidence, fault: Verdict) -> float:
    if fault.field and fault.detector != "mix":
        return 0.2 + 0.8 * _importance_share(e, fault.field)
    if fault.detector in ("mix", "volume"):
        moved = sum(abs(share) for _, share in _mix_shares(e))
        return 0.4 + 0.6 * min(1.0, moved) if moved else 0.6
    return 0.8


def _importance_share(e: Evidence, field: str) -> float:
    """The most of the excess that this field can explain."""
    if not e.importances:
        return UNKNOWN_IMPORTANCE
    return min(1.0, max(0.0, e.importances.get(field, 0.0)) / e.fall.excess)


def _drifts(e: Evidence) -> list[RootCause]:
    """Fields that moved, away from the training data or from what was usual, by importance."""
    broken = {v.field for v in e.verdicts if v.failed and v.severity == "error" and v.field}
    distances = {(d.table, d.field): d for d in e.drift if d.distance > d.threshold}
    changes = _changes(e)
    found = []
    for table, field in sorted({*distances, *changes}):
        if field in broken:
            continue
        said, moved, reasons = f"{field} of {table} has changed", 1.0, _reasons(changes.get((table, field), ()))
        if (table, field) in distances:
            d = distances[table, field]
            how = f"PSI {d.distance:.2f}, threshold {d.threshold:.2f}"
            said = f"{field} of {table} has moved away from the training data ({how})"
            if not reasons:
                moved = 1.0 - math.exp(-(d.distance - d.threshold / 2))
            known = e.importances.get(field) if e.importances else None
            costs = ERRORS.get(e.fall.metric, e.fall.metric)
            reasons = [how if known is None else f"{how}; destroying the field costs {known:.3g} of {costs}", *reasons]
        else:
            said = f"{said}: {reasons[0]}"
        found.append(_cause("drift", f"{table}.{field}", _importance_share(e, field) * moved, 1.0, said, reasons))
    return found


def _changes(e: Evidence) -> dict[tuple[str, str], list[Verdict]]:
    """(table, field) -> what failed of fields that changed without being broken.

    A change by itself is harmless: it takes a known importance to make a suspect of the field.
    """
    found: dict[tuple[str, str], list[Verdict]] = {}
    for v in e.verdicts:
        changed = v.failed and v.severity == "warn" and v.detector == "field_health" and v.table != e.actuals
        if changed and (e.importances or {}).get(v.field, 0.0) > 0:
            found.setdefault((v.table, v.field), []).append(v)
    return found


def _segments(e: Evidence) -> list[RootCause]:
    """Segments in which the error rose, by how much more of the excess they hold than of the rows.

    They count half when the rise came with a new version or a change of a field that can explain it, which shows more in
    one segment than in another, or when it may be one of the labels that are known.
    """
    said = "error beyond the naive baseline's" if e.fall.against_naive else "error"
    changed = max((_importance_share(e, field) for _, field in _changes(e)), default=0.0)
    suspected = max(_doubt(e), changed, float(any(_took_over_at_onset(e, v) for v in e.versions)))
    found = []
    for changes in (e.segments or {}).values():
        total = sum(c.rows_after for c in changes)
        if not total or len(changes) < 2:
            continue
        for c in changes:
            weight = c.rows_after / total
            rise = c.error_after - c.error_before
            if not rise > 0 or not c.rows_before or weight >= 1:
                continue
            share = weight * rise / e.fall.excess
            beyond = (min(share, 1.0) - weight) / (1.0 - weight)
            others = [
                (o.error_after - o.error_before, o.rows_after)
                for o in changes
                if o is not c and o.rows_before and o.rows_after
            ]
            rest = sum(r * w for r, w in others) / sum(w for _, w in others) if others else 0.0
            sure = _chance_ruled_out(rise - rest, c.standard_error) * (1.0 - suspected / 2)
            sentence = (
                f"{said} rose from {c.error_before:.3g} to {c.error_after:.3g} where {c.segment}:"
                f" {min(share, 1.0):.0%} of the rise comes from its {weight:.0%} of the rows"
            )
            found.append(_cause("segment", c.segment, beyond, sure, sentence, (f"elsewhere it rose by {rest:.3g}",)))
    return found


def _mix_shares(e: Evidence) -> list[tuple[SegmentChange, float]]:
    """Per segment, the share of the excess that comes from its share of rows having changed."""
    shares: list[tuple[SegmentChange, float]] = []
    for changes in (e.segments or {}).values():
        before, after = sum(c.rows_before for c in changes), sum(c.rows_after for c in changes)
        if not before or not after:
            continue
        for c in changes:
            error = c.error_before if c.rows_before else c.error_after
            moved = c.rows_after / after - c.rows_before / before
            effect = moved * (error - e.fall.before) / e.fall.excess
            if math.isfinite(effect):
                shares.append((c, effect))
    return shares


def _mix(e: Evidence) -> list[RootCause]:
    """Harder segments grew, or easy ones vanished; one cause per segment field, named after its largest mover."""
    found = []
    by_segment = {id(c): effect for c, effect in _mix_shares(e)}
    for name, changes in (e.segments or {}).items():
        effects = [(by_segment.get(id(c), 0.0), c) for c in changes]
        share = sum(effect for effect, _ in effects)
        if share <= 0:
            continue
        _, mover = max(effects, key=lambda pair: (pair[0], pair[1].segment))
        before, after = sum(c.rows_before for c in changes), sum(c.rows_after for c in changes)
        was, now = mover.rows_before / before, mover.rows_after / after
        said = f"share of {mover.segment} went from {was:.0%} to {now:.0%}"
        sentence = f"the mix of {name} moved to harder rows: {said}; that is {min(share, 1.0):.0%} of the rise"
        seen = [v.reason for v in e.verdicts if v.failed and v.detector in ("mix", "volume")]
        found.append(_cause("mix", mover.segment, share, 1.0 - _doubt(e) / 2, sentence, (said, *seen[:3])))
    return found


def _versions(e: Evidence) -> list[RootCause]:
    """Versions whose first windows are worse than the last ones of the version before.

    One that took over just when the error rose has all of the rise against it; another only its own step, and less of
    that when a single segment got worse, which a version seldom does.
    """
    alone = max((c.score / SURENESS["segment"] for c in _segments(e)), default=0.0)
    found = []
    for v in e.versions:
        step = v.error_after - v.error_before
        if not step > 0:
            continue
        if _took_over_at_onset(e, v):
            share, sure = 1.0, _chance_ruled_out(e.fall.excess, e.fall.standard_error)
        else:
            share, sure = step / e.fall.excess, _chance_ruled_out(step, v.standard_error) * (1.0 - alone / 2)
        change = f"from {v.error_before:.3g} to {v.error_after:.3g}"
        sentence = f"version {v.version} took over from {v.previous} at {v.at:%Y-%m-%d}, and the error went {change}"
        sure *= 1.0 - _doubt(e) / 2
        found.append(_cause("version", v.version, share, sure, sentence, (f"{e.fall.what} {change}",)))
    return found


def _took_over_at_onset(e: Evidence, change: VersionChange) -> bool:
    """Whether the version took over with the first window of the fall, and the error rose from there."""
    return change.at == e.fall.window.start and change.error_after > change.error_before


def _labels(e: Evidence) -> list[RootCause]:
    """Labels are late: with many missing, the error is that of the rows that happen to be known."""
    doubt = _doubt(e)
    if e.labels is None or not doubt:
        return []
    said = f"{e.labels.now:.0%} of predictions have their label, usually {e.labels.usual:.0%} do"
    sentence = f"labels are late: {said}, so the error is not that of all rows"
    return [_cause("labels", e.actuals or "labels", doubt, 1.0, sentence, (said,))]


def _doubt(e: Evidence) -> float:
    """The share of the excess that missing labels may explain, in [0, 1].

    If the rows without label had half the error of the others, the error of all rows would be lower by half the missing
    share of it.
    """
    if e.labels is None or not e.labels.usual > 0:
        return 0.0
    missing = (e.labels.usual - e.labels.now) / e.labels.usual
    return min(1.0, missing / 2 * e.fall.after / e.fall.excess) if missing > 0 else 0.0


def _harder(e: Evidence) -> list[RootCause]:
    """The naive baseline got worse as well: these rows are harder for any model, unless they are not all rows."""
    if e.harder is None:
        return []
    before, after = e.harder
    rise = after - before
    if not rise > 0:
        return []
    said = f"the naive baseline's error went from {before:.3g} to {after:.3g}"
    sentence = f"these windows are harder to predict: {said}"
    return [_cause("harder", e.fall.model, rise / e.fall.excess, 1.0 - _doubt(e), sentence, (said,))]


def _chance_ruled_out(rise: float, standard_error: float) -> float:
    """How sure a rise is, in [0, 1]: 1 - the two-sided p-value of a normal test; 1 when its error isn't known."""
    if not standard_error > 0 or not math.isfinite(standard_error):
        return 1.0
    return math.erf(abs(rise) / standard_error / math.sqrt(2.0)) ** 2


def _reasons(verdicts: Sequence[Verdict]) -> list[str]:
    ordered = sorted(verdicts, key=lambda v: -abs(v.score))
    return list(dict.fromkeys(v.reason for v in ordered))[:5]
