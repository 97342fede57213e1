"""The demo's tables that both models read: features and actuals of JetBlue's flights."""

from __future__ import annotations

from typing import Any

from mlobs.demo.story import Source
from mlobs.spec import Field, Table

YEAR = ("2013-01-01", "2014-01-01")
CATEGORIES = ("origin", "dest", "part_of_day")
FIELDS = (
    Field("origin", "categorical", "airport of departure"),
    Field("dest", "categorical", "airport of arrival"),
    Field("part_of_day", "categorical", "morning until 11, afternoon until 17, evening; local time"),
    Field("distance", "numeric", "great-circle distance", unit="mi"),
    Field("hour", "numeric", "scheduled hour of departure, local time", unit="h"),
    Field("weekday", "numeric", "0 is Monday"),
    Field("scheduled_minutes", "numeric", "arrival clock minus departure clock", unit="min"),
    Field("temp", "numeric", "last hourly observation at the origin", unit="°F"),
    Field("dewp", "numeric", "dew point", unit="°F"),
    Field("humid", "numeric", "relative humidity", unit="%"),
    Field("wind_dir", "numeric", "wind direction", unit="°"),
    Field("wind_speed", "numeric", "wind speed", unit="mph"),
    Field("precip", "numeric", "precipitation in the hour", unit="in"),
    Field("pressure", "numeric", "sea-level pressure", unit="mbar"),
    Field("visib", "numeric", "visibility", unit="mi"),
    Field("peak_wind_12h", "numeric", "highest wind speed observed in the last 12 hours", unit="mph"),
    Field("minutes_since_weather_observation", "numeric", "age of the observation, never negative", unit="min"),
)
OWNERS = ("team:delays",)


def inputs() -> list[str]:
    """The features, categories first."""
    return [*CATEGORIES, *(field.name for field in FIELDS if field.name not in CATEGORIES)]


def common() -> dict[str, Any]:
    """What every table of the demo has in common."""
    start, end = YEAR
    return {"key": "flight_id", "time": "scheduled_at", "start": start, "end": end, "owners": OWNERS}


def features(source: Source) -> Table:
    """What is known of a flight before it departs; `source` delivers it."""
    return Table(
        "features", schema="flights", fields=FIELDS, segments=("origin",), load=source.features,
        description="One row a scheduled JetBlue flight from New York: what is known before it departs.", **common(),
    )  # fmt: skip


def actuals(source: Source) -> Table:
    """How flights turned out; `source` delivers it."""
    return Table(
        "actuals", schema="flights",
        fields=(Field("arr_delay", "numeric", unit="min"), Field("late", "boolean"), Field("cancelled", "boolean")),
        load=source.actuals, description="How late each flight arrived, known a day later.", **common(),
    )  # fmt: skip
