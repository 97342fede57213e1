"""One table of the benchmark: its days, and what the faults need to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Case:
    """One table cut into days, with what the faults need to know of it.

    Attributes:
        name: shown in the results.
        days: (date, rows of that day), oldest first.
        key, time: columns that identify and date a row.
        segments: fields that split the table.
        nonnegative: numeric fields that can't be negative.
        continuous: numeric fields for shifts, units, spread.
        categories: low-cardinality text fields.
        exceptional: dates that are reported apart: holidays, storms.
    """

    name: str
    days: list[tuple[pd.Timestamp, pd.DataFrame]]
    key: str
    time: str
    segments: tuple[str, ...]
    nonnegative: tuple[str, ...]
    continuous: tuple[str, ...]
    categories: tuple[str, ...]
    exceptional: frozenset = frozenset()


def cut(frame: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    """(day, its rows) by the column `day`."""
    return [(pd.Timestamp(day), part.drop(columns="day").reset_index(drop=True)) for day, part in frame.groupby("day")]
