"""How near do estimates without labels come to what labels say, where only the inputs shift?

`python -m mlobs_tests.benchmarks.estimates [--seeds N] [part of a world's name]` trains on 40 days of 1,000 rows (or as many
as half of a table has), then predicts 40 windows of 5,000 rows whose inputs drift ever further, estimates each before its
labels, lands the labels and scores. All as a deployment does it: DuckDB, the training run, predictions with their expected
figures, one aggregate query a window. About half a minute of CPU a world and seed.

What one training has learned is off the same way in all windows, by chance more than by anything else: it takes several
trainings (`--seeds`) to tell the method's error from one draw of the rows.

`by chance` is the mean distance that a perfect estimate would have: 5,000 labels alone scatter so much around what is
expected of them. `worlds.py` says which worlds were looked at when the estimates' constants were chosen.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlobs.engines import connect
from mlobs.history import History
from mlobs.metrics.accuracy import metrics
from mlobs.monitor import Monitoring
from mlobs.predictions import predicted
from mlobs.retraining.run import retrain
from mlobs.spec import Accuracy, Field, Model, Retraining, Table
from mlobs.states.accuracy import AccuracyState
from mlobs.tracking import Tracking
from mlobs.windows import DAY, Window
from mlobs_tests.benchmarks.estimates.worlds import World, worlds

ROWS, DAYS, WINDOWS = 5_000, 40, 40
PER_DAY = 1_000
START = Window.day("2024-01-01")
GOALS = {"binary": ("roc_auc", 0.0025), "regression": ("mae", 0.015)}


def declared(world: World) -> Model:
    """The declaration of a world's model."""

    common: dict[str, Any] = {"key": "id", "time": "at", "start": START.start}
    return Model(
        name="shifted",
        task=world.task,
        features=Table("features", fields=tuple(Field(name, "numeric") for name in world.inputs), **common),
        predictions=Table("predictions", **common),
        actuals=Table("actuals", **common),
        prediction="said",
        actual="outcome",
        monitors=(Accuracy(maturity=DAY),),
        train=world.learner,
        retraining=Retraining(folds=3, holdout=7),
    )


def placed(frame: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The rows with a key, evenly spread over the window."""
    rows = len(frame)
    at = pd.Timestamp(window.start) + pd.to_timedelta(
        np.arange(rows) * (window.length.total_seconds() / rows), unit="s"
    )
    return frame.assign(id=[f"{window.key}-{n}" for n in range(rows)], at=at.as_unit("us"))


def measured(
    world: World, folder: Path, *, rows: int = ROWS, windows: int = WINDOWS, per_day: int = PER_DAY, seed: int = 0
) -> pd.DataFrame:
    """One row a window: shift, estimate before labels, realised figure after them, and its standard error."""
    model = declared(world)
    engine, history = connect(f"duckdb:///{folder}/warehouse.duckdb"), History(f"sqlite:///{folder}/history.db")
    tracking, monitoring = Tracking(f"sqlite:///{folder}/mlflow.db"), Monitoring([model], engine, history)
    past = [START.shifted(n * DAY) for n in range(DAYS)]
    whole = past[0].hull(past[-1])
    known = placed(world.past(DAYS * per_day, np.random.default_rng(seed)), whole)
    engine.land(model.features, whole, known.drop(columns="outcome"))
    engine.land(model.actuals, whole, known[["id", "at", "outcome"]])
    version = retrain(monitoring, tracking, model, past[-1].end + DAY).version
    estimator, expectation = tracking.load(version), tracking.load_expectation(version)
    name, _ = GOALS[world.task]
    found = []
    for n in range(windows):
        window, shift = past[-1].shifted((n + 1) * DAY), n / max(1, windows - 1)
        now = placed(world.draw(rows, shift, np.random.default_rng(seed + 1000 + n)), window)
        engine.land(model.features, window, now.drop(columns="outcome"))
        monitoring.predict(model, window, version.version, estimator, window.end, expectation)
        monitoring.estimate(model, window, window.end)
        before = AccuracyState.from_bytes(history.accuracy(model.name, since=window.start)[0][2])
        engine.land(model.actuals, window, now[["id", "at", "outcome"]])
        _, after = monitoring.score(model, window, window.end + DAY)
        guessed = predicted(model, estimator, now).values
        foretold = metrics(before)[f"estimated_{name}"]
        error = scatter(world, now["outcome"].to_numpy(), guessed)
        found.append({"shift": shift, "estimated": foretold, "realised": after[name], "standard error": error})
    history.close()
    return pd.DataFrame(found)


def scatter(world: World, outcome: Any, guessed: Any) -> float:
    """Standard error of a window's figure: of the ROC AUC after DeLong et al. 1988, of the MAE as a share of it."""
    if world.task == "regression":
        loss = np.abs(outcome - guessed)
        return float(loss.std() / np.sqrt(len(loss)) / loss.mean())
    ranks, positive = pd.Series(guessed).rank().to_numpy(), outcome == 1
    m, n = int(positive.sum()), int((~positive).sum())
    above = (ranks[positive] - pd.Series(guessed[positive]).rank()) / n
    below = 1 - (ranks[~positive] - pd.Series(guessed[~positive]).rank()) / m
    return float(np.sqrt(above.var() / m + below.var() / n))


def distance(world: World, found: pd.DataFrame) -> pd.Series:
    """Estimate less realised: ROC AUC in points, MAE as a share of the realised one."""
    gap = found["estimated"] - found["realised"]
    return gap if world.task == "binary" else gap / found["realised"]


def main() -> None:
    """Print each world's mean distance beside its goal and beside what chance alone makes of it."""
    asked = argparse.ArgumentParser(prog="python -m mlobs_tests.benchmarks.estimates")
    asked.add_argument("--seeds", type=int, default=1, help="trainings of each world, each on rows of its own")
    asked.add_argument("words", nargs="*", help="parts of the names of the worlds to look at")
    chosen = asked.parse_args()
    lines = []
    for world in worlds():
        if not all(word in world.name for word in chosen.words):
            continue
        runs = []
        for seed in range(chosen.seeds):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(measured(world, Path(folder), seed=1_000_000 * seed))
        gaps, (name, goal) = pd.DataFrame([distance(world, found) for found in runs]), GOALS[world.task]
        realised = pd.concat(runs).groupby("shift")["realised"].mean()
        lines.append(
            {
                "world": world.name,
                "figure": name,
                "realised": f"{realised.iloc[0]:.3f} to {realised.iloc[-1]:.3f}",
                "mean distance": round(float(gaps.abs().to_numpy().mean()), 5),
                "bias": round(float(gaps.to_numpy().mean()), 5),
                "by training": ", ".join(f"{bias:+.4f}" for bias in gaps.mean(axis=1)),
                "by chance": round(float(pd.concat(runs)["standard error"].mean() * np.sqrt(2 / np.pi)), 5),
                "goal": goal,
                "apart": "" if world.tuned else "yes",
            }
        )
        print(lines[-1], flush=True)
    print(pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main()
