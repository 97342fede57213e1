"""The faults that the benchmark plants in a day's rows, each with the field that an alert should name.

A fault takes a clean frame (and yesterday's) and returns a faulty copy; None is a batch that never came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlobs_tests.benchmarks.alert_quality.case import Case

Frame = pd.DataFrame

LEAST_CHANGED = 0.5
"""Share of the values that a fault is laid on which must come out different, for it to be a fault."""


@dataclass(frozen=True)
class Fault:
    """One planted fault: its family, magnitude, the fields of which one must be named ("" is the table itself), and the rows."""

    family: str
    magnitude: str
    fields: tuple[str, ...]
    frame: Frame | None


def faults(case: Case, at: int, rng: np.random.Generator) -> Iterator[Fault]:
    """All faults that can be planted in day number `at`. One that changes fewer than `LEAST_CHANGED` of the values it is laid on
    is none, and is left out: ages rounded to two digits, a value frozen to what it mostly is anyway."""
    clean = case.days[at][1]
    yesterday = case.days[at - 1][1]
    history = pd.concat([frame for _, frame in case.days[max(0, at - 28) : at]])
    for family, magnitude, fields, change in _changes(case, clean, yesterday, history, rng):
        frame = change(clean.copy())
        if _is_one(clean, frame, magnitude, fields[0]):
            yield Fault(family, magnitude, fields, frame)


def _is_one(clean: Frame, frame: Frame | None, magnitude: str, name: str) -> bool:
    if frame is None or len(frame) != len(clean):
        return True
    if not name:
        return not frame.equals(clean)
    return _changed(clean[name], frame[name]) >= LEAST_CHANGED * _laid_on(magnitude, clean[name])


def _changed(before: pd.Series, after: pd.Series) -> int:
    """Rows whose value differs; a null equals a null, and 1 equals 1.0."""
    same = (before.to_numpy() == after.to_numpy()) | (before.isna().to_numpy() & after.isna().to_numpy())
    return int((~same).sum())


def _laid_on(magnitude: str, before: pd.Series) -> float:
    """Values that a fault of that magnitude is meant for: its share of those there are (a single row at least), or all."""
    share = re.search(r"([0-9]+)%", magnitude)
    many = int(before.notna().sum())
    if magnitude == "one row":
        return 1.0
    return max(1.0, float(share[1]) / 100 * many) if share else float(many)


def slow_drift(case: Case, start: int, windows: int, rng: np.random.Generator) -> tuple[str, list[Frame]]:
    """`windows` days from `start` in which one field's values climb evenly to one standard deviation."""
    name = str(rng.choice(case.continuous))
    history = pd.concat([frame[name] for _, frame in case.days[max(0, start - 28) : start]])
    sd = float(history.std())
    frames = []
    for step in range(windows):
        frame = case.days[start + step][1].copy()
        frame[name] = frame[name] + sd * (step + 1) / windows
        frames.append(frame)
    return name, frames


Change = tuple[str, str, tuple[str, ...], Callable[[Frame], Frame | None]]


def _changes(case: Case, clean: Frame, yesterday: Frame, history: Frame, rng: np.random.Generator) -> Iterator[Change]:
    numeric = str(rng.choice(case.continuous))
    positive = str(rng.choice(case.nonnegative))
    sd = {name: float(history[name].std()) for name in case.continuous}

    def some(frame: Frame, share: float, where: pd.Series | None = None) -> np.ndarray:
        rows = np.arange(len(frame)) if where is None else np.flatnonzero(where.to_numpy())
        return rng.choice(rows, min(len(rows), max(1, round(share * len(rows)))), replace=False) if len(rows) else rows

    def put(name: str, share: float, value: object, present: bool = True) -> Callable[[Frame], Frame]:
        def change(frame: Frame) -> Frame:
            where = frame[name].notna() if present else None
            at = some(frame, share, where)
            column = frame[name].astype(float if frame[name].dtype.kind in "iuf" else object)
            column.iloc[at] = value
            frame[name] = column
            return frame

        return change

    def each(name: str, share: float, of: Callable[[pd.Series], pd.Series]) -> Callable[[Frame], Frame]:
        def change(frame: Frame) -> Frame:
            at = some(frame, share, frame[name].notna())
            column = frame[name].astype(float) if frame[name].dtype.kind in "if" else frame[name].astype(object)
            column.iloc[at] = of(column.iloc[at])
            frame[name] = column
            return frame

        return change

    for share in (0.01, 0.05, 0.2, 1.0):
        yield "nulls", f"{share:.0%}", (numeric,), put(numeric, share, np.nan)
    for value, share in ((-1.0, 0.05), (9999.0, 0.05), (-1.0, 0.2), (9999.0, 0.2)):
        name = positive if value < 0 else numeric
        yield "numeric sentinel", f"{value:g} in {share:.0%}", (name,), put(name, share, value)
    yield "sign flip", "one row", (positive,), lambda f: _flip_one(f, positive, rng)
    for share in (0.05, 0.5):
        yield "sign flip", f"{share:.0%}", (positive,), each(positive, share, lambda s: -s)
    yield "unit", "×10", (numeric,), each(numeric, 1.0, lambda s: s * 10)
    yield "unit", "×0.1", (numeric,), each(numeric, 1.0, lambda s: s * 0.1)
    if "temp" in case.continuous:
        yield "unit", "°F to °C", ("temp",), each("temp", 1.0, lambda s: (s - 32) / 1.8)
    for size in (0.25, 0.5, 1.0):
        yield "shift", f"{size:g} sd", (numeric,), each(numeric, 1.0, lambda s, by=size: s + by * sd[numeric])
    for factor in (1.25, 1.5, 2.0):

        def spread(s: pd.Series, factor: float = factor) -> pd.Series:
            return s.mean() + factor * (s - s.mean())

        yield "variance", f"×{factor:g}", (numeric,), each(numeric, 1.0, spread)
    if len(case.continuous) > 1:
        first, second = (str(name) for name in rng.choice(case.continuous, 2, replace=False))
        yield "swapped", "two fields", (first, second), lambda f: _swap(f, first, second)
    common = float(history[numeric].mode().iloc[0])
    for share in (0.05, 0.2, 1.0):
        yield "frozen", f"{share:.0%}", (numeric,), put(numeric, share, common)
    yield "precision", "2 digits", (numeric,), each(numeric, 1.0, _rounded)
    for share in (0.05, 0.2, 0.5):
        yield "rows lost", f"{share:.0%}", ("",), lambda f, s=share: f.drop(f.index[some(f, s)]).reset_index(drop=True)
    for share in (0.05, 0.2, 1.0):
        yield (
            "duplicated",
            f"{share:.0%}",
            ("",),
            lambda f, s=share: pd.concat([f, f.iloc[some(f, s)]], ignore_index=True),
        )
    yield "stale", "yesterday again", ("",), lambda f: _stale(f, yesterday, case)
    yield "missing", "no batch", ("",), lambda f: None
    hour = "hour" if "hour" in clean.columns else case.time
    # what is shifted by the time column leaves the day, so that the table's rows may be named
    named = (hour,) if hour == "hour" else (hour, "")
    yield "hour shifted", "+3 h", named, lambda f: _later(f, hour)
    for name in rng.permutation(case.categories)[:2]:
        name = str(name)
        top = history[name].value_counts()
        usual = str(top.index[min(int(rng.integers(0, 3)), len(top) - 1)])
        for share in (0.05, 0.2):
            yield "text sentinel", f"'NA' in {share:.0%}", (name,), put(name, share, "NA")
            yield "text sentinel", f"'' in {share:.0%}", (name,), put(name, share, "")
            yield (
                "typos",
                f"{share:.0%}",
                (name,),
                each(name, share, lambda s: s.astype(str).map(lambda v: _typo(v, rng))),
            )
        yield "encoding", "5%", (name,), each(name, 0.05, lambda s: s.astype(str) + "Ã©")
        yield "new category", "5%", (name,), put(name, 0.05, "NEW1")
        yield "nulls", "5% of text", (name,), put(name, 0.05, None)
        if len(top) <= 40:
            yield (
                "category lost",
                "half",
                (name, ""),
                lambda f, n=name, u=usual: f.drop(f.index[some(f, 0.5, f[n] == u)]).reset_index(drop=True),
            )
            yield "category lost", "all", (name, ""), lambda f, n=name, u=usual: f[f[n] != u].reset_index(drop=True)


def _flip_one(frame: Frame, name: str, rng: np.random.Generator) -> Frame:
    at = np.flatnonzero((frame[name] > 0).to_numpy())
    if len(at):
        column = frame[name].astype(float)
        place = int(rng.choice(at))
        column.iloc[place] = -column.iloc[place]
        frame[name] = column
    return frame


def _swap(frame: Frame, first: str, second: str) -> Frame:
    frame[first], frame[second] = frame[second].astype(float), frame[first].astype(float)
    return frame


def _rounded(values: pd.Series) -> pd.Series:
    size = 10 ** (np.floor(np.log10(values.abs().replace(0, np.nan))) - 1)
    return (values / size).round().mul(size).fillna(values) if len(values) else values


def _stale(frame: Frame, yesterday: Frame, case: Case) -> Frame:
    again = yesterday.copy()
    again[case.time] = again[case.time] + pd.Timedelta(days=1)
    return again


def _later(frame: Frame, name: str) -> Frame:
    if name == "hour":
        frame[name] = (frame[name] + 3) % 24
    else:
        frame[name] = frame[name] + pd.Timedelta(hours=3)
    return frame


def _typo(value: str, rng: np.random.Generator) -> str:
    if len(value) < 2:
        return value + "x"
    at = int(rng.integers(0, len(value) - 1))
    return value[:at] + value[at + 1] + value[at] + value[at + 2 :] if value[at] != value[at + 1] else value + value[-1]
