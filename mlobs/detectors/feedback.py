"""What people say of verdicts, and calendars, as masks over a table's metrics: pure inputs to `TableMonitor`.

History stores feedback with who and when; any record with `kind`, `scope`, `start` and `until` is understood.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors.families import check_of
from mlobs.detectors.series import Key
from mlobs.errors import SpecError
from mlobs.windows import Window

Mask = NDArray[np.bool_]


class Said(Protocol):
    """Feedback on verdicts; see `Feedback`."""

    @property
    def kind(self) -> str: ...
    @property
    def scope(self) -> Mapping[str, Any]: ...
    @property
    def start(self) -> datetime: ...
    @property
    def until(self) -> datetime | None: ...


@dataclass(frozen=True)
class Feedback:
    """One thing a person said.

    Attributes:
        kind: `expected` (this was fine: it doesn't fail, and is learned at once), `mute` (it doesn't fail and isn't
            learned), `maintenance` (as `mute`, for a planned intervention) or `calendar` (an exceptional time, such as a
            sale: levels, mix and volume don't fail and aren't learned; impossible values do).
        scope: any of `table`, `field`, `metric`, `segment`, `detector`; what is left out means all.
        start, until: the part of the time column it covers, [start, until); None means without end.
    """

    kind: str
    scope: Mapping[str, Any] = field(default_factory=dict)
    start: datetime = datetime.min
    until: datetime | None = None


class Exempt(NamedTuple):
    """Masks of shape (n_metrics,): values to learn at once, values to leave out, and metrics let off in this window except
    for impossible values."""

    accept: Mask
    skip: Mask
    lenient: Mask
    why: str


class Exceptions:
    """All feedback and holidays that concern one table.

    Args:
        table: what is said of other tables is left out.
        feedback: what people said, in any order.
        holidays: dates that aren't judged by ordinary days; see `holidays_of`.
    """

    def __init__(self, table: str, feedback: Iterable[Said] = (), holidays: Collection[date] = ()) -> None:
        self.feedback: Sequence[Said] = [f for f in feedback if f.scope.get("table") in (None, "", table)]
        self.holidays = frozenset(holidays)
        for said in self.feedback:
            if said.kind not in ("expected", "mute", "maintenance", "calendar"):
                raise SpecError(f"feedback {said.kind!r} is unknown: use expected, mute, maintenance or calendar")

    def on(self, window: Window, keys: Sequence[Key]) -> Exempt | None:
        """What holds in that window; None when it is an ordinary one."""
        found = [f for f in self.feedback if _covers(f, window)]
        holiday = window.start.date() in self.holidays
        if not found and not holiday:
            return None
        size = len(keys)
        masks = {kind: np.zeros(size, bool) for kind in ("expected", "mute", "maintenance", "calendar")}
        for said in found:
            masks[said.kind] |= np.array([_speaks_of(said.scope, key) for key in keys], bool)
        lenient = masks["calendar"] | holiday
        why = "holiday" if holiday else ", ".join(sorted({f.kind for f in found}))
        return Exempt(masks["expected"], masks["mute"] | masks["maintenance"], lenient, why)


def holidays_of(country: str, years: Iterable[int], *, subdivision: str | None = None) -> frozenset[date]:
    """Public holidays of a country, from the package `holidays`.

    Raises:
        SpecError: when the package is missing or doesn't know the country.
    """
    try:
        import holidays
    except ImportError as error:
        raise SpecError(
            "calendars of countries need the package holidays: pip install holidays, or give dates"
        ) from error
    try:
        return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=list(years)))
    except NotImplementedError as error:
        raise SpecError(f"the package holidays doesn't know {country!r} {subdivision or ''}: {error}") from error


def _covers(said: Said, window: Window) -> bool:
    start = said.start
    begun = start == datetime.min or start < window.end
    return begun and (said.until is None or window.start < said.until)


def _speaks_of(scope: Mapping[str, Any], key: Key) -> bool:
    field_, metric, segment = key
    names = {"field": field_, "metric": metric, "segment": segment, "detector": check_of(*key)}
    if scope.get("metric", "").endswith("_trend") and "metric" in scope:
        names["metric"] = f"{metric}_trend"
    return all(scope.get(name) in (None, value) for name, value in names.items())
