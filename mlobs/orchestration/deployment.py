"""What one set of Dagster definitions works on: models, and where their data, memory and versions live.

Opens warehouse, history and tracking only when a run or a sensor needs them, once per process. The one place below
the command line where the clock is read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dagster as dg

from mlobs.errors import MlobsError, SpecError, TrackingError, WarehouseLocked
from mlobs.orchestration.calendar import Family, families
from mlobs.spec import Model, Monitor, Table, monitors_of

if TYPE_CHECKING:
    from mlobs.alerts import Route
    from mlobs.detectors.verdict import Verdict
    from mlobs.engines import Engine
    from mlobs.expectation import Expectation
    from mlobs.history import History
    from mlobs.monitor import Monitoring
    from mlobs.tracking import Tracking

Clock = Callable[[], datetime]
_OPENING = threading.RLock()


def wall_clock() -> datetime:
    """The time of this machine, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Deployment:
    """Models with the addresses of what they live on.

    Args:
        models: the models, at least one.
        warehouse: URL of the warehouse, as `mlobs.engines.connect` takes it.
        history: URL of mlobs' own memory (SQLAlchemy).
        tracking: URI of the MLflow store.
        clock: tells `now`; replays pass their own.
        routes: where alerts go.
        report: path or URL of the HTML report, linked from performance.
        ui: address of Dagster's UI, linked from alerts.
        keys: table id -> asset key of an asset that is defined elsewhere; mlobs then adds only its checks.
        pool: Dagster pool of the ops that write to the warehouse.
        identity: of this process among others that evaluate the same sensors.
    """

    models: tuple[Model, ...]
    warehouse: str = field(repr=False)  # addresses may hold passwords
    history_url: str = field(repr=False)
    tracking_uri: str = field(repr=False)
    clock: Clock = wall_clock
    routes: tuple[Route, ...] = ()
    report: str = ""
    ui: str = ""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pool: str = "warehouse"
    identity: str = field(default_factory=lambda: uuid4().hex, repr=False, compare=False)
    _estimators: dict[str, tuple[str, Any, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.models:
            raise SpecError("nothing to define: give at least one mlobs.Model")
        known = {table.id for model in self.models for table in model.tables.values()}
        for table in self.keys:
            if table not in known:
                raise SpecError(f"keys: {table!r} is no table of any model; known: {', '.join(sorted(known))}")
        _ = self.families  # contradictions between models show when definitions are made

    @cached_property
    def families(self) -> tuple[Family, ...]:
        return families(self.models)

    @cached_property
    def engine(self) -> Engine:
        from mlobs.engines import connect

        return connect(self.warehouse)

    @cached_property
    def history(self) -> History:
        from mlobs.history import History

        with _OPENING:
            return History(self.history_url)

    @cached_property
    def monitoring(self) -> Monitoring:
        from mlobs.monitor import Monitoring

        return Monitoring(self.models, self.engine, self.history)

    @cached_property
    def tracking(self) -> Tracking:
        from mlobs.tracking import Tracking

        return Tracking(self.tracking_uri)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Every table once."""
        return tuple(table for family in self.families for table in family.tables)

    @property
    def name(self) -> str:
        """Sensors of the whole deployment are named after its first family."""
        return self.families[0].name

    def now(self) -> datetime:
        return self.clock()

    def champion(self, model: Model) -> tuple[str, Any, Expectation | None]:
        """The deployed version, its estimator, and what is expected of its accuracy; loaded once per version.

        Raises:
            TrackingError: there is none yet, or it can't be loaded.
        """
        version = self.tracking.champion(model.name)
        if version is None:
            mend = (
                f"run the job {model.name}_retrain to train the first version"
                if model.train is not None
                else "register a version in MLflow and give it the alias 'champion'"
            )
            raise TrackingError(f"model {model.name!r} has no champion yet: {mend}")
        kept = self._estimators.get(model.name)
        if kept is None or kept[0] != version.version:
            kept = (version.version, self.tracking.load(version), self.tracking.load_expectation(version))
            self._estimators[model.name] = kept
        return kept

    def picture(self, verdict: Verdict) -> str | None:
        """The history of a failed metric as an SVG text; None when there is too little to draw."""
        from mlobs.orchestration.pictures import draw

        return draw(self.history, verdict)

    # Who uses a table, and which checks it gets

    def users(self, table: Table) -> dict[Model, str]:
        """Model -> role, for every model that uses the table."""
        return {m: role for m in self.models for role, t in m.tables.items() if t.id == table.id}

    def monitors(self, table: Table) -> tuple[Monitor, ...]:
        """The monitors that watch a table, over all its models, in the order checks are shown."""
        return tuple(monitors_of(self.models, table).values())

    # Asset keys

    def table_key(self, table: Table) -> dg.AssetKey:
        return dg.AssetKey(list(self.keys.get(table.id, table.path)))

    @staticmethod
    def model_key(model: Model, part: str) -> dg.AssetKey:
        """Key of `performance`, `training_set` or `model`, below the model's name."""
        return dg.AssetKey([model.name, part])

    def produced(self, table: Table) -> bool:
        """Whether mlobs fills the table: it has a `load`, or holds predictions that mlobs makes."""
        if table.id in self.keys:
            return False
        return table.load is not None or any(
            role == "predictions" and model.predicts for model, role in self.users(table).items()
        )

    def lineage(self) -> dict[str, list[str]]:
        """Table or performance -> what it is made of, in the names that verdicts carry."""
        from mlobs.incidents import lineage_of

        return lineage_of(self.models)


@contextmanager
def clear_failures(**metadata: Any) -> Iterator[None]:
    """Errors raised on purpose become Dagster failures with their own words.

    Only what may go away by itself is tried again: a locked warehouse, a connection that broke or timed out.
    """
    try:
        yield
    except (WarehouseLocked, ConnectionError, TimeoutError) as error:
        raise dg.RetryRequested(max_retries=2, seconds_to_wait=10) from error
    except MlobsError as error:
        raise dg.Failure(
            description=str(error), metadata={"error": type(error).__name__, **metadata}, allow_retries=False
        ) from error
