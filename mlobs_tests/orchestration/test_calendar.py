"""Windows as partitions: keys, families of models, and what can't be one calendar."""

from datetime import UTC, datetime, timedelta

import pytest

from mlobs.errors import SpecError, WindowError
from mlobs.orchestration.calendar import Calendar, families
from mlobs.spec import Model, Table
from mlobs.windows import DAY, Window, instant


def table(name: str, **more: object) -> Table:
    return Table(name, time="at", key="id", **more)


def model(name: str, features: Table, actuals: Table | None = None, predictions: Table | None = None) -> Model:
    return Model(
        name,
        "regression",
        features=features,
        predictions=predictions or table(f"{name}_predictions", cadence=features.cadence),
        actuals=actuals or table(f"{name}_actuals", cadence=features.cadence),
        prediction="p",
        actual="y",
    )


@pytest.mark.parametrize(
    ("cadence", "key", "end"),
    [
        (DAY, "2024-03-05", "2024-03-06"),
        (timedelta(hours=1), "2024-03-05-00:00", "2024-03-05 01:00"),
        (timedelta(hours=6), "2024-03-05-18:00", "2024-03-06"),
        (timedelta(minutes=15), "2024-03-05-00:45", "2024-03-05 01:00"),
        (timedelta(days=7), "2024-03-04", "2024-03-11"),
    ],
)
def test_dagster_and_windows_agree_on_keys(cadence: timedelta, key: str, end: str) -> None:
    calendar = Calendar(cadence, instant("2024-01-01"), instant("2024-04-01"))
    window = calendar.window(key)
    assert window.end == instant(end)
    assert calendar.key(window) == key
    span = calendar.partitions.time_window_for_partition_key(key)
    assert (instant(span.start), instant(span.end)) == (window.start, window.end)


def test_a_growing_table_has_the_current_window_as_its_last() -> None:
    calendar = Calendar(DAY, instant("2024-01-01"))
    now = datetime.now(UTC)
    assert calendar.partitions.get_last_partition_key() == calendar.key(calendar.at(now))


def test_a_complete_table_ends() -> None:
    calendar = Calendar(DAY, instant("2024-01-01"), instant("2024-02-01"))
    assert calendar.partitions.get_last_partition_key() == "2024-01-31"
    assert not calendar.holds(Window.day("2024-02-01"))


def test_a_range_of_keys_is_every_window_between() -> None:
    calendar = Calendar(DAY, instant("2024-01-01"))
    assert [w.key for w in calendar.range("2024-02-28", "2024-03-01")] == ["2024-02-28", "2024-02-29", "2024-03-01"]


def test_a_window_off_the_grid_and_a_key_that_is_none_are_refused() -> None:
    calendar = Calendar(DAY, instant("2024-01-01"))
    with pytest.raises(WindowError, match="is no partition"):
        calendar.key(Window("2024-01-01 12:00", "2024-01-02 12:00"))
    with pytest.raises(WindowError, match="doesn't read"):
        calendar.window("yesterday")


def test_a_cadence_that_cron_cannot_say_is_refused() -> None:
    with pytest.raises(SpecError, match="minutes that divide an hour"):
        _ = Calendar(timedelta(hours=7), instant("2024-01-01")).partitions


def test_models_that_share_a_table_are_one_family() -> None:
    shared = table("features", start="2024-01-05")
    late = model("late", shared)
    early = model("early", table("others", start="2024-01-01"))
    cancelled = model("cancelled", shared, actuals=table("cancellations", start="2024-01-02"))
    first, second = families([late, early, cancelled])
    assert [m.name for m in first.models] == ["early"]
    assert [m.name for m in second.models] == ["late", "cancelled"]
    assert (first.name, second.name) == ("early", "late_family")
    assert second.calendar.start == instant("2024-01-02")
    assert [t.id for t in second.tables].count("features") == 1


def test_families_say_what_contradicts() -> None:
    features = table("features", start="2024-01-01")
    with pytest.raises(SpecError, match="declared twice"):
        families([model("a", features), model("a", features)])
    with pytest.raises(SpecError, match="both write predictions"):
        families([model("a", features, predictions=table("p")), model("b", features, predictions=table("p"))])
    with pytest.raises(SpecError, match="declared in two ways"):
        families([model("a", features), model("b", table("features", start="2023-01-01"))])
    with pytest.raises(SpecError, match="say when history starts"):
        families([model("a", table("features"))])
