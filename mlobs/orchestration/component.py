"""`mlobs.ModelMonitor`: the same declaration in YAML, as a Dagster component; thin over `build_definitions`."""

import importlib
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Annotated, Any, Literal

import dagster as dg
import pandas as pd
from dagster.components import Scaffolder, ScaffoldRequest

from mlobs.errors import SpecError, nearest
from mlobs.orchestration.definitions import build_definitions
from mlobs.spec import DEFAULT_MONITORS, Field, Model, Monitor, Retraining, Table, trainable

MONITORS: dict[str, type[Monitor]] = {monitor.check: type(monitor) for monitor in DEFAULT_MONITORS}


def imported(path: str | None, what: str, usable: Callable[[Any], bool] = callable) -> Any:
    """The object at an import path, `package.module:name` or `package.module.name`.

    Raises:
        SpecError: nothing is there, or it isn't `usable`; names what the path is for.
    """
    if not path:
        return None
    module_name, _, name = path.replace(":", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SpecError(f"{what}: can't import {module_name!r} ({error}); give package.module:function") from error
    found = getattr(module, name, None)
    if not usable(found):
        known = [n for n, value in vars(module).items() if usable(value) and not n.startswith("_")]
        raise SpecError(f"{what}: {module_name!r} has no function {name!r}; {nearest(name, known)}")
    return found


def length(value: Any, what: str) -> timedelta:
    """A length of time from a text such as `14 days` or `6h`.

    Raises:
        SpecError: it can't be read.
    """
    try:
        found = pd.Timedelta(value).to_pytimedelta()
    except (ValueError, TypeError) as error:
        raise SpecError(f"{what}: {value!r} is no length of time; write it like '14 days' or '6h'") from error
    if not isinstance(found, timedelta):
        raise SpecError(f"{what}: {value!r} is no length of time")
    return found


def options(kind: type[Any], given: Mapping[str, Any], what: str) -> Any:
    """A declaration of `kind` from options by name; texts become lengths of time where one is wanted.

    Raises:
        SpecError: an option is unknown, with the nearest name, or has a value that `kind` refuses.
    """
    known = {field.name: field for field in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise SpecError(f"{what}: option {name!r} is unknown; {nearest(name, known)}")
        wanted = "timedelta" in str(known[name].type)
        values[name] = length(value, f"{what}: {name}") if wanted and value is not None else value
        if isinstance(value, list):
            values[name] = tuple(value)
    try:
        return kind(**values)
    except TypeError as error:
        raise SpecError(f"{what}: {error}") from error


def _text(_: dg.ResolutionContext, value: Any) -> str:
    return str(value)


def _texts(_: dg.ResolutionContext, value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value]


Instant = Annotated[str, dg.Resolver(_text, model_field_type=str)]
Names = Annotated[list[str], dg.Resolver(_texts, model_field_type=str | list[str])]


class FieldConf(dg.Model, dg.Resolvable):
    """A column under observation."""

    name: str
    kind: Literal["numeric", "categorical", "boolean", "text", "timestamp"] | None = None
    description: str = ""
    unit: str = ""
    sensitive: bool = False


class TableConf(dg.Model, dg.Resolvable):
    """A warehouse table; `load` is the import path of `load(window) -> DataFrame`."""

    name: str
    time: str
    key: Names
    fields: list[FieldConf] = []
    segments: list[str] = []
    schema_name: str = ""
    load: str | None = None
    cadence: str = "1 day"
    start: Instant | None = None
    end: Instant | None = None
    false_alarms_per_month: float = 1.0
    description: str = ""
    owners: list[str] = []
    tags: dict[str, str] = {}

    def declared(self) -> Table:
        """The same as a `mlobs.Table`."""
        what = f"table {self.name!r}"
        return Table(
            self.name,
            time=self.time,
            key=tuple(self.key),
            fields=tuple(Field(**dict(field)) for field in self.fields),
            segments=tuple(self.segments),
            schema=self.schema_name,
            load=imported(self.load, f"{what}: load"),
            cadence=length(self.cadence, f"{what}: cadence"),
            start=self.start,  # type: ignore[arg-type]  # Table reads instants from text
            end=self.end,  # type: ignore[arg-type]
            false_alarms_per_month=self.false_alarms_per_month,
            description=self.description,
            owners=tuple(self.owners),
            tags=tuple(sorted(self.tags.items())),
        )


class MonitorConf(dg.Model, dg.Resolvable):
    """A monitor by the name of its check; `options` as in its Python class."""

    check: Literal["field_health", "drift", "freshness", "volume", "mix", "schema", "accuracy"]
    on: list[str] | None = None
    blocking: bool | None = None
    options: dict[str, Any] = {}

    def declared(self) -> Monitor:
        """The same as a `mlobs` monitor."""
        stated = {name: value for name, value in (("on", self.on), ("blocking", self.blocking)) if value is not None}
        found: Monitor = options(MONITORS[self.check], {**self.options, **stated}, f"monitor {self.check}")
        return found


class RouteConf(dg.Model, dg.Resolvable):
    """Where alerts go: the name of the environment variable with the receiver's URL; `options` as in `mlobs.Route`."""

    url_env: str
    severity: Literal["warn", "error", "critical"] = "warn"
    options: dict[str, Any] = {}

    def declared(self) -> Any:
        """The same as a `mlobs.Route`."""
        from mlobs.alerts import Route

        stated = {"url_env": self.url_env, "severity": self.severity}
        return options(Route, {**self.options, **stated}, f"alerts to {self.url_env}")


class ModelMonitorScaffolder(Scaffolder):
    """Writes a defs.yaml to start from."""

    def scaffold(self, request: ScaffoldRequest[Any]) -> None:
        folder = request.target_path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text(SCAFFOLD.format(type=request.type_name, name=folder.name.replace("-", "_")))


SCAFFOLD = textwrap.dedent(
    """\
    type: {type}

    attributes:
      model_name: {name}
      task: regression
      warehouse: duckdb:///data/warehouse.duckdb
      history: sqlite:///data/history.db
      tracking: sqlite:///data/mlflow.db
      features:
        name: features
        time: at
        key: id
        start: "2025-01-01"
        fields:
          - {{name: amount, kind: numeric}}
      predictions: {{name: predictions, time: at, key: id}}
      actuals: {{name: actuals, time: at, key: id}}
      prediction: predicted
      actual: actual
      # train: my_project.training:train        # train(frame) -> model, or a scikit-learn estimator
      # predict: my_project.training:predict    # predict(model, frame) -> predictions; left out: the model's own
    """
)


@dg.scaffold_with(ModelMonitorScaffolder)
class ModelMonitor(dg.Component, dg.Model, dg.Resolvable):
    """Features, predictions and actuals of one model, with learned checks, alerts and a retraining sensor.

    Attributes are those of `mlobs.Model` and `mlobs.build_definitions`; functions are import paths. `monitors` left out
    means the defaults; `retraining: {}` the default policy, `retraining: null` none.
    """

    model_name: str
    task: Literal["regression", "binary", "multiclass"]
    features: TableConf
    predictions: TableConf
    actuals: TableConf
    prediction: str
    actual: str
    warehouse: str
    history: str = "sqlite:///mlobs_history.db"
    tracking: str = "sqlite:///mlflow.db"
    version: str = "model_version"
    inputs: list[str] = []
    monitors: list[MonitorConf] | None = None
    train: str | None = None
    predict: str | None = None
    retraining: dict[str, Any] | None = {}
    description: str = ""
    owners: list[str] = []
    tags: dict[str, str] = {}
    report: str = ""
    ui: str = ""
    alerts: list[RouteConf] = []
    cron: str | None = None
    pool: str | None = None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(
            description="One ML model under observation: assets, learned checks, alerts, retraining.",
            tags=["ml", "observability"],
        )

    def declared(self) -> Model:
        """The same as a `mlobs.Model`.

        Raises:
            SpecError: the declaration contradicts itself, or an import path leads nowhere.
        """
        where = f"model {self.model_name!r}"
        monitors: Sequence[Monitor] = (
            DEFAULT_MONITORS if self.monitors is None else [m.declared() for m in self.monitors]
        )
        policy = None if self.retraining is None else options(Retraining, self.retraining, f"{where}: retraining")
        return Model(
            self.model_name,
            task=self.task,
            features=self.features.declared(),
            predictions=self.predictions.declared(),
            actuals=self.actuals.declared(),
            prediction=self.prediction,
            actual=self.actual,
            version=self.version,
            inputs=tuple(self.inputs),
            monitors=tuple(monitors),
            train=imported(self.train, f"{where}: train", trainable),
            predict=imported(self.predict, f"{where}: predict"),
            retraining=policy,
            description=self.description,
            owners=tuple(self.owners),
            tags=tuple(sorted(self.tags.items())),
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of this model."""
        return build_definitions(
            [self.declared()],
            self.warehouse,
            history=self.history,
            tracking=self.tracking,
            report=self.report,
            ui=self.ui,
            routes=[route.declared() for route in self.alerts],
            cron=self.cron,
            pool=self.pool,
        )
