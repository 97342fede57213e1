"""Ways to keep JetBlue's 2013 model good: never retrain, retrain by the calendar, let mlobs decide.

`python -m mlobs_tests.benchmarks.retraining` replays April to December on the flights themselves, without scripted faults,
and prints each way's mean absolute error by month and its trainings. mlobs decides twice: promoting at once what wins the
comparison, as by default, and watching it in shadow for as many days as accuracy is judged on. About five minutes of CPU.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from mlobs.demo import flights
from mlobs.demo.project import models
from mlobs.detectors.accuracy import judge_accuracy, performance_name
from mlobs.engines import Engine, connect
from mlobs.estimators import fit
from mlobs.history import History
from mlobs.metrics.accuracy import error
from mlobs.predictions import predicted
from mlobs.retraining.challenger import naive_baseline, train_and_decide
from mlobs.retraining.policy import decide
from mlobs.retraining.shadow import conclude
from mlobs.retraining.situation import situation
from mlobs.retraining.training_set import TIME, build
from mlobs.spec import Accuracy, Model, Retraining
from mlobs.states.accuracy import AccuracyState
from mlobs.tracking import Tracking
from mlobs.windows import DAY, Window, instant

YEAR = Window("2013-04-01", "2014-01-01")
LATER = timedelta(hours=6)


class Nothing:
    """The demo's declaration wants to know where deliveries come from; here all of them are landed at once."""

    def features(self, _: Window) -> pd.DataFrame:
        return pd.DataFrame()

    actuals = features


@dataclass
class Run:
    """One way through the year."""

    name: str
    states: dict[Window, AccuracyState] = field(default_factory=dict)
    trained: list[datetime] = field(default_factory=list)
    promoted: list[datetime] = field(default_factory=list)

    def line(self) -> dict[str, Any]:
        months: dict[str, list[AccuracyState]] = {}
        for window, state in self.states.items():
            months.setdefault(f"{window.start:%b}", []).append(state)
        by_month = {m: round(error(AccuracyState.merge("regression", part), "mae"), 1) for m, part in months.items()}
        whole = error(AccuracyState.merge("regression", self.states.values()), "mae")
        return {
            "way": self.name,
            **by_month,
            "MAE": round(whole, 2),
            "trainings": len(self.trained),
            "deployed": len(self.promoted),
        }


def rows_of_year(engine: Engine, model: Model) -> pd.DataFrame:
    return build(engine, model, instant("2014-02-01")).frame


def scored(
    model: Model, rows: pd.DataFrame, estimator: Any, baseline: float | str | None
) -> dict[Window, AccuracyState]:
    """Every day of the year by one version; a day is used only if that version served it."""
    found = {}
    for start, part in rows[rows[TIME] >= pd.Timestamp(YEAR.start)].groupby(rows[TIME].dt.floor("D")):
        guessed = predicted(model, estimator, part).values
        found[Window.day(start)] = AccuracyState.of_rows("regression", part[model.actual], guessed, baseline)
    return found


def calendar(name: str, engine: Engine, model: Model, rows: pd.DataFrame, due: Callable[[datetime], bool]) -> Run:
    """Trains on everything known whenever the calendar says so, and deploys it unseen."""
    run, serving = Run(name), dict[Window, AccuracyState]()
    for window in YEAR.split(DAY):
        if window.start == YEAR.start or due(window.start):
            known = build(engine, model, window.start + LATER).frame
            serving = scored(model, rows, fit(model, known), naive_baseline(model, known[model.actual]))
            run.trained.append(window.start)
            run.promoted.append(window.start)
        if window in serving:
            run.states[window] = serving[window]
    return run


def decided(name: str, engine: Engine, model: Model, rows: pd.DataFrame, folder: Path) -> Run:
    """The judgement, the policy, the training run and the end of each time in shadow of mlobs, day by day."""
    run = Run(name)
    folder.mkdir()
    history, tracking = History(f"sqlite:///{folder / 'history.db'}"), Tracking(f"sqlite:///{folder / 'mlflow.db'}")
    policy = model.retraining or Retraining()
    performance = performance_name(model)
    mine: list[tuple[Window, AccuracyState]] = []
    serving: dict[Window, AccuracyState] = {}
    cv_error: float | None = None
    now, trigger, reason = YEAR.start + LATER, "initial", ""
    for window in YEAR.split(DAY):
        if trigger:
            if trigger == "shadow":
                outcome = conclude(model, engine, history, tracking, now)
            else:
                outcome = train_and_decide(model, engine, history, tracking, now, trigger=trigger, reason=reason)
                run.trained.append(now)
            print(f"  {now:%Y-%m-%d} {reason or trigger}\n    {outcome.reason}", flush=True)
            if outcome.promoted:
                run.promoted.append(now)
                serving = scored(model, rows, tracking.load(outcome.version), outcome.version.baseline)
                cv_error, mine = outcome.version.cv_error, []
        now = window.end + LATER
        if window in serving:
            run.states[window] = serving[window]
            mine.append((window, serving[window]))
        verdicts = judge_accuracy(model, mine, window, now, cv_error)
        history.save_verdicts(performance, window, ["accuracy"], verdicts, now)
        if window in serving:
            history.save_accuracies(model.name, {window: {"-": {"": serving[window]}}}, now)
        decision = decide(policy, situation(model, history, now, running=False))
        trigger, reason = (decision.trigger, decision.reason) if decision.answer == "retrain" else ("", "")
    history.close()
    return run


def main() -> None:
    """Print the ways side by side."""
    model = replace(models(Nothing())[0], monitors=(Accuracy(maturity=LATER),))  # type: ignore[arg-type]
    whole = Window("2013-01-01", "2014-02-01")
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"duckdb:///{folder}/warehouse.duckdb")
        year = flights.load()
        engine.land(model.features, whole, year.features)
        engine.land(model.actuals, whole, year.actuals)
        rows = rows_of_year(engine, model)
        lines = [calendar("never", engine, model, rows, lambda day: False).line()]
        lines.append(calendar("monthly", engine, model, rows, lambda day: day.day == 1).line())
        policy = model.retraining or Retraining()
        lines.append(decided("mlobs, at once", engine, model, rows, Path(folder) / "at_once").line())
        watched = replace(model, retraining=replace(policy, shadow=14))
        lines.append(decided("mlobs, 14 days in shadow first", engine, watched, rows, Path(folder) / "shadow").line())
    print(pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main()
