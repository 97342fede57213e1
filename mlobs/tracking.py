"""Training runs and model versions in MLflow: log, register, alias, load, roll back. Touches only MLflow, skops and errors.

MLflow is imported when a `Tracking` is first used, its telemetry off and its chatter kept to itself. Models are stored in
MLflow's scikit-learn flavour as skops files; a file is loaded only if every type in it is a scikit-learn class or stated.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import re
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from mlobs.errors import TrackingError
from mlobs.windows import Window, instant

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
_FILE = "model.skops"
_TAG = "mlobs."
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # MLflow's own 7 retries mean minutes until a server that is down is reported
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "OMP_WAIT_POLICY": "PASSIVE",  # on busy cores scikit-learn's spinning threads made a fit of .7 s take 5 to 28 s
}
"""Environment variables that are set where they aren't, before MLflow and scikit-learn are first imported."""

_VOUCHED = ("functools.partial", "sklearn.utils.validation.check_array")
"""What scikit-learn's own estimators hold beside classes (gradient boosting keeps a partial of `check_array`). A partial
only calls what is named in the file as well, and so has been looked at by itself."""

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


class Tracking:
    """MLflow's tracking store and registry, as far as mlobs needs them.

    Args:
        uri: `sqlite:///path/mlflow.db`, an `http(s)://` server, or any URI MLflow takes. SQLite's folder is made.
        artifacts: where a SQLite store keeps model files; `mlartifacts` beside the database when left out.
        trusted: full names of types beyond scikit-learn's own classes that a stored model may hold
            (`mypackage.features.Clip`). Loading code is running code: name only what you wrote or vetted.

    Raises:
        TrackingError: (every method) the store or registry is down, locked, or lacks what was asked for.
    """

    def __init__(
        self, uri: str = "sqlite:///mlflow.db", *, artifacts: str | None = None, trusted: Sequence[str] = ()
    ) -> None:
        self.uri = uri
        self.trusted = tuple(trusted)
        self._artifacts = artifacts

    def __getstate__(self) -> dict[str, Any]:
        return {"uri": self.uri, "trusted": self.trusted, "_artifacts": self._artifacts}

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's own client on this store."""
        path = _sqlite_path(self.uri)
        with self._speaking("open"):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            from mlflow.tracking import MlflowClient

            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    # Writing

    def log_training(self, model: str, estimator: Any, training: Training) -> Version:
        """Log a run, store the estimator and register it as a new version with alias `challenger`.

        The version appears only when the run is complete; a run that is killed before leaves neither version nor alias.

        Raises:
            TrackingError: the store refused, or the estimator can't be saved without pickle.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "model"
            size = self._save(estimator, files)
            with self._speaking(f"log the training of model {model!r}"):
                return self._log(model, files, size, training, type(estimator).__name__)

    def _log(self, model: str, files: Path, size: int, training: Training, kind: str) -> Version:
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.exceptions import MlflowException

        tags = _audit_tags(training)
        run = self.client.create_run(
            self._experiment(model),
            run_name=f"{model} until {training.window.end:%Y-%m-%d}",
            tags={"mlflow.source.name": "mlobs"},
        )
        run_id, stamp = run.info.run_id, run.info.start_time
        try:
            metrics = {
                **training.metrics,
                f"cv_{training.metric}": training.cv_error,
                "fit_seconds": training.fit_seconds,
                "score_seconds": training.score_seconds,
                "model_bytes": size,
                "training_rows": training.rows,
                **{f"importance.{_safe(name)}": value for name, value in training.importances.items()},
            }
            logged = [Metric(_safe(name), float(value), stamp, 0) for name, value in metrics.items() if _finite(value)]
            logged += [
                Metric(f"fold.{_safe(name)}", float(value), stamp, step)
                for step, fold in enumerate(training.folds)
                for name, value in fold.items()
                if _finite(value)
            ]
            params = {"estimator": kind, **training.params}
            self.client.log_batch(
                run_id,
                metrics=logged,
                params=[Param(_safe(name), str(value)[:6000]) for name, value in params.items()],
                tags=[RunTag(_TAG + name, value) for name, value in {**tags, **_environment()}.items()],
            )
            self.client.log_artifacts(run_id, str(files), "model")
            self.client.set_terminated(run_id, "FINISHED")
        except BaseException:
            with contextlib.suppress(Exception):
                self.client.set_terminated(run_id, "FAILED")
            raise
        try:
            self.client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{run.info.artifact_uri}/model"
        made = self.client.create_model_version(
            model, source, run_id, tags={_TAG + n: v for n, v in tags.items()}, description=training.reason or None
        )
        self.client.set_registered_model_alias(model, CHALLENGER, made.version)
        return self.version(model, str(made.version))

    def set_alias(self, version: Version, alias: str) -> None:
        """Point `alias` at a version; one write, so readers see the old or the new one."""
        with self._speaking(f"set alias {alias!r} of model {version.model!r}"):
            self.client.set_registered_model_alias(version.model, alias, version.version)

    def promote(self, version: Version, *, by: str, reason: str, at: datetime) -> Version:
        """Make a version the champion and write down who did it, when (data time) and why.

        The audit tags are written first and the alias last: the alias is what serves.
        """
        with self._speaking(f"promote version {version.version} of model {version.model!r}"):
            before = self._alias(version.model, CHAMPION)
            notes = {"promoted_at": at.isoformat(), "promoted_by": by, "promoted_because": reason}
            if before is not None and before.version != version.version:
                notes["replaced"] = before.version
            self._tag(version, notes)
            self.client.set_registered_model_alias(version.model, CHAMPION, version.version)
            self.client.set_registered_model_tag(version.model, f"{_TAG}champion", version.version)
            if CHALLENGER in self.version(version.model, version.version).aliases:
                self.client.delete_registered_model_alias(version.model, CHALLENGER)
            return self.version(version.model, version.version)

    def refuse(self, version: Version, *, reason: str, at: datetime) -> Version:
        """Write down that a challenger was not promoted, and why; the champion is not touched."""
        with self._speaking(f"refuse version {version.version} of model {version.model!r}"):
            self._tag(version, {"refused_at": at.isoformat(), "refused_because": reason})
            if CHALLENGER in self.version(version.model, version.version).aliases:
                self.client.delete_registered_model_alias(version.model, CHALLENGER)
            return self.version(version.model, version.version)

    def rollback(
        self, model: str, *, by: str, at: datetime, reason: str = "rollback", to: str | None = None
    ) -> Version:
        """Make the version that the champion replaced (or version `to`) the champion again, audited like a promotion.

        Raises:
            TrackingError: there is no earlier champion to return to.
        """
        if to is None:
            current = self.champion(model)
            to = current.tags.get("replaced") if current else None
            if to is None:
                raise TrackingError(
                    f"model {model!r} has no earlier champion to roll back to: name a version, as in `to='1'`"
                )
        return self.promote(self.version(model, to), by=by, reason=reason, at=at)

    def _tag(self, version: Version, notes: Mapping[str, str]) -> None:
        for name, value in notes.items():
            self.client.set_model_version_tag(version.model, version.version, _TAG + name, value)

    # Reading

    def champion(self, model: str) -> Version | None:
        """The deployed version; None when the model was never promoted.

        Raises:
            TrackingError: the alias was deleted by hand although a version had been promoted, or the store is down.
        """
        with self._speaking(f"look up the champion of model {model!r}"):
            found = self._alias(model, CHAMPION)
            if found is not None:
                return found
            known = self._known_champion(model)
        if known:
            raise TrackingError(
                f"model {model!r}: the alias {CHAMPION!r} is gone from the registry, though version {known} was promoted;"
                f" set it again (mlobs rollback {model} --to {known}) or in MLflow"
            )
        return None

    def challenger(self, model: str) -> Version | None:
        """The newest version that waits for the comparison; None if there is none."""
        with self._speaking(f"look up the challenger of model {model!r}"):
            return self._alias(model, CHALLENGER)

    def version(self, model: str, version: str) -> Version:
        """One registered version.

        Raises:
            TrackingError: it isn't registered.
        """
        with self._speaking(f"look up version {version} of model {model!r}"):
            return _version(self.client.get_model_version(model, version))

    def versions(self, model: str) -> list[Version]:
        """All registered versions, oldest first; empty when the model isn't registered."""
        with self._speaking(f"list the versions of model {model!r}"):
            found = self.client.search_model_versions(f"name = '{model}'", max_results=10_000)
            versions = sorted((_version(v) for v in found), key=lambda v: int(v.version))
            aliases = self._aliases(model)
        return [
            Version(v.model, v.version, v.run_id, v.source, tuple(sorted(aliases.get(v.version, ()))), v.tags)
            for v in versions
        ]

    def load(self, version: Version) -> Any:
        """The stored estimator of a version. Nothing is unpickled.

        Raises:
            TrackingError: files are missing, or hold a type that is neither scikit-learn's nor in `trusted`.
        """
        import skops.io

        with self._speaking(f"load version {version.version} of model {version.model!r}"), _quiet():
            file = self._file(version)
            unknown = [t for t in skops.io.get_untrusted_types(file=file) if not self._trusts(t)]
            if unknown:
                raise TrackingError(
                    f"version {version.version} of model {version.model!r} holds types that nobody vouched for:"
                    f" {', '.join(sorted(unknown))}; if they are yours, name them in Tracking(trusted=[...])"
                )
            return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))

    def compare(self, model: str) -> pd.DataFrame:
        """Versions side by side, newest first: one row a version with its data, metrics, times, status and changes.

        Columns: version, aliases, trained_at, window_start, window_end, rows, metric, cv_error, fit_seconds, score_seconds,
        model_bytes, status (`champion`, `promoted`, `refused`, `open`), by, because, changed (params and data that differ from
        the version before).
        """
        import pandas as pd

        rows, before = [], None
        for version in self.versions(model):
            with self._speaking(f"read the run of version {version.version} of model {model!r}"):
                data = self.client.get_run(version.run_id).data
            status = (
                "promoted" if "promoted_at" in version.tags else "refused" if "refused_at" in version.tags else "open"
            )
            rows.append(
                {
                    "version": version.version,
                    "aliases": ", ".join(version.aliases),
                    "trained_at": version.trained_at,
                    "window_start": version.window.start if version.window else None,
                    "window_end": version.window.end if version.window else None,
                    "rows": int(data.metrics.get("training_rows", 0)),
                    "metric": version.tags.get("metric", ""),
                    "cv_error": version.cv_error,
                    "fit_seconds": data.metrics.get("fit_seconds"),
                    "score_seconds": data.metrics.get("score_seconds"),
                    "model_bytes": int(data.metrics.get("model_bytes", 0)),
                    "status": CHAMPION if CHAMPION in version.aliases else status,
                    "by": version.tags.get("promoted_by", ""),
                    "because": version.tags.get("promoted_because") or version.tags.get("refused_because", ""),
                    "changed": _changed(before, (data.params, version.tags)),
                }
            )
            before = (data.params, version.tags)
        columns = list(rows[0]) if rows else ["version", "aliases", "status"]
        return pd.DataFrame(rows[::-1], columns=columns)

    def _alias(self, model: str, alias: str) -> Version | None:
        from mlflow.exceptions import MlflowException

        try:
            return _version(self.client.get_model_version_by_alias(model, alias))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _aliases(self, model: str) -> dict[str, set[str]]:
        from mlflow.exceptions import MlflowException

        try:
            registered = self.client.get_registered_model(model)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return {}
            raise
        found: dict[str, set[str]] = {}
        for alias, version in registered.aliases.items():
            found.setdefault(str(version), set()).add(alias)
        return found

    def _known_champion(self, model: str) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_registered_model(model).tags.get(f"{_TAG}champion", ""))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ""
            raise

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        path = _sqlite_path(self.uri)
        location = None
        if self._artifacts or path is not None:
            base = Path(self._artifacts) if self._artifacts else path.parent / "mlartifacts"  # type: ignore[union-attr]
            location = (base.absolute() / name).as_uri()
        try:
            return str(self.client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            made = self.client.get_experiment_by_name(name)
            if made is None:
                raise
            return str(made.experiment_id)

    # Files

    def _save(self, estimator: Any, files: Path) -> int:
        """Write the estimator in MLflow's scikit-learn flavour; the size of the model file in bytes."""
        import skops.io

        kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        with _quiet():
            try:
                found = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
            except Exception as error:
                raise TrackingError(
                    f"a model of type {kind} can't be stored without pickle ({error}): return a scikit-learn estimator or"
                    " pipeline, or an object whose state is made of plain values and arrays"
                ) from error
            unknown = sorted(t for t in found if not self._trusts(t))
            if unknown:
                raise TrackingError(
                    f"a model of type {kind} holds types that nobody vouched for: {', '.join(unknown)}; if they are yours,"
                    " name them in Tracking(trusted=[...])"
                )
            with self._speaking(f"store a model of type {kind}"):
                import mlflow.sklearn

                requirements = [f"{p}=={metadata.version(p)}" for p in ("scikit-learn", "skops", "numpy", "pandas")]
                mlflow.sklearn.save_model(
                    estimator,
                    str(files),
                    serialization_format="skops",
                    skops_trusted_types=found,
                    pip_requirements=requirements,
                )
        return (files / _FILE).stat().st_size

    def _file(self, version: Version) -> Path:
        source = urlparse(version.source)
        if source.scheme in ("", "file"):
            folder = Path(unquote(source.path))
            path = _sqlite_path(self.uri)
            if not folder.exists() and path is not None and "mlartifacts" in folder.parts:
                # The store was moved as a whole: MLflow remembers where it used to be.
                moved = folder.parts[folder.parts.index("mlartifacts") :]
                folder = path.parent.joinpath(*moved)
        else:
            folder = Path(self.client.download_artifacts(version.run_id, "model"))
        if not (folder / _FILE).is_file():
            raise TrackingError(
                f"version {version.version} of model {version.model!r}: its file {_FILE} is missing in {folder}; restore the"
                " artifacts folder, or roll back to another version"
            )
        return folder / _FILE

    def _trusts(self, name: str) -> bool:
        return name in self.trusted or name in _VOUCHED or _is_sklearn_class(name)

    @contextlib.contextmanager
    def _speaking(self, doing: str) -> Iterator[None]:
        """Turn MLflow's and the database's errors into a `TrackingError`; keep MLflow quiet meanwhile."""
        try:
            with _quiet():
                yield
        except TrackingError:
            raise
        except Exception as error:
            if not _from_store(error):
                raise
            raise TrackingError(
                f"can't {doing} in the MLflow store {_shown(self.uri)}: {_first_line(error)}; {_mend(error)}"
            ) from error


def _from_store(error: Exception) -> bool:
    root = type(error).__module__.split(".")[0]
    return root in ("mlflow", "sqlalchemy", "sqlite3", "alembic", "requests", "urllib3") or isinstance(error, OSError)


def _mend(error: Exception) -> str:
    text = str(error).lower()
    if "locked" in text:
        return "another process holds it; try again when that is done"
    if "not found" in text or "does_not_exist" in text:
        return "check the name and version with `mlobs versions`"
    if "out of date" in text or "can't locate revision" in text or "upgrade" in text:
        return "it was written by another version of MLflow: `mlflow db upgrade` moves it forward"
    return "check that the store is up and that you may write to it"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def _shown(uri: str) -> str:
    """The URI without a password."""
    return re.sub(r"//([^/@:]+):[^@/]*@", r"//\1:***@", uri)


def _sqlite_path(uri: str) -> Path | None:
    return Path(unquote(uri.removeprefix("sqlite:///"))) if uri.startswith("sqlite:///") else None


def _version(found: Any) -> Version:
    tags = {name.removeprefix(_TAG): value for name, value in found.tags.items()}
    return Version(
        found.name, str(found.version), found.run_id or "", found.source, tuple(sorted(found.aliases or ())), tags
    )


def _audit_tags(training: Training) -> dict[str, str]:
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


def _environment() -> dict[str, str]:
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


def _changed(
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


def _safe(name: str) -> str:
    """A name that MLflow takes: letters, digits, _ - . space and /."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def _is_sklearn_class(name: str) -> bool:
    """Whether a type named in a skops file is a class that scikit-learn itself defines (a function is not)."""
    module, _, attribute = name.rpartition(".")
    if module.split(".")[0] != "sklearn":
        return False
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return isinstance(found, type) and found.__module__.split(".")[0] == "sklearn"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MLflow without telemetry, migration logs and deprecation warnings of its own, for the time of a call."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    names = (
        "alembic",
        "alembic.runtime.migration",
        "mlflow",
        "mlflow.store.db.utils",
        "mlflow.utils.environment",
        "mlflow.sklearn",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
