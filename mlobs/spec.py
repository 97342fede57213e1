"""What a user declares: fields, tables, monitors, the retraining policy, models. Frozen, validated, fingerprinted; no I/O.

A declaration is checked when it is made: a `SpecError` names the model, table or field and the mend. The fingerprint
covers what changes the meaning of remembered numbers; code (`train`, `predict`, `load`) and descriptions don't enter it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import pandas as pd

from mlobs.errors import SpecError, nearest
from mlobs.windows import DAY, Window, instant

FieldKind = Literal["numeric", "categorical", "boolean", "text", "timestamp"]
Task = Literal["regression", "binary", "multiclass"]
Role = Literal["features", "predictions", "actuals"]

MAX_SEGMENT_FIELDS = 2


def _choice(value: str, allowed: Any, what: str) -> None:
    names = get_args(allowed)
    if value not in names:
        raise SpecError(f"{what}: {value!r} is unknown; {nearest(str(value), names)}")


def _named(value: str, what: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{what}: a name must be a non-empty text, got {value!r}")


def _unique(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SpecError(f"{what}: {name!r} is declared twice")
        seen.add(name)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Field:
    """A column under observation.

    Args:
        name: the column's name, as the warehouse spells it.
        kind: what it holds; None lets the engine derive it from the column's type.
        description: shown in Dagster and the report.
        unit: unit of a numeric field ("min", "mph"), shown beside values.
        sensitive: categories of this field are remembered and shown only as hashes: in history, metadata, messages and
            the report. It can't be a segment.
    """

    name: str
    kind: FieldKind | None = None
    description: str = ""
    unit: str = ""
    sensitive: bool = False

    def __post_init__(self) -> None:
        _named(self.name, "field")
        if self.kind is not None:
            _choice(self.kind, FieldKind, f"field {self.name!r}: kind")


@dataclass(frozen=True)
class Table:
    """A warehouse table with a time column and a key, in one role for one or many models.

    Args:
        name: the table's name in the warehouse.
        time: the time column that places a row in a window.
        key: column(s) that identify a row.
        fields: `Field`s or names to observe; empty means every column but key, time and segments' own repetition.
        segments: at most two categorical fields whose values split the table.
        schema: database schema the table lives in.
        load: `load(window) -> DataFrame`, the rows of that window; mlobs then makes a Dagster asset that lands them.
            Without it the table is filled elsewhere and monitored in place.
        cadence: length of one window; one window is one partition.
        start: first instant of the table's history (required by Dagster for partitions).
        end: instant after the last window, for a table that is complete; None while it grows.
        false_alarms_per_month: the budget that all learned tests of this table share.
        description, owners, tags: shown in Dagster; an owner is an email or `team:name`.

    Raises:
        SpecError: names the table and the mend.
    """

    name: str
    time: str
    key: str | tuple[str, ...]
    fields: tuple[Field, ...] = ()
    segments: tuple[str, ...] = ()
    schema: str = ""
    load: Callable[[Window], pd.DataFrame] | None = field(default=None, compare=False, repr=False)
    cadence: timedelta = DAY
    start: datetime | None = None
    end: datetime | None = None
    false_alarms_per_month: float = 1.0
    description: str = field(default="", compare=False)
    owners: tuple[str, ...] = field(default=(), compare=False)
    tags: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        _named(self.name, "table")
        where = f"table {self.name!r}"
        _named(self.time, f"{where}: time")
        keys = (self.key,) if isinstance(self.key, str) else tuple(self.key)
        if not keys:
            raise SpecError(f"{where}: name at least one key column")
        object.__setattr__(self, "key", keys)
        declared = tuple(f if isinstance(f, Field) else Field(f) for f in self.fields)
        object.__setattr__(self, "fields", declared)
        segments = (self.segments,) if isinstance(self.segments, str) else tuple(self.segments)
        object.__setattr__(self, "segments", segments)
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, instant(getattr(self, name)))
        if isinstance(self.tags, dict):
            object.__setattr__(self, "tags", tuple(sorted(self.tags.items())))
        object.__setattr__(self, "owners", tuple(self.owners))
        _unique((f.name for f in declared), f"{where}: fields")
        _unique(segments, f"{where}: segments")
        if len(segments) > MAX_SEGMENT_FIELDS:
            raise SpecError(f"{where}: at most {MAX_SEGMENT_FIELDS} segment fields, got {len(segments)}")
        known = {f.name for f in declared}
        for name in segments:
            if declared and name not in known:
                raise SpecError(f"{where}: segment {name!r} is no declared field; {nearest(name, known)}")
        for name in segments:
            if name in self.sensitive:
                raise SpecError(
                    f"{where}: segment {name!r} is sensitive, and the names of segments are remembered and shown;"
                    " split by another field, such as one that holds a hash of it"
                )
        if not self.false_alarms_per_month > 0:
            raise SpecError(f"{where}: false_alarms_per_month must be above 0, got {self.false_alarms_per_month}")
        if self.cadence <= timedelta(0):
            raise SpecError(f"{where}: cadence must be a positive length, got {self.cadence}")
        if self.start and self.end and self.end <= self.start:
            raise SpecError(f"{where}: end {self.end} must be after start {self.start}")

    @property
    def id(self) -> str:
        """Name with its schema, as verdicts and history call it: `flights.features`."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def path(self) -> tuple[str, ...]:
        """(schema, name) or (name,): the parts of the identifier, and of the Dagster asset key."""
        return (self.schema, self.name) if self.schema else (self.name,)

    @property
    def keys(self) -> tuple[str, ...]:
        return self.key if isinstance(self.key, tuple) else (self.key,)

    @property
    def sensitive(self) -> frozenset[str]:
        """Names of the fields whose values are remembered and shown only as hashes."""
        return frozenset(f.name for f in self.fields if f.sensitive)

    def field(self, name: str) -> Field:
        """The declared field of that name.

        Raises:
            SpecError: when there is none, with the nearest name.
        """
        for declared in self.fields:
            if declared.name == name:
                return declared
        raise SpecError(f"table {self.id!r} has no field {name!r}; {nearest(name, [f.name for f in self.fields])}")

    @property
    def fingerprint(self) -> str:
        """16 hex digits over all that gives remembered numbers their meaning."""
        return _digest(
            {
                "table": self.path,
                "time": self.time,
                "key": self.keys,
                "fields": [(f.name, f.kind, f.sensitive) for f in self.fields],
                "segments": self.segments,
                "cadence": self.cadence.total_seconds(),
            }
        )


@dataclass(frozen=True)
class Monitor:
    """Common to all monitors: where one runs, and whether a failure stops what lies downstream.

    Args:
        on: roles whose tables it watches.
        blocking: an `error` verdict stops prediction on that window (the circuit breaker); `warn` never does.
    """

    on: tuple[Role, ...] = ("features",)
    blocking: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "on", (self.on,) if isinstance(self.on, str) else tuple(self.on))
        for role in self.on:
            _choice(role, Role, f"monitor {self.check}: on")

    @property
    def check(self) -> str:
        """Name of the Dagster asset check this monitor becomes."""
        return {"FieldHealth": "field_health"}.get(type(self).__name__, type(self).__name__.lower())


@dataclass(frozen=True)
class FieldHealth(Monitor):
    """Every metric of every field against its learned range; never-seen values."""

    on: tuple[Role, ...] = ("features", "predictions")
    blocking: bool = True


@dataclass(frozen=True)
class Drift(Monitor):
    """Distance of a window (or `windows` merged ones) from the reference.

    Args:
        distance: which distance is judged.
        floor: effect size below which nothing is called drift, whatever the sample size.
        windows: how many of the newest windows are merged before they are compared.
    """

    on: tuple[Role, ...] = ("features", "predictions")
    distance: Literal["psi", "jensen_shannon", "hellinger", "ks", "wasserstein", "total_variation"] = "psi"
    floor: float = 0.1
    windows: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.floor >= 0:
            raise SpecError(f"monitor drift: floor must be 0 or more, got {self.floor}")
        if self.windows < 1:
            raise SpecError(f"monitor drift: windows must be at least 1, got {self.windows}")


@dataclass(frozen=True)
class Freshness(Monitor):
    """Arrival against the learned cadence, and the newest event time inside the data."""

    on: tuple[Role, ...] = ("features", "actuals")
    blocking: bool = True


@dataclass(frozen=True)
class Volume(Monitor):
    """Rows per window against what this weekday and trend predict. Predictions have as many rows as their features."""

    on: tuple[Role, ...] = ("features", "actuals")
    blocking: bool = True


@dataclass(frozen=True)
class Mix(Monitor):
    """Share of each segment and category."""

    on: tuple[Role, ...] = ("features",)
    blocking: bool = True


@dataclass(frozen=True)
class Schema(Monitor):
    """Columns added, removed, retyped against the reference."""

    on: tuple[Role, ...] = ("features", "predictions", "actuals")
    blocking: bool = True


@dataclass(frozen=True)
class Accuracy(Monitor):
    """The model's error on mature windows: against its limit, and against a naive baseline.

    A window fails when one of the limits that are set is broken with confidence (the uncertainty of the trailing
    `span` windows is taken into account):

    Args:
        metric: the error that is watched; None takes `mae`, `log_loss` or `error_rate` by task.
        maximum: fixed limit, in the metric's unit.
        relative: limit as a multiple of the deployed version's cross-validated error; None switches it off.
        min_skill: lowest accepted 1 - error / naive error; below it the model is worse than its naive baseline
            (training median or class prior) by more than chance explains. None switches it off.
        learned: also hold each window's error against the range that the version's earlier windows predict.
        naive: the baseline of skill: `constant` is what the training data prefers (median or mean, share of positives,
            commonest class), `previous` the mean, share or commonest class of the newest window whose labels were known
            when the window began.
        span: how many of the newest mature windows are judged together.
        min_rows: labelled rows a span must have to be judged.
        maturity: age after which a window's labels count as complete; None learns it from how labels came in before.
        min_coverage: share of predictions that must have a label before a window is judged.
    """

    on: tuple[Role, ...] = ()
    metric: str | None = None
    maximum: float | None = None
    relative: float | None = 1.25
    min_skill: float | None = 0.0
    learned: bool = False
    naive: Literal["constant", "previous"] = "constant"
    span: int = 14
    min_rows: int = 100
    maturity: timedelta | None = DAY
    min_coverage: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        where = "monitor accuracy"
        if self.maximum is None and self.relative is None and self.min_skill is None and not self.learned:
            raise SpecError(f"{where}: set at least one limit: maximum, relative, min_skill or learned")
        _choice(self.naive, Literal["constant", "previous"], f"{where}: naive")
        if self.relative is not None and not self.relative > 0:
            raise SpecError(f"{where}: relative must be above 0, got {self.relative}")
        if self.span < 1 or self.min_rows < 1:
            raise SpecError(f"{where}: span and min_rows must be at least 1, got {self.span} and {self.min_rows}")
        if not 0 <= self.min_coverage <= 1:
            raise SpecError(f"{where}: min_coverage must lie in [0, 1], got {self.min_coverage}")


DEFAULT_MONITORS: tuple[Monitor, ...] = (FieldHealth(), Drift(), Freshness(), Volume(), Mix(), Schema(), Accuracy())


@dataclass(frozen=True)
class Signal:
    """A table in which others ask for training: each new row (a price list came, a share was refreshed) is one request.

    Args:
        table: its name in the warehouse, with its schema as `ops.requests`.
        time: timestamp column that says when a row was written.
        note: text column that says why, shown as the reason; "" when there is none.
    """

    table: str
    time: str
    note: str = ""

    def __post_init__(self) -> None:
        _named(self.table, "retraining: signal")
        _named(self.time, f"retraining: signal {self.table!r}: time")

    @property
    def path(self) -> tuple[str, ...]:
        """(schema, name) or (name,)."""
        return tuple(self.table.split("."))


@dataclass(frozen=True)
class Retraining:
    """When a model is trained again, and what the new version must show. All lengths count in data time.

    Args:
        failures: consecutive mature windows whose accuracy check must have failed.
        on_estimate: also retrain when the estimated accuracy has failed in that many windows, before labels come.
        on_drift: also retrain when drift of an important feature lasts that many windows.
        signal: also retrain when others ask for it by a new row in a table of theirs.
        every: also retrain when the last training is that long ago; a floor, subject to budget and data faults.
        cooldown: shortest time between two trainings.
        monthly_budget: most trainings in any 30 days.
        min_new_labels: labelled rows since the last training below which a new one would learn nothing.
        history: how far back the training set reaches; None means all.
        holdout: newest mature windows, all later than the champion's training data, on which challenger and champion are
            compared; the challenger is scored on each out of sample. Four weeks of days by default, twice the `span` of
            windows that accuracy is judged on: those whose failure called for the training are chosen by it, and bad luck is
            part of every failure, so a champion that lost by chance would look worse on them alone than it is.
        refit: deploy the challenger's recipe fitted on all windows, the held-out ones included, since what is newest
            matters most after a change; the comparison then scores the recipe in two pieces, each fitted on all before
            it. False deploys the very estimator that was compared, which has not seen the held-out windows.
        margin: relative improvement of the error the challenger must show to be promoted.
        confidence: one-sided confidence with which it must be better by the margin.
        shadow: windows that a challenger which won the comparison is first watched on, beside the champion that goes on
            serving; it is promoted if its error is lower by the margin on these too (the confidence was shown before).
            They come after its training and were not chosen by the champion's failure, so chance favours neither.
            0 promotes at once.
        folds: time-ordered cross-validation folds.
        hold_windows: a data fault within this many newest windows of the training set holds retraining; older
            faulty windows are left out of the training set and named.
        seed: recorded with every run.
    """

    failures: int = 3
    on_estimate: bool = False
    on_drift: bool = False
    signal: Signal | None = None
    every: timedelta | None = None
    cooldown: timedelta = timedelta(days=14)
    monthly_budget: int = 2
    min_new_labels: int = 500
    history: timedelta | None = None
    holdout: int = 28
    refit: bool = True
    margin: float = 0.0
    confidence: float = 0.95
    shadow: int = 0
    folds: int = 3
    hold_windows: int = 7
    seed: int = 20130101

    def __post_init__(self) -> None:
        where = "retraining"
        for name, least in (
            ("failures", 1),
            ("monthly_budget", 1),
            ("min_new_labels", 0),
            ("holdout", 1),
            ("folds", 2),
            ("hold_windows", 0),
            ("shadow", 0),
        ):
            if getattr(self, name) < least:
                raise SpecError(f"{where}: {name} must be at least {least}, got {getattr(self, name)}")
        if self.every is not None and self.every <= timedelta(0):
            raise SpecError(f"{where}: every must be a positive length, got {self.every}")
        if self.cooldown < timedelta(0):
            raise SpecError(f"{where}: cooldown can't be negative, got {self.cooldown}")
        if not 0 <= self.margin < 1:
            raise SpecError(f"{where}: margin must lie in [0, 1), got {self.margin}")
        if not 0.5 <= self.confidence < 1:
            raise SpecError(f"{where}: confidence must lie in [.5, 1), got {self.confidence}")


@dataclass(frozen=True)
class Model:
    """A deployed model under observation.

    Args:
        name: the registered model's name, and the group of its assets.
        task: `regression`, `binary` or `multiclass`.
        features, predictions, actuals: its tables; they share the key columns. A `Table` may serve many models.
        prediction: column of `predictions` with the prediction (a probability for `binary`, a label for
            `multiclass`).
        actual: column of `actuals` with the truth; null means not known.
        version: column of `predictions` with the model version that made the row.
        expected: column of `predictions` with what is foretold of the row's accuracy when it is predicted: the expected
            absolute error (regression), the calibrated probability (`binary`), the probability that the label is right
            (`multiclass`). mlobs fills it where it trains and predicts; where predictions are made elsewhere their
            maker may. "" does without.
        probabilities: for `multiclass`, class -> column of `predictions` with its probability; `predict` then returns
            these, of shape (n_rows, n_classes) in this order, and the label is the likeliest class.
        monitors: `Monitor`s; the defaults when left out.
        train: `train(frame) -> model`, where the frame holds the feature fields and the actual; or a scikit-learn estimator
            or pipeline, which is cloned and fitted on them. A model is stored as skops (scikit-learn, and XGBoost's and
            LightGBM's estimators), as a booster's own format or as ONNX, never as pickle.
        predict: `predict(model, frame) -> sequence of len(frame)`; left out, the model's own `predict` or `predict_proba`,
            by task. Given without `train`, versions are registered in MLflow by others.
        retraining: the policy; None means that nothing retrains by itself.
        inputs: feature fields handed to `train` and `predict`; empty means every declared field of `features`.
        description, owners, tags: shown in Dagster.

    Raises:
        SpecError: names the model and the mend.
    """

    name: str
    task: Task
    features: Table
    predictions: Table
    actuals: Table
    prediction: str
    actual: str
    version: str = "model_version"
    expected: str = "expected_accuracy"
    probabilities: tuple[tuple[str, str], ...] = ()
    monitors: tuple[Monitor, ...] = DEFAULT_MONITORS
    train: Any = field(default=None, compare=False, repr=False)
    predict: Callable[[Any, pd.DataFrame], Any] | None = field(default=None, compare=False, repr=False)
    retraining: Retraining | None = Retraining()
    inputs: tuple[str, ...] = ()
    description: str = field(default="", compare=False)
    owners: tuple[str, ...] = field(default=(), compare=False)
    tags: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        _named(self.name, "model")
        where = f"model {self.name!r}"
        if not all(c.isalnum() or c == "_" for c in self.name):
            raise SpecError(
                f"{where}: a name may hold letters, digits and _ only, since Dagster groups are named after it"
            )
        _choice(self.task, Task, f"{where}: task")
        object.__setattr__(self, "monitors", tuple(self.monitors))
        pairs = self.probabilities.items() if isinstance(self.probabilities, dict) else self.probabilities
        object.__setattr__(self, "probabilities", tuple((str(name), column) for name, column in pairs))
        if self.probabilities and self.task != "multiclass":
            raise SpecError(f"{where}: probabilities by class are for multiclass models; a {self.task} model has none")
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "owners", tuple(self.owners))
        if isinstance(self.tags, dict):
            object.__setattr__(self, "tags", tuple(sorted(self.tags.items())))
        _unique((m.check for m in self.monitors), f"{where}: monitors")
        _unique((t.id for t in self.tables.values()), f"{where}: tables")
        for role in ("predictions", "actuals"):
            table = self.tables[role]
            if table.keys != self.features.keys:
                raise SpecError(
                    f"{where}: {role} table {table.id!r} is keyed by {table.keys}, features by {self.features.keys};"
                    " predictions, actuals and features are joined on one key"
                )
            if table.cadence != self.features.cadence:
                raise SpecError(f"{where}: {role} table {table.id!r} has another cadence than features")
        known = [f.name for f in self.features.fields]
        for name in self.inputs:
            if known and name not in known:
                raise SpecError(f"{where}: input {name!r} is no field of {self.features.id!r}; {nearest(name, known)}")
        if self.train is not None and not trainable(self.train):
            raise SpecError(
                f"{where}: train must be a function of a frame or an unfitted scikit-learn estimator, got {self.train!r}"
            )
        if self.train is not None and not (self.inputs or known):
            raise SpecError(
                f"{where}: declare the fields of {self.features.id!r} or the model's inputs, to train on them"
            )

    @property
    def tables(self) -> dict[str, Table]:
        """Role -> table, from upstream to downstream."""
        return {"features": self.features, "predictions": self.predictions, "actuals": self.actuals}

    @property
    def input_names(self) -> tuple[str, ...]:
        """The feature fields that the model is trained on."""
        return self.inputs or tuple(f.name for f in self.features.fields)

    @property
    def predicts(self) -> bool:
        """Whether mlobs makes the model's predictions, in place of somebody else."""
        return self.predict is not None or self.train is not None

    def monitors_on(self, role: str) -> tuple[Monitor, ...]:
        """The monitors that watch the table in that role."""
        return tuple(m for m in self.monitors if role in m.on)

    @property
    def accuracy(self) -> Accuracy | None:
        """The accuracy monitor, if there is one."""
        return next((m for m in self.monitors if isinstance(m, Accuracy)), None)

    @property
    def fingerprint(self) -> str:
        """16 hex digits over tables, task, columns and limits."""
        limits = {m.check: {f.name: getattr(m, f.name) for f in fields(m)} for m in self.monitors}
        columns = (self.task, self.prediction, self.actual, self.version, self.input_names)
        return _digest({"tables": [t.fingerprint for t in self.tables.values()], "columns": columns, "limits": limits})


def trainable(value: Any) -> bool:
    """Whether it can be given as `Model.train`: a function, or an estimator as scikit-learn defines one (not its class)."""
    if isinstance(value, type):
        return False
    return callable(value) or (hasattr(value, "fit") and hasattr(value, "get_params"))


def monitors_of(models: Iterable[Model], table: Table) -> dict[str, Monitor]:
    """Check -> monitor of a table: the union over the models and roles it serves, in the order of `DEFAULT_MONITORS`.

    Where declarations differ, one that blocks wins. Checks block prediction, so only those on features can.
    """
    found: dict[str, Monitor] = {}
    for model in models:
        for role, used in model.tables.items():
            if used.id != table.id:
                continue
            for declared in model.monitors_on(role):
                monitor = declared if role == "features" else replace(declared, blocking=False)
                if monitor.check not in found or monitor.blocking:
                    found[monitor.check] = monitor
    order = [monitor.check for monitor in DEFAULT_MONITORS]
    return dict(sorted(found.items(), key=lambda pair: order.index(pair[0])))
