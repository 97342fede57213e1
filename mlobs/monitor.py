"""The one place where engine, profiles, detectors and history meet: land, judge, predict, score and remember a window.

Reads no clock (`now` is handed in), knows no Dagster and no MLflow. Everything it does to a window can be done again:
what is remembered of the window is replaced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlobs.detectors import FreshnessMonitor, Range, TableMonitor, Verdict, drift_verdicts, schema_verdicts
from mlobs.detectors.accuracy import judge_accuracy, judge_estimated, performance_name
from mlobs.detectors.drift import REMEMBERED, Floats, distances_of
from mlobs.engines import Landing
from mlobs.errors import DataError, MlobsError, TrainingError
from mlobs.expectation import Expectation
from mlobs.metrics.accuracy import metrics as accuracy_metrics
from mlobs.metrics.accuracy import typical
from mlobs.metrics.maturity import Observation, learned_maturity
from mlobs.metrics.profiles import Profile
from mlobs.predictions import predicted
from mlobs.profiling import Reference, learn_reference, profile_windows
from mlobs.profiling.accuracy import measure_accuracy_windows
from mlobs.spec import Drift, Model, Table, monitors_of
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.engines import Engine
    from mlobs.history import Arrival, Feedback, History

LEARNED = ("field_health", "volume", "mix")
"""The checks that one `TableMonitor` answers together, out of one budget."""
FIRST_REFERENCE = 14
"""Windows after which a table that no training has pinned gets its own reference, in place of the first window's."""
MEMORY = 400
"""Newest windows that learned monitors look back on."""


FOLLOWED = 14
"""Windows whose labels are looked at again with each new one, while how long labels take must be learned."""


@dataclass
class _Memory:
    """What is kept of a table between windows.

    Attributes:
        revision: of the remembered profiles it was made from.
        through: end of the newest window seen.
        settled: whether the reference stays; False while too few windows are known.
        recent: the newest profiles, without their segments.
        said: the feedback it was made with.
        strayed: field -> distances of spans of the reference's own time from it: how far the field strays by itself. None
            before they are known.
        drifted: drift reported against this reference, oldest first.
    """

    revision: int
    through: datetime
    settled: bool
    reference: Reference
    learned: TableMonitor
    recent: list[tuple[Window, Profile]]
    said: tuple[Feedback, ...]
    strayed: Mapping[str, Floats] | None
    drifted: list[Verdict]


class Monitoring:
    """Models under observation on one warehouse, with one memory.

    Args:
        models: the declarations; a table that several models share is monitored once.
        engine: the warehouse.
        history: what is remembered.
    """

    def __init__(self, models: Sequence[Model], engine: Engine, history: History) -> None:
        self.models = tuple(models)
        self.engine = engine
        self.history = history
        self._memory: dict[str, _Memory] = {}
        self._pinned: dict[str, tuple[tuple[Window, ...], bytes]] = {}

    # Landing

    def land(self, table: Table, window: Window, now: datetime) -> Landing:
        """Load a window with the table's own `load` and put it in the warehouse, replacing what was there.

        Raises:
            DataError: `load` failed, or gave something else than rows with key and time.
            WarehouseError: the warehouse refused; nothing is changed then.
        """
        if table.load is None:
            raise DataError(f"table {table.id!r} has no load: it is filled elsewhere, mlobs only watches it")
        frame = _called(table.load, window, what=f"table {table.id!r}: load for window {window}", error=DataError)
        if not isinstance(frame, pd.DataFrame):
            raise DataError(
                f"table {table.id!r}: load for window {window} returned {type(frame).__name__}, not a DataFrame"
            )
        missing = [name for name in (*table.keys, table.time) if name not in frame.columns]
        if missing:
            raise DataError(
                f"table {table.id!r}, window {window}: the delivery lacks {', '.join(map(repr, missing))};"
                " without key and time its rows can't be placed"
            )
        return self._land(table, window, frame, now)

    def _land(self, table: Table, window: Window, frame: pd.DataFrame, now: datetime) -> Landing:
        landed = self.engine.land(table, window, frame)
        self.history.record_arrival(table.id, window, now, landed.rows, landed.columns, landed.newest, landed.outside)
        return landed

    # Judging data

    def check(self, table: Table, window: Window, now: datetime, run_id: str = "") -> list[Verdict]:
        """Profile a window with one read, judge it by every monitor of the table, and remember both.

        Returns:
            All verdicts of the window; only those that say something (not `passed` metrics of a field) are kept in history.

        Raises:
            WarehouseError: the table can't be read; nothing is remembered then.
        """
        return self.backfill(table, [window], now, run_id)[window]

    def backfill(
        self, table: Table, windows: Sequence[Window], now: datetime, run_id: str = ""
    ) -> dict[Window, list[Verdict]]:
        """`check` for many windows, oldest first, with one query for all of them; each is judged by those before it."""
        ordered = sorted(set(windows))
        if not ordered:
            return {}
        with self.engine.session():
            memory = self._remembered(table, ordered, now)
            reference, learned, recent = memory.reference, memory.learned, memory.recent
            profiles = profile_windows((self.engine, table), ordered, reference=reference)
        monitors = monitors_of(self.models, table)
        drift = monitors.get("drift")
        strayed = memory.strayed
        if strayed is None and isinstance(drift, Drift) and memory.settled:
            spans = _spans(reference, [*recent, *profiles.items()], drift.windows)
            strayed = distances_of(reference, spans, drift.distance) if spans else None
        arrivals = self.history.arrivals(table.id)
        delivered = {arrival.window: arrival for arrival in arrivals}
        result: dict[Window, list[Verdict]] = {}
        for window in ordered:
            profile = _known_newest(profiles[window], recent)
            verdicts = learned.judge(profile, window)
            learned.observe(profile, window, verdicts)
            whole = replace(profile, segments={})
            if isinstance(drift, Drift) and not memory.settled:
                verdicts.append(_unsettled(table, drift, window, len(recent)))
            elif isinstance(drift, Drift):
                newest = [p for _, p in recent if p.rows][-drift.windows + 1 :] if drift.windows > 1 else []
                told = drift_verdicts(
                    reference.profile, [*newest, whole], window, table=table.id, floor=drift.floor,
                    distance=drift.distance, strayed=strayed, earlier=memory.drifted,
                )  # fmt: skip
                memory.drifted.extend(v for v in told if v.failed)
                verdicts += told
            columns = dict(delivered[window].columns) if window in delivered else dict(profile.columns)
            verdicts += schema_verdicts(self._expected_columns(arrivals, window, columns), columns, table.id, window)
            verdicts.append(replace(self._cadence(table, arrivals, now), window=window))
            recent.append((window, whole))
            result[window] = [verdict for verdict in verdicts if verdict.detector in monitors]
        revision = self.history.save_profiles(table.id, reference.profile.fingerprint, profiles, now)
        self.history.save_all_verdicts(
            table.id, {w: _telling(v) for w, v in result.items()}, tuple(monitors), now, table.fingerprint, run_id
        )
        if self.history.profiles(table.id, reference.profile.fingerprint, since=ordered[-1].end, last=1):
            self._memory.pop(table.id, None)  # what was learned ends before windows that are known: read again
        else:
            self._memory[table.id] = replace(
                memory, revision=revision, through=ordered[-1].end, recent=recent[-MEMORY:], strayed=strayed
            )
        return result

    def freshness(self, table: Table, now: datetime) -> Verdict:
        """Whether the table's next delivery is late at `now`; to be asked by a clock, also when nothing arrives."""
        return self._cadence(table, self.history.arrivals(table.id), now)

    def _cadence(self, table: Table, arrivals: Sequence[Arrival], now: datetime) -> Verdict:
        """Judged by first, timely deliveries: backfills and corrections say nothing of the cadence.

        The newest event of a window is that of its newest delivery, so a correction ends a stale one.
        """
        first: dict[Window, Arrival] = {}
        for arrival in arrivals:
            if abs(arrival.at - arrival.window.end) <= 2 * table.cadence:
                known = first.setdefault(arrival.window, arrival)
                first[arrival.window] = replace(known, newest=arrival.newest)
        return FreshnessMonitor(table.id).judge(list(first.values()), now)

    def _expected_columns(
        self, arrivals: Sequence[Arrival], window: Window, found: Mapping[str, str]
    ) -> dict[str, str]:
        """The columns of the newest earlier window's delivery; of a table that others fill, nothing is known before it."""
        earlier = [arrival for arrival in arrivals if arrival.window < window and arrival.rows]
        return dict(max(earlier, key=lambda a: (a.window, a.at)).columns) if earlier else dict(found)

    def _remembered(self, table: Table, windows: Sequence[Window], now: datetime) -> _Memory:
        """What is known of a table before the first of `windows`: kept from the last call, else read from history."""
        kept = self._memory.get(table.id)
        first = windows[0]
        said = tuple(self.history.feedback(table=table.id))
        usable = kept and kept.settled and kept.through <= first.start and kept.said == said
        if kept and usable and kept.revision == self.history.revision(table.id):
            return kept
        reference, settled = self._reference(table, windows, now)
        pinned = self.history.reference(table.id)
        past = self.history.profiles(table.id, reference.profile.fingerprint, before=first.start, last=MEMORY)
        learned = TableMonitor(
            table.id, false_alarms_per_month=table.false_alarms_per_month, cadence=table.cadence, feedback=said
        )
        failed: dict[Window, list[Verdict]] = {}
        if past:
            for stored in self.history.verdicts(table.id, since=past[0][0].start, until=first.start, status="failed"):
                failed.setdefault(stored.verdict.window, []).append(stored.verdict)
        remembered = first.start - REMEMBERED * table.cadence
        told = self.history.verdicts(table.id, since=remembered, until=first.start, status="failed", detector="drift")
        drifted = [s.verdict for s in told if pinned and s.at >= pinned.pinned_at]
        recent: list[tuple[Window, Profile]] = []
        for window, profile in past:
            known = _known_newest(profile, recent)
            learned.observe(known, window, failed.get(window, ()))
            recent.append((window, replace(known, segments={})))
        return _Memory(
            self.history.revision(table.id), first.start, settled, reference, learned, recent, said, None, drifted
        )

    # References

    def _reference(self, table: Table, windows: Sequence[Window], now: datetime) -> tuple[Reference, bool]:
        """The reference in force, and whether it stays.

        A table without one gets it from the windows at hand, and once more when `FIRST_REFERENCE` windows are known.
        Training pins the reference of the features.
        """
        pinned = self.history.reference(table.id)
        reference = Reference.from_bytes(pinned.payload) if pinned else None
        known = {arrival.window for arrival in self.history.arrivals(table.id)}
        if reference is not None and pinned is not None:
            covered = reference.profile.window
            if pinned.version or (covered and covered.length >= FIRST_REFERENCE * table.cadence):
                return reference, True
            known |= {window for window, _ in self.history.profiles(table.id, reference.profile.fingerprint)}
            if len(known | set(windows)) < FIRST_REFERENCE:
                return reference, False
        known |= set(windows)
        chosen = sorted(known)
        return self._pin(table, chosen, "", now, note=f"its first {len(chosen)} windows"), len(
            chosen
        ) >= FIRST_REFERENCE

    def pin_reference(self, model: Model, version: str, windows: Sequence[Window], now: datetime) -> None:
        """Make the features of `windows` (a version's training data) what drift is measured against.

        What is remembered of earlier windows is profiled once more on the new grid, in one query.

        Raises:
            WarehouseError: the features can't be read; the old reference stays.
        """
        note, chosen = pin_note(model, version), tuple(sorted(windows))
        pinned = self.history.reference(model.features.id)
        if pinned is not None and self._pinned.get(model.features.id) == (chosen, pinned.payload):
            self.history.save_reference(model.features.id, version, pinned.payload, now, note)
            return  # a model that shares the table was trained on the same windows
        reference = self._pin(model.features, chosen, version, now, note=note)
        self._pinned[model.features.id] = (chosen, reference.to_bytes())

    def _pin(self, table: Table, windows: Sequence[Window], version: str, now: datetime, note: str) -> Reference:
        before = self.history.reference(table.id)
        known = set(windows)
        if before is not None:
            old = Reference.from_bytes(before.payload).profile.fingerprint
            known |= {window for window, _ in self.history.profiles(table.id, old, last=MEMORY)}
        with self.engine.session():
            reference = learn_reference(self.engine, table, windows)
            profiles = profile_windows((self.engine, table), sorted(known)[-MEMORY:], reference=reference)
        self.history.save_profiles(table.id, reference.profile.fingerprint, profiles, now)
        self.history.save_reference(table.id, version, reference.to_bytes(), now, note)
        self._memory.pop(table.id, None)
        return reference

    # Predictions

    def blocked(self, model: Model, window: Window) -> list[Verdict]:
        """Why a window is not predicted: live `error` verdicts of blocking checks on its features that nobody excused."""
        blocking = {check for check, monitor in monitors_of(self.models, model.features).items() if monitor.blocking}
        stored = self.history.verdicts(model.features.id, since=window.start, until=window.end, status="failed")
        excused = self.history.feedback(table=model.features.id)
        return [
            s.verdict
            for s in stored
            if s.verdict.window == window
            and s.verdict.severity == "error"
            and s.verdict.detector in blocking
            and not any(feedback.speaks_of(s.verdict) for feedback in excused)
        ]

    def predict(
        self,
        model: Model,
        window: Window,
        version: str,
        estimator: Any,
        now: datetime,
        expectation: Expectation | None = None,
    ) -> Landing:
        """Predict every row of the window's features and land the predictions with the version that made them.

        Args:
            expectation: what the version's training learned of its accuracy; each row then gets its expected figure.

        Raises:
            TrainingError: `predict` failed, or returned the wrong length, missing or infinite values.
            WarehouseError: features can't be read or predictions not written; nothing is changed then.
        """
        table, features = model.predictions, model.features
        if not model.predicts:
            raise TrainingError(f"model {model.name!r} has no predict function: its predictions are made elsewhere")
        columns = list(dict.fromkeys([*features.keys, features.time, *model.input_names]))
        rows = self.engine.fetch(features, window, columns)
        made = predicted(model, estimator, rows, f"model {model.name!r} version {version}, window {window}: predict")
        frame = rows[list(features.keys)].copy()
        frame[table.time] = rows[features.time]
        frame[model.prediction] = made.values
        for name, column in model.probabilities:
            frame[column] = made.probabilities[name]
        if model.expected:
            inputs = rows[list(model.input_names)]
            frame[model.expected] = np.nan if expectation is None else expectation.of(inputs, made)
        frame[model.version] = version
        return self._land(table, window, frame, now)

    # Accuracy

    def score(
        self, model: Model, window: Window, now: datetime, run_id: str = ""
    ) -> tuple[list[Verdict], dict[str, float]]:
        """Join predictions of the window with the actuals known by now, judge the accuracy, and remember both.

        Returns:
            The verdicts, and the metrics of the champion's (or else the newest) version in this window.

        Raises:
            DataError: a column of the join is missing or of the wrong type.
            WarehouseError: a table can't be read.
        """
        all_measured = self._measured(model, self._followed(model, window))
        measured = all_measured.setdefault(window, {})
        self.history.save_accuracies(model.name, all_measured, now)
        model = self.settled(model, now)
        verdicts = self._judge_accuracy(model, window, measured, now)
        name = performance_name(model)
        judged = {w: self._judge_accuracy(model, w, found, now) for w, found in all_measured.items()}
        judged |= self._judged_again(model, window, now) | {window: verdicts}
        self.history.save_all_verdicts(name, judged, ["accuracy"], now, model.fingerprint, run_id)
        version = _version_of(measured)
        numbers: dict[str, float] = {}
        if version:
            state = measured[version][""]
            numbers = {"predictions": state.predictions, "labelled": state.labelled, **accuracy_metrics(state)}
        return verdicts, numbers

    def estimate(self, model: Model, window: Window, now: datetime, run_id: str = "") -> list[Verdict]:
        """The accuracy that is foretold of a window just predicted, before any label; judged and remembered.

        Nothing is done for a model whose predictions carry no expected figures, or before there is a table of labels.

        Raises:
            DataError, WarehouseError: as `score`.
        """
        if model.accuracy is None or not model.expected:
            return []
        # before its window has ended no row has a label, and segments say nothing yet
        measured = self._measured(model, [window], segments=window.end <= now).get(window, {})
        model = self.settled(model, now)
        version = _version_of(measured)
        if not version or not measured[version][""]["expected_rows"]:
            return []
        self.history.save_accuracies(model.name, {window: measured}, now)
        verdicts = self._judge_accuracy(model, window, {version: {"": measured[version][""]}}, now)
        name = performance_name(model)
        self.history.save_all_verdicts(name, {window: verdicts}, ["accuracy"], now, model.fingerprint, run_id)
        return verdicts

    def maturity(self, model: Model, now: datetime) -> timedelta | None:
        """The age at which a window's labels count as complete: stated, or learned by `now`; None while it is being learned."""
        if model.accuracy is None or model.accuracy.maturity is not None:
            return model.accuracy.maturity if model.accuracy else timedelta(0)
        seen: list[Observation] = []
        since = now - 4 * FOLLOWED * model.features.cadence
        for window, _, payload, at in self.history.accuracy_trail(model.name, since=since):
            state = AccuracyState.from_bytes(payload)
            if at <= now and at >= window.end and state.predictions:
                seen.append((window, at, state.coverage))
        return learned_maturity(seen, now)

    def settled(self, model: Model, now: datetime, *, otherwise: timedelta | None = None) -> Model:
        """The model with its maturity as learned by `now`, `otherwise` while it is being learned."""
        if model.accuracy is None or model.accuracy.maturity is not None:
            return model
        known = self.maturity(model, now)
        monitor = replace(model.accuracy, maturity=otherwise if known is None else known)
        others = tuple(monitor if m is model.accuracy else m for m in model.monitors)
        return replace(model, monitors=others)

    def _followed(self, model: Model, window: Window) -> list[Window]:
        """The windows that are measured with `window`: those before it too, while how long labels take must be learned."""
        if model.accuracy is None or model.accuracy.maturity is not None:
            return [window]
        return [window.shifted(-n * model.features.cadence) for n in range(FOLLOWED)]

    def _measured(
        self, model: Model, windows: Sequence[Window], *, segments: bool = True
    ) -> dict[Window, dict[str, dict[str, AccuracyState]]]:
        """window -> version -> segment -> state as labels stand; empty before there is anything to join."""
        known = {v.version: v.info for v in self.history.versions(model.name)}
        baselines = {version: info["baseline"] for version, info in known.items() if "baseline" in info}
        if model.accuracy and model.accuracy.naive == "previous":
            before = self._previous(model, min(windows))
            baselines = {} if before is None else dict.fromkeys(known, before)
        with self.engine.session():
            if self.engine.exists(model.predictions) and self.engine.exists(model.actuals):
                return measure_accuracy_windows(self.engine, model, windows, baselines, segments=segments)
        return {}

    def _previous(self, model: Model, window: Window) -> float | str | None:
        """What came true in the newest window whose labels were mature when `window` began."""
        maturity = (model.accuracy.maturity if model.accuracy else None) or model.features.cadence
        stored = self.history.accuracy(model.name, until=window.start - maturity)
        states = [AccuracyState.from_bytes(payload) for w, _, payload in stored if w.end + maturity <= window.start]
        return next((typical(state) for state in reversed(states) if state.labelled), None)

    def _judged_again(self, model: Model, window: Window, now: datetime) -> dict[Window, list[Verdict]]:
        """Verdicts of the later windows that were judged together with this one, as they read now that it has changed."""
        span = model.accuracy.span if model.accuracy else 0
        until = window.end + span * model.features.cadence
        later: dict[Window, dict[str, dict[str, AccuracyState]]] = {}
        for w, version, payload in self.history.accuracy(model.name, since=window.end, until=until):
            later.setdefault(w, {})[version] = {"": AccuracyState.from_bytes(payload)}
        return {w: self._judge_accuracy(model, w, measured, now) for w, measured in later.items()}

    def _judge_accuracy(
        self, model: Model, window: Window, measured: Mapping[str, Mapping[str, AccuracyState]], now: datetime
    ) -> list[Verdict]:
        version = _version_of(measured)
        if model.accuracy is None:
            return []
        if not version:
            return judge_accuracy(model, [], window, now, None)
        info = next((v.info for v in self.history.versions(model.name) if v.version == version), {})
        cv_error = info.get("cv_error")
        since = window.end - 4 * model.accuracy.span * model.features.cadence
        verdicts: list[Verdict] = []
        stored = self.history.accuracy(model.name, since=since, until=window.end, version=version)
        states = [(w, AccuracyState.from_bytes(payload)) for w, _, payload in stored]
        verdicts += judge_accuracy(model, states, window, now, cv_error)
        verdicts += judge_estimated(model, states, window, now, cv_error)
        by_segment: dict[str, list[tuple[Window, AccuracyState]]] = {}
        for w, _, payload, segment in self.history.accuracy_segments(
            model.name, since=since, until=window.end, version=version
        ):
            by_segment.setdefault(segment, []).append((w, AccuracyState.from_bytes(payload)))
        for segment, parts in by_segment.items():
            verdicts += judge_accuracy(model, parts, window, now, cv_error, segment=segment)
        return verdicts


def pin_note(model: Model, version: str) -> str:
    """How history calls the reference of a version's training data."""
    return f"training data of {model.name} version {version}"


def _version_of(measured: Mapping[str, Mapping[str, AccuracyState]]) -> str:
    """The version most of the window's predictions came from; "" when there are none."""
    return max(measured, key=lambda v: (measured[v][""].predictions, v), default="")


def _known_newest(profile: Profile, earlier: Sequence[tuple[Window, Profile]]) -> Profile:
    """The profile with the newest event time that the table held when its window ended: an empty window adds none."""
    if profile.newest is not None or not earlier:
        return profile
    return replace(profile, newest=earlier[-1][1].newest)


def _unsettled(table: Table, drift: Drift, window: Window, known: int) -> Verdict:
    """Drift can't be judged before the table has a reference that stays."""
    missing = max(1, FIRST_REFERENCE - known)
    reason = f"{known} windows are known; the reference that drift is measured against needs {FIRST_REFERENCE}"
    expected = Range(-math.inf, math.inf, math.nan, missing)
    return Verdict("learning", table.id, "", drift.distance, "", window, math.nan, expected, "none", reason, "drift")


def _spans(reference: Reference, known: Sequence[tuple[Window, Profile]], windows: int) -> list[Profile]:
    """The reference's own time in spans of `windows` windows, each merged, without segments."""
    time = reference.profile.window
    inside = [
        p for w, p in sorted(known, key=lambda pair: pair[0]) if time and w.start >= time.start and w.end <= time.end
    ]
    whole = [replace(p, segments={}) for p in inside if p.rows and p.fingerprint == reference.profile.fingerprint]
    return [Profile.merged(whole[i : i + windows]) for i in range(0, len(whole) - windows + 1, windows)]


def _telling(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What is worth a row in history: what failed, what is not judged, drift, and the whole table's numbers.

    Passed metrics of single fields are left out: their values are in the window's profile, their ranges follow from it.
    """
    return [v for v in verdicts if v.status != "passed" or v.detector == "drift" or not (v.field or v.segment)]


def _called(function: Callable[..., Any], *arguments: Any, what: str, error: type[MlobsError]) -> Any:
    """The result of a user's function; what it raises becomes one clear error."""
    try:
        return function(*arguments)
    except MlobsError:
        raise
    except Exception as failure:
        raise error(f"{what} failed: {type(failure).__name__}: {failure}") from failure
