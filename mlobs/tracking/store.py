"""`Tracking`: training runs and model versions in one MLflow store: log, register, alias, load, roll back."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from mlobs.addresses import shown, sign_in_password
from mlobs.errors import TrackingError
from mlobs.tracking import files, flavours
from mlobs.tracking.quiet import speaking, sqlite_path
from mlobs.tracking.records import TAG, Training, Version, audit_tags, changed, environment, version_of

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from mlobs.expectation import Expectation

CHAMPION, CHALLENGER = "champion", "challenger"


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
        path = sqlite_path(self.uri)
        if sign_in_password(self.uri):
            raise TrackingError(f"MLflow store {shown(self.uri)}: its password holds an @; write it as %40")
        with self._speaking("open"):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            elif "://" in self.uri and not self.uri.startswith(("http", "file", "databricks")):
                _reached(self.uri)
            from mlflow.tracking import MlflowClient

            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    # Writing

    def log_training(
        self, model: str, estimator: Any, training: Training, expectation: Expectation | None = None
    ) -> Version:
        """Log a run, store the estimator and register it as a new version with alias `challenger`.

        Beside the estimator lies what was learned of its accuracy (`expectation.py`), if anything.

        The version appears only when the run is complete; a run that is killed before leaves neither version nor alias.
        Logged again for the same cause, from the same data with the same parameters, what was complete is taken up and what
        a killed process left running is closed: a cause has one run and one version, however often it is begun.

        Raises:
            TrackingError: the store refused, or the estimator can't be saved without pickle.
        """
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "model"
            with self._writing(f"log the training of model {model!r}"):
                size = flavours.save(estimator, place, self.trusted)
                if expectation is not None:
                    files.save_expectation(expectation, place)
                return self._log(model, place, size, training, type(estimator).__name__)

    def _log(self, model: str, place: Path, size: int, training: Training, kind: str) -> Version:
        params = {"estimator": kind, **training.params}
        logged = {_safe(name): str(value)[:6000] for name, value in params.items()}
        run = self._complete(model, training, logged) or self._logged_now(model, place, size, training, logged)
        return self._register(model, run, training)

    def _complete(self, model: str, training: Training, params: Mapping[str, str]) -> Run | None:
        """The finished run of this very training, if a process was killed after it; runs it left open are closed."""
        if not training.cause:
            return None
        found = self.client.search_runs([self._experiment(model)], order_by=["attributes.start_time DESC"])
        for run in [r for r in found if r.data.tags.get(f"{TAG}cause") == training.cause]:
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
            same = run.data.tags.get(f"{TAG}fingerprint") == training.fingerprint and run.data.params == params
            if run.info.status == "FINISHED" and same:
                return run
        return None

    def _logged_now(self, model: str, place: Path, size: int, training: Training, params: Mapping[str, str]) -> Run:
        from mlflow.entities import Metric, Param, RunTag

        run = self.client.create_run(
            self._experiment(model),
            run_name=f"{model} until {training.window.end:%Y-%m-%d}",
            tags={"mlflow.source.name": "mlobs", f"{TAG}cause": training.cause},
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
            tags = {**audit_tags(training), **environment()}
            self.client.log_batch(
                run_id,
                metrics=logged,
                params=[Param(name, value) for name, value in params.items()],
                tags=[RunTag(TAG + name, value) for name, value in tags.items()],
            )
            self.client.log_artifacts(run_id, str(place), "model")
            self.client.set_terminated(run_id, "FINISHED")
        except BaseException:
            with contextlib.suppress(Exception):
                self.client.set_terminated(run_id, "FAILED")
            raise
        return run

    def _register(self, model: str, run: Run, training: Training) -> Version:
        """The run's version, made if it has none, with alias `challenger`."""
        from mlflow.exceptions import MlflowException

        run_id = run.info.run_id
        try:
            self.client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        known = self.client.search_model_versions(f"run_id = '{run_id}'")
        made = (
            known[0]
            if known
            else self.client.create_model_version(
                model,
                f"{run.info.artifact_uri}/model",
                run_id,
                tags={TAG + name: value for name, value in audit_tags(training).items()},
                description=training.reason or None,
            )
        )
        self.client.set_registered_model_alias(model, CHALLENGER, made.version)
        return self.version(model, str(made.version))

    def promote(self, version: Version, *, by: str, reason: str, at: datetime) -> Version:
        """Make a version the champion and write down who did it, when (data time) and why.

        The audit tags are written first and the alias last: the alias is what serves.
        """
        with self._writing(f"promote version {version.version} of model {version.model!r}"):
            before = self._alias(version.model, CHAMPION)
            notes = {"promoted_at": at.isoformat(), "promoted_by": by, "promoted_because": reason}
            if before is not None and before.version != version.version:
                notes["replaced"] = before.version
            self._note(version, notes, reason)
            self.client.set_registered_model_alias(version.model, CHAMPION, version.version)
            return self.settle(version)

    def settle(self, champion: Version) -> Version:
        """What follows when the alias has moved: the registry remembers who is champion, which is challenger no more.

        A process that is killed behind the alias leaves it undone; done again, it changes nothing.
        """
        with self._speaking(f"settle version {champion.version} of model {champion.model!r}"):
            if self._known_champion(champion.model) != champion.version:
                self.client.set_registered_model_tag(champion.model, f"{TAG}champion", champion.version)
            if CHALLENGER in self.version(champion.model, champion.version).aliases:
                self.client.delete_registered_model_alias(champion.model, CHALLENGER)
            return self.version(champion.model, champion.version)

    def refuse(self, version: Version, *, reason: str, at: datetime) -> Version:
        """Write down that a challenger was not promoted, and why; the champion is not touched."""
        with self._writing(f"refuse version {version.version} of model {version.model!r}"):
            self._note(version, {"refused_at": at.isoformat(), "refused_because": reason}, reason)
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
                    f"model {model!r} has no earlier champion to roll back to: name a version (to='1'; `--to 1` in a shell)"
                )
        return self.promote(self.version(model, to), by=by, reason=reason, at=at)

    def _note(self, version: Version, notes: Mapping[str, str], reason: str) -> None:
        """Audit tags, and the reason where MLflow's own page of the version shows it."""
        self.client.update_model_version(version.model, version.version, description=reason)
        for name, value in notes.items():
            self.client.set_model_version_tag(version.model, version.version, TAG + name, value)

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
            return version_of(self.client.get_model_version(model, version))

    def versions(self, model: str) -> list[Version]:
        """All registered versions, oldest first; empty when the model isn't registered."""
        with self._speaking(f"list the versions of model {model!r}"):
            found = self.client.search_model_versions(f"name = '{model}'", max_results=10_000)
            versions = sorted((version_of(v) for v in found), key=lambda v: int(v.version))
            aliases = self._aliases(model)
        return [
            Version(v.model, v.version, v.run_id, v.source, tuple(sorted(aliases.get(v.version, ()))), v.tags)
            for v in versions
        ]

    def load(self, version: Version) -> Any:
        """The stored model of a version, trained by mlobs or registered by others. Nothing is unpickled (`flavours.py`).

        Raises:
            TrackingError: files are missing or damaged, are of a format that can hold code, or hold a type that nobody
                vouched for (`trusted`).
        """
        what = f"version {version.version} of model {version.model!r}"
        with self._speaking(f"load {what}"):
            return flavours.load(self._folder(version), self.trusted, what)

    def load_expectation(self, version: Version) -> Expectation | None:
        """What was learned of the version's accuracy at its training; None when nothing was.

        Raises:
            TrackingError: the model's files are missing, or the file holds a type that is not scikit-learn's.
        """
        what = f"version {version.version} of model {version.model!r}"
        with self._speaking(f"load the expected accuracy of {what}"):
            return files.load_expectation(self._folder(version), what)

    def compare(self, model: str) -> pd.DataFrame:
        """Versions side by side, newest first: one row a version with its data, metrics, times, status and changes.

        Columns: version, aliases, trained_at, window_start, window_end, rows, metric, cv_error, fit_seconds, score_seconds,
        model_bytes, status (`champion`, `promoted`, `refused`, `open`), by, because, changed (params and data that differ from
        the version before).
        """
        import pandas as pd

        rows, before = [], None
        for version in self.versions(model):
            params, logged = self._logged(version)
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
                    "rows": int(logged.get("training_rows", 0)),
                    "metric": version.tags.get("metric", ""),
                    "cv_error": version.cv_error,
                    "fit_seconds": logged.get("fit_seconds"),
                    "score_seconds": logged.get("score_seconds"),
                    "model_bytes": int(logged.get("model_bytes", 0)),
                    "status": CHAMPION if CHAMPION in version.aliases else status,
                    "by": version.tags.get("promoted_by", ""),
                    "because": version.tags.get("promoted_because") or version.tags.get("refused_because", ""),
                    "changed": changed(before, (params, version.tags)),
                }
            )
            before = (params, version.tags)
        columns = list(rows[0]) if rows else ["version", "aliases", "status"]
        return pd.DataFrame(rows[::-1], columns=columns)

    def _logged(self, version: Version) -> tuple[dict[str, str], dict[str, float]]:
        """Parameters and metrics of the version's run; none for a version that was registered without a run."""
        if not version.run_id:
            return {}, {}
        with self._speaking(f"read the run of version {version.version} of model {version.model!r}"):
            data = self.client.get_run(version.run_id).data
        return data.params, data.metrics

    def _alias(self, model: str, alias: str) -> Version | None:
        from mlflow.exceptions import MlflowException

        try:
            return version_of(self.client.get_model_version_by_alias(model, alias))
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
            return str(self.client.get_registered_model(model).tags.get(f"{TAG}champion", ""))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return ""
            raise

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        path = sqlite_path(self.uri)
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

    def _folder(self, version: Version) -> Path:
        """The folder with the version's files on this machine; fetched when they lie elsewhere."""
        where = version.source
        if urlparse(where).scheme == "models":  # MLflow 3 registers a logged model by its id
            where = self.client.get_model_version_download_uri(version.model, version.version)
        source = urlparse(where)
        if source.scheme not in ("", "file"):
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(artifact_uri=where, tracking_uri=self.uri))
        folder = Path(unquote(source.path))
        path = sqlite_path(self.uri)
        if not folder.exists() and path is not None and "mlartifacts" in folder.parts:
            # The store was moved as a whole: MLflow remembers where it used to be.
            moved = folder.parts[folder.parts.index("mlartifacts") :]
            folder = path.parent.joinpath(*moved)
        return folder

    def check_writable(self, doing: str = "write") -> None:
        """Look whether versions can be written here, before work is done whose outcome could not be kept.

        A server is asked when it is written to; a file and its folders are looked at.

        Raises:
            TrackingError: names what can't be written.
        """
        path = sqlite_path(self.uri)
        if path is None:
            return
        places = [path, path.parent, path.parent / "mlartifacts"] if path.exists() else []
        for place in places:
            if place.exists() and not os.access(place, os.W_OK):
                raise TrackingError(
                    f"can't {doing} in the MLflow store {shown(self.uri)}: {place} is read-only;"
                    " change its permissions, or choose another store"
                )

    def _speaking(self, doing: str) -> AbstractContextManager[None]:
        return speaking(self.uri, doing)

    def _writing(self, doing: str) -> AbstractContextManager[None]:
        self.check_writable(doing)
        return speaking(self.uri, doing)


def _safe(name: str) -> str:
    """A name that MLflow takes: letters, digits, _ - . space and /."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def _reached(uri: str) -> None:
    """Connects to a database server once, to fail at once: MLflow itself tries ten times, over 100 seconds."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect():
            pass
    finally:
        engine.dispose()
