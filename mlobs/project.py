"""One declaration of everything a team runs: models, warehouse, history, tracking, routes; and how to find and open it.

The command line and scripts work on a `Project`. Nothing is opened before it is used, Dagster is never imported, and
the clock is read by the caller's edge, not here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from mlobs.errors import HistoryError, MlobsError, SpecError, nearest

if TYPE_CHECKING:
    from mlobs.alerts import Route
    from mlobs.engines import Engine
    from mlobs.history import History
    from mlobs.monitor import Monitoring
    from mlobs.spec import Model, Table
    from mlobs.tracking import Tracking

VARIABLE = "MLOBS_PROJECT"
FILE_SCHEMES = ("duckdb", "sqlite")


@dataclass(frozen=True)
class Project:
    """Models, and where their data, memory and versions live.

    Args:
        models: the models under observation; names differ.
        warehouse: URL of the warehouse, as `mlobs.engines.connect` takes it.
        history: URL of what mlobs remembers (SQLAlchemy).
        tracking: URI of the MLflow store and registry.
        routes: where alerts go.
        report_dir: folder the HTML report is written to.
        report_url: where that folder is served, for links in messages and in Dagster; "" links to the folder itself.
        ui: address of Dagster's UI, for links in messages.
        clock: tells `now`; None means the wall clock of whoever acts. A replay passes its own.
        root: folder that relative paths in the URLs and `report_dir` start from; None means the working directory, or
            for a project found through pyproject.toml the folder of that file.

    Raises:
        SpecError: when there is no model, or two share a name.

    >>> Project(models=())
    Traceback (most recent call last):
    ...
    mlobs.errors.SpecError: project: give at least one mlobs.Model
    """

    models: tuple[Model, ...]
    warehouse: str = field(default="duckdb:///data/warehouse.duckdb", repr=False)  # addresses may hold passwords
    history: str = field(default="sqlite:///data/history.db", repr=False)
    tracking: str = field(default="sqlite:///data/mlflow.db", repr=False)
    routes: tuple[Route, ...] = ()
    report_dir: str | Path = "report"
    report_url: str = ""
    ui: str = ""
    clock: Callable[[], datetime] | None = field(default=None, compare=False, repr=False)
    root: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(self.models))
        object.__setattr__(self, "routes", tuple(self.routes))
        if not self.models:
            raise SpecError("project: give at least one mlobs.Model")
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise SpecError(f"project: two models are named {name!r}; names must differ")

    # What it declares

    @property
    def tables(self) -> dict[str, Table]:
        """Table id -> table, over all models, each once, upstream first."""
        found: dict[str, Table] = {}
        for role in ("features", "predictions", "actuals"):
            for model in self.models:
                found.setdefault(model.tables[role].id, model.tables[role])
        return found

    def model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            SpecError: when there is none, with the nearest name.
        """
        for model in self.models:
            if model.name == name:
                return model
        raise SpecError(f"no model {name!r} in this project; {nearest(name, [m.name for m in self.models])}")

    def table(self, name: str) -> Table:
        """The table of that id (`schema.name`), or of that name when only one has it.

        Raises:
            SpecError: when there is none, with the nearest name.
        """
        known = self.tables
        if name in known:
            return known[name]
        alike = [table for table in known.values() if table.name == name]
        if len(alike) == 1:
            return alike[0]
        raise SpecError(f"no table {name!r} in this project; {nearest(name, known)}")

    def lineage(self) -> dict[str, list[str]]:
        """Table or performance -> what it is made of, in the names that verdicts carry."""
        from mlobs.incidents import lineage_of

        return lineage_of(self.models)

    # Where it lives

    def placed(self, url: str) -> str:
        """`url` with a relative file path made absolute from `root`; other URLs as they are."""
        return placed(url, self.root)

    @property
    def report_folder(self) -> Path:
        return (self.root or Path()) / self.report_dir

    def history_file(self) -> Path | None:
        """The file of an SQLite history; None for a server's or an in-memory one."""
        return database_file(self.placed(self.history))

    def deployment(self) -> dict[str, Any]:
        """What `mlobs.build_definitions` takes beside the models: `build_definitions(project.models, **project.deployment())`."""
        given: dict[str, Any] = {
            "warehouse": self.placed(self.warehouse),
            "history": self.placed(self.history),
            "tracking": self.placed(self.tracking),
            "routes": self.routes,
            "report": self.report_url or str(self.report_folder / "index.html"),
            "ui": self.ui,
        }
        return given | ({"clock": self.clock} if self.clock else {})

    def open(self) -> Opened:
        """What the project lives on; each part opens when it is first asked for."""
        return Opened(self)


class Opened:
    """An open project: engine, history, monitoring and tracking, each made on first use. A context manager.

    Raises:
        WarehouseError, HistoryError, TrackingError: on first use of a part that can't be opened.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def engine(self) -> Engine:
        from mlobs.engines import connect

        url = self.project.placed(self.project.warehouse)
        _make_folder(url, "warehouse")
        return connect(url)

    @cached_property
    def history(self) -> History:
        from mlobs.history import History

        url = self.project.placed(self.project.history)
        _make_folder(url, "history")
        return History(url)

    @cached_property
    def remembered(self) -> History:
        """The history, which must exist: commands that only read make no empty one.

        Raises:
            HistoryError: when its file is missing.
        """
        file = self.project.history_file()
        if file is not None and not file.exists():
            raise HistoryError(
                f"no history at {file}: nothing has been checked yet, or the project's `history` points elsewhere;"
                " `mlobs backfill` or a Dagster run makes it"
            )
        return self.history

    @cached_property
    def monitoring(self) -> Monitoring:
        from mlobs.monitor import Monitoring

        return Monitoring(self.project.models, self.engine, self.history)

    @cached_property
    def tracking(self) -> Tracking:
        from mlobs.tracking import Tracking

        url = self.project.placed(self.project.tracking)
        _make_folder(url, "tracking")
        return Tracking(url)

    def close(self) -> None:
        """Closes what was opened."""
        for part in ("engine", "history", "remembered"):
            close = getattr(self.__dict__.pop(part, None), "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def placed(url: str, root: Path | None) -> str:
    """`url` with a relative file path made absolute from `root`; other URLs as they are.

    >>> placed("duckdb:///data/w.duckdb", Path("/srv/app"))
    'duckdb:////srv/app/data/w.duckdb'
    >>> placed("postgresql+psycopg://db/mlobs", Path("/srv/app"))
    'postgresql+psycopg://db/mlobs'
    """
    scheme, found, rest = url.partition(":///")
    if root is None or not found or scheme.split("+")[0] not in FILE_SCHEMES:
        return url
    if not rest or rest.startswith((":memory:", "/")):
        return url
    return f"{scheme}:///{root.absolute() / rest}"


def database_file(url: str) -> Path | None:
    """The file behind an embedded database's URL, None for a server or memory.

    >>> database_file("sqlite:///data/history.db"), database_file("postgresql+psycopg://db/mlobs")
    (PosixPath('data/history.db'), None)
    """
    scheme, found, rest = url.partition(":///")
    if not found or scheme.split("+")[0] not in FILE_SCHEMES or not rest or rest.startswith(":memory:"):
        return None
    return Path(rest.partition("?")[0])


def _make_folder(url: str, what: str) -> None:
    file = database_file(url)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HistoryError(f"{what} {file}: its folder can't be made ({reason}); choose another place") from error


# Finding the project


def find_spec(spec: str | None, folder: Path, environ: Mapping[str, str] = os.environ) -> tuple[str, Path]:
    """Which project to load, as `module:attribute`, and the folder its module is found from.

    In this order: `spec` (the -d option), the environment variable MLOBS_PROJECT, `[tool.mlobs] project` in the
    nearest pyproject.toml at or above `folder`.

    Raises:
        SpecError: when none of them says it, or pyproject.toml can't be read.
    """
    if spec:
        return spec, folder
    if environ.get(VARIABLE):
        return environ[VARIABLE], folder
    for parent in (folder, *folder.parents):
        file = parent / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            declared = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("mlobs", {}).get("project")
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SpecError(f"{file} can't be read: {error}") from error
        if declared:
            return str(declared), parent
    raise SpecError(
        "no project named: give -d module:attribute, set MLOBS_PROJECT, or write"
        ' [tool.mlobs] project = "module:attribute" into pyproject.toml (`mlobs init` does)'
    )


def load_project(spec: str | None = None, folder: Path | None = None) -> Project:
    """The project that `spec` (or MLOBS_PROJECT, or pyproject.toml) names.

    Args:
        spec: `module:attribute`, or `path/file.py:attribute`; the attribute is a `Project`, or a function without
            arguments that returns one. Without an attribute it is `project`.
        folder: where to look from; the working directory when None. Modules beside it can be imported.

    Raises:
        SpecError: names the module or attribute that is missing, with the nearest name, or what its import raised.
    """
    named, place = find_spec(spec, (folder or Path.cwd()).absolute())
    module_name, _, attribute = named.rpartition(":") if ":" in named else (named, "", "project")
    if not module_name or not attribute:
        raise SpecError(f"project {named!r}: write it as module:attribute, for example monitoring:project")
    _importable(place)
    module = _imported(module_name, place)
    value = _attribute(module, attribute, module_name)
    found = value() if callable(value) and not isinstance(value, Project) else value
    if not isinstance(found, Project):
        known = _projects(module)
        hint = nearest(attribute, known) if known else "that module holds no mlobs.Project"
        raise SpecError(f"{named!r} is a {type(found).__name__}, not an mlobs.Project; {hint}")
    return replace(found, root=found.root or place)


_FOLDERS: list[Path] = []
"""Folders of the projects that this process has loaded, all in sys.path."""


def _importable(folder: Path) -> None:
    """Modules in `folder` can be imported from now on, as with `python -m`; functions import lazily too.

    Python knows a module by its name alone, and most projects name theirs `monitoring`: modules of a project loaded
    earlier from another folder give way to those of the same name in this one.
    """
    path = str(folder)
    if _FOLDERS and path in sys.path:
        sys.path.remove(path)
    if path not in sys.path:
        sys.path.insert(0, path)
    for name in [name for name, module in sys.modules.items() if _shadows(name, module, folder)]:
        for known in [known for known in sys.modules if known == name or known.startswith(name + ".")]:
            del sys.modules[known]
    if folder not in _FOLDERS:
        _FOLDERS.append(folder)
    importlib.invalidate_caches()


def _shadows(name: str, module: ModuleType, folder: Path) -> bool:
    """Whether a module came from another project's folder, while `folder` has one of its name."""
    file = getattr(module, "__file__", None)
    if file is None:
        return False
    ways = [Path(*name.split(".")).with_suffix(".py"), Path(*name.split("."), "__init__.py")]
    there = any(Path(file) == other / way for other in _FOLDERS if other != folder for way in ways)
    return there and any((folder / way).is_file() for way in ways)


def _imported(name: str, folder: Path) -> ModuleType:
    """The module of that name, or in that file, with the user's errors said in one sentence."""
    try:
        return _module_in((folder / name).absolute()) if name.endswith(".py") else importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            beside = [f.stem for f in folder.glob("*.py")] + [f.parent.name for f in folder.glob("*/__init__.py")]
            raise SpecError(f"project module {name!r} can't be found from {folder}; {nearest(name, beside)}") from error
        raise SpecError(f"project module {name!r}: it imports {error.name!r}, which is not installed") from error
    except MlobsError as error:
        raise SpecError(f"project module {name!r}: {error}") from error
    except Exception as error:
        where = _line_of(error, Path(name).stem if name.endswith(".py") else name)
        raise SpecError(f"project module {name!r} fails on import{where}: {type(error).__name__}: {error}") from error


def _module_in(file: Path) -> ModuleType:
    """The module in a file; imported once, and again only when another file of that name was imported since."""
    if not file.is_file():
        known = [f.name for f in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise SpecError(f"file {file} doesn't exist; {nearest(file.name, known)}")
    _importable(file.parent)
    found = sys.modules.get(file.stem)
    if found is not None and found.__file__ == str(file):
        return found
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[file.stem]
        raise
    return module


def _line_of(error: BaseException, module: str) -> str:
    """Where in the user's module an error arose, for its message."""
    if isinstance(error, SyntaxError):
        return f" at line {error.lineno}"
    trace, found = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            found = f" at line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _attribute(module: ModuleType, path: str, name: str) -> Any:
    value: Any = module
    for part in path.split("."):
        if not hasattr(value, part):
            known = _projects(module) or [n for n in vars(value) if not n.startswith("_")]
            raise SpecError(f"module {name!r} has no {path!r}; {nearest(path, known)}")
        value = getattr(value, part)
    return value


def _projects(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if isinstance(value, Project)]
