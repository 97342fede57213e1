"""Seeded worlds in which accuracy falls for one known reason, seen through the real profiles, monitors and history.

A linear model predicts a delay from five fields and three segments. 40 clean days are learned from; in the last 7 one
thing goes wrong. Besides, harmless things happen: an unimportant field moves, or a new version that is no worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np
import pandas as pd

from mlobs.detectors import TableMonitor
from mlobs.detectors.drift import drift_verdicts
from mlobs.engines import connect
from mlobs.engines.protocol import Engine
from mlobs.history import History
from mlobs.incidents import Explanation, RootCause, explain, gather
from mlobs.metrics.profiles import Profile
from mlobs.profiling import Reference, learn_reference, profile_windows
from mlobs.spec import Model, Table
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window, instant

START = instant("2013-01-07")
CLEAN, BAD, ROWS = 40, 7, 600
FIELDS = ["wind", "rain", "distance", "hour", "load"]
ORIGINS = ["EWR", "JFK", "LGA"]
SHARES = [0.5, 0.3, 0.2]
NOISE = {"EWR": 4.0, "JFK": 8.0, "LGA": 20.0}
KINDS = ("field broken", "segment lost", "concept drift", "version regressed", "labels late")
TABLE = Table("features", time="at", key="id", fields=[*FIELDS, "origin"], segments="origin")
LINEAGE = {"features": [], "actuals": [], "predictions": ["features"], "delay.performance": ["predictions", "actuals"]}


def day(number: int) -> Window:
    return Window(START + timedelta(number), START + timedelta(number + 1))


def declared() -> Model:
    tables = {name: Table(name, time="at", key="id") for name in ("features", "predictions", "actuals")}
    return Model("delay", "regression", **tables, prediction="predicted", actual="delay")


@dataclass
class Scenario:
    """One world; `right` says whether a root cause is the one that was built in.

    `strength` in (0, 1] scales what goes wrong: the rows it hits, or how far it moves them.
    """

    kind: str
    seed: int
    strength: float = 1.0

    def __post_init__(self) -> None:
        # what the world is like is drawn from the seed alone, what goes wrong in it from both
        self.random = np.random.default_rng([self.seed, KINDS.index(self.kind)])
        world = np.random.default_rng(self.seed)
        self.weights = dict(zip(FIELDS, world.choice([12.0, 9.0, 6.0, 2.0, 0.3], 5, replace=False), strict=True))
        self.field = str(self.random.choice([f for f in FIELDS if self.weights[f] > 5]))
        self.origin = str(self.random.choice(ORIGINS))
        self.decoy = next(f for f in FIELDS if self.weights[f] < 1)
        self.damage = int(self.random.integers(0, 3))

    def rows(self, number: int, random: np.random.Generator) -> pd.DataFrame:
        """One day's features and true delays."""
        count = int(random.poisson(ROWS * (0.8 if number % 7 > 4 else 1.0)))
        frame = pd.DataFrame({f: random.normal(3.0, 1.0, count) for f in FIELDS})
        frame["origin"] = random.choice(ORIGINS, count, p=SHARES)
        weather = random.normal(0, 1.0)
        signal = sum(self.weights[f] * (frame[f] - 3.0) for f in FIELDS)
        frame["delay"] = 10 + weather + signal + random.normal(0, 1, count) * frame["origin"].map(NOISE)
        return frame

    def go_wrong(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series, np.ndarray]:
        """A bad day's (features as delivered, predictions, which labels are known)."""
        random = self.random
        known = np.ones(len(frame), bool)
        frame[self.decoy] += 0.6  # moves, and hardly matters
        if self.kind == "field broken":
            hit = random.random(len(frame)) < self.strength
            if self.damage == 0:
                frame.loc[hit, self.field] = -1.0
            elif self.damage == 1:
                frame.loc[hit & (random.random(len(frame)) < 0.5), self.field] = np.nan
            else:
                frame.loc[hit, self.field] *= -1.0
        elif self.kind == "segment lost":
            frame = frame[(frame["origin"] != "EWR") | (random.random(len(frame)) > 0.95 * self.strength)].reset_index(
                drop=True
            )
            known = np.ones(len(frame), bool)
        elif self.kind == "concept drift":
            there = frame["origin"] == self.origin
            frame.loc[there, "delay"] += self.strength * (30.0 if self.origin == "LGA" else 15.0)
        elif self.kind == "labels late":
            # late flights are known first, the quiet ones come in days later
            known = (np.abs(frame["delay"] - 10) > 12) | (random.random(len(frame)) > 0.7 * self.strength)
        return frame, self.predict(frame, worse=self.kind == "version regressed"), np.asarray(known)

    def predict(self, frame: pd.DataFrame, worse: bool = False) -> pd.Series:
        weights = {
            f: w * (1.0 - 0.7 * self.strength if worse and f == self.field else 1.0) for f, w in self.weights.items()
        }
        return 10 + sum(weights[f] * (frame[f].fillna(3.0) - 3.0) for f in FIELDS)

    def right(self, cause: RootCause) -> bool:
        return {
            "field broken": cause.kind in ("data fault", "drift") and cause.subject.endswith(f".{self.field}"),
            "segment lost": cause.kind in ("mix", "data fault")
            and "." not in cause.subject.removeprefix("features.")
            and cause.subject.removeprefix("features.")
            in ("", "features", "origin", *(f"origin={o}" for o in ORIGINS)),
            "concept drift": cause.kind == "segment" and cause.subject == f"origin={self.origin}",
            "version regressed": cause.kind == "version" and cause.subject == "3",
            "labels late": cause.kind == "labels",
        }[self.kind]

    def version(self, number: int) -> str:
        """2 is no better and no worse than 1; 3 is the one that regressed."""
        if number < CLEAN - 10:
            return "1"
        return "3" if number >= CLEAN and self.kind == "version regressed" else "2"

    @contextmanager
    def remembered(self) -> Iterator[History]:
        """The world as history remembers it."""
        reference, profiles, accuracies = clean_days(self.seed)
        monitor = TableMonitor("features")
        recent = []
        for number, found in enumerate(profiles):
            monitor.observe(found, day(number))
            recent.append(found)
        with History("sqlite://") as history:
            for version, at in (
                ("1", 0),
                ("2", CLEAN - 10),
                *([("3", CLEAN)] if self.kind == "version regressed" else []),
            ):
                info = {"importances": self.importances()}
                history.save_version("delay", version, day(at).start, info)
                history.record_promotion("delay", version, day(at).start, "mlobs", "")
            measured = {day(n): {self.version(n): states} for n, states in enumerate(accuracies)}
            bad = {n: self.go_wrong(self.rows(n, self.random)) for n in range(CLEAN, CLEAN + BAD)}
            found_of = profiled({n: frame for n, (frame, _, _) in bad.items()}, reference)
            for number, (frame, predicted, known) in bad.items():
                found = found_of[number]
                verdicts = monitor.judge(found, day(number))
                monitor.observe(found, day(number), verdicts)
                recent.append(found)
                merged = recent[-7:]
                verdicts += drift_verdicts(reference.profile, merged, day(number), table="features")
                checks = {v.detector for v in verdicts}
                history.save_verdicts("features", day(number), checks, verdicts, day(number).end)
                measured[day(number)] = {self.version(number): states_of(frame, predicted, known)}
            history.save_accuracies("delay", measured, day(CLEAN + BAD).end)
            yield history

    def explained(self) -> tuple[bool, Explanation]:
        """Whether accuracy really fell (by more than two standard errors), and why it did.

        Only that the error is too high on the last day is known; when it rose has to be found.
        """
        fall = Window(day(CLEAN).start, day(CLEAN + BAD - 1).end)
        with self.remembered() as history:
            truth = gather(history, declared(), fall, LINEAGE)
            found = explain(history, declared(), day(CLEAN + BAD - 1), LINEAGE)
        assert truth is not None
        assert found is not None
        return truth.fall.excess > 2 * truth.fall.standard_error, found

    def importances(self) -> dict[str, float]:
        """Rise of the mean absolute error when a field is shuffled, as training measures it."""
        random = np.random.default_rng(self.seed)
        frame = self.rows(0, random)
        base = float(np.abs(frame["delay"] - self.predict(frame)).mean())
        rises = {}
        for field in FIELDS:
            shuffled = frame.assign(**{field: random.permutation(frame[field].to_numpy())})
            rises[field] = max(0.0, float(np.abs(frame["delay"] - self.predict(shuffled)).mean()) - base)
        return rises


@lru_cache(maxsize=8)
def clean_days(seed: int):
    """(reference, profiles, accuracy states) of the clean days of a world."""
    scenario, random = Scenario(KINDS[0], seed), np.random.default_rng(1000 + seed)
    days = {number: scenario.rows(number, random) for number in range(CLEAN)}
    with landed(days) as engine:
        reference = learn_reference(engine, TABLE, [day(number) for number in days])
        profiles = profile_windows((engine, TABLE), [day(number) for number in days], reference=reference)
    states = [states_of(frame, scenario.predict(frame), np.ones(len(frame), bool)) for frame in days.values()]
    return reference, [profiles[day(number)] for number in days], states


@contextmanager
def landed(days: dict[int, pd.DataFrame]) -> Iterator[Engine]:
    """An engine with these days' features in its table."""
    parts = [
        frame[[*FIELDS, "origin"]].assign(
            at=day(number).start.replace(tzinfo=None), id=np.arange(len(frame)) + 10000 * number
        )
        for number, frame in days.items()
    ]
    engine = connect("duckdb:///:memory:")
    try:
        engine.land(TABLE, Window(day(min(days)).start, day(max(days)).end), pd.concat(parts, ignore_index=True))
        yield engine
    finally:
        engine.close()


def profiled(days: dict[int, pd.DataFrame], reference: Reference) -> dict[int, Profile]:
    with landed(days) as engine:
        found = profile_windows((engine, TABLE), [day(number) for number in days], reference=reference)
    return {number: found[day(number)] for number in days}


def states_of(frame: pd.DataFrame, predicted: pd.Series, known: np.ndarray) -> dict[str, AccuracyState]:
    """Segment -> accuracy state of one day."""

    def state(there: np.ndarray) -> AccuracyState:
        seen = there & known
        errors = np.abs(frame["delay"] - predicted)[seen]
        naive = np.abs(frame["delay"] - 10)[seen]
        sums = {
            "abs_error": float(errors.sum()),
            "squared_error": float((errors**2).sum()),
            "naive_rows": float(seen.sum()),
            "naive_abs_error": float(naive.sum()),
            "naive_error_covered": float(errors.sum()),
        }
        return AccuracyState("regression", int(there.sum()), labelled=int(seen.sum()), sums=sums)

    every = np.ones(len(frame), bool)
    origins = {f"origin={o}": state((frame["origin"] == o).to_numpy()) for o in ORIGINS}
    return {"": state(every), **origins}
