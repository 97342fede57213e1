"""A table's measurements without a profile: what detectors are fed with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mlobs.metrics.measurement import Measurement
from mlobs.windows import Window

START = Window("2013-01-01", "2013-01-02")


@dataclass
class Measured:
    """A profile that holds measurements and nothing else."""

    rows: int
    found: list[Measurement]

    def measurements(self) -> list[Measurement]:
        return self.found


def day(n: int) -> Window:
    return START.shifted(timedelta(days=n))
