"""Which failures have one cause: literal failures, literal groups."""

from __future__ import annotations

import random

import pytest

from mlobs.incidents.grouping import episodes, group, upstream_first
from mlobs_tests.incidents.world import LINEAGE, failure


def grouped(*failures):
    """Each group as (table where it began, sorted "table/field@day" of its failures)."""
    found = group(failures, LINEAGE)
    return [(g.table, sorted(f"{v.table}/{v.field}@{v.window.start.day}" for v in g.verdicts)) for g in found]


def warn(table, window, field="rain", **more):
    return failure(table, window, field, severity="warn", detector="drift", metric="psi", **more)


CASES = {
    "nothing": ([], []),
    "ten fields of one table are one": (
        [failure("weather", 1, f"f{i}") for i in range(10)],
        [("weather", [f"weather/f{i}@1" for i in range(10)])],
    ),
    "downstream failures are explained by the table upstream": (
        [failure("predictions", 1), failure("features", 1), failure("weather", 1), failure("delay.performance", 1)],
        [("weather", ["delay.performance/@1", "features/wind@1", "predictions/wind@1", "weather/wind@1"])],
    ),
    "tables that don't feed each other are two": (
        [failure("weather", 1), failure("actuals", 1)],
        [("actuals", ["actuals/wind@1"]), ("weather", ["weather/wind@1"])],
    ),
    "a failure downstream one window later is still explained": (
        [failure("features", 1), failure("predictions", 2)],
        [("features", ["features/wind@1", "predictions/wind@2"])],
    ),
    "a failure downstream a week later is not": (
        [failure("features", 1), failure("predictions", 8)],
        [("features", ["features/wind@1"]), ("predictions", ["predictions/wind@8"])],
    ),
    "a failure that began before the fault upstream isn't explained by it": (
        [failure("predictions", 1), failure("predictions", 2), failure("features", 2)],
        [("predictions", ["predictions/wind@1", "predictions/wind@2"]), ("features", ["features/wind@2"])],
    ),
    "one window that passes doesn't end an episode": (
        [failure("features", 1), failure("features", 3)],
        [("features", ["features/wind@1", "features/wind@3"])],
    ),
    "two windows that pass do": (
        [failure("features", 1), failure("features", 4)],
        [("features", ["features/wind@1"]), ("features", ["features/wind@4"])],
    ),
    "drift is explained by a fault in one of the seven windows that it is about": (
        [failure("features", 1), warn("features", 7)],
        [("features", ["features/rain@7", "features/wind@1"])],
    ),
    "drift of windows after the fault is not": (
        [failure("features", 1), warn("features", 10)],
        [("features", ["features/wind@1"]), ("features", ["features/rain@10"])],
    ),
    "a change on the same table is explained by a data fault": (
        [failure("features", 2), warn("features", 2), warn("features", 3)],
        [("features", ["features/rain@2", "features/rain@3", "features/wind@2"])],
    ),
    "a change that goes on before a data fault stays apart from it": (
        [warn("features", 1), warn("features", 2), failure("features", 2)],
        [("features", ["features/rain@1", "features/rain@2"]), ("features", ["features/wind@2"])],
    ),
    "a change upstream explains a fall in accuracy": (
        [warn("features", 1), warn("features", 2), failure("delay.performance", 2)],
        [("features", ["delay.performance/@2", "features/rain@1", "features/rain@2"])],
    ),
    "but no data fault": (
        [warn("features", 1), failure("predictions", 1)],
        [("features", ["features/rain@1"]), ("predictions", ["predictions/wind@1"])],
    ),
    "a data fault explains before a change does": (
        [warn("features", 2), failure("weather", 1), failure("weather", 2), failure("delay.performance", 2)],
        [("weather", ["delay.performance/@2", "features/rain@2", "weather/wind@1", "weather/wind@2"])],
    ),
    "two models that fall with their table are one": (
        [failure("features", 1), failure("delay.performance", 1), failure("other.performance", 1)],
        [("features", ["delay.performance/@1", "features/wind@1", "other.performance/@1"])],
    ),
    "a model alone is its own cause": (
        [failure("delay.performance", 5, segment="origin=JFK"), failure("delay.performance", 5)],
        [("delay.performance", ["delay.performance/@5", "delay.performance/@5"])],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_groups(case):
    failures, expected = CASES[case]
    assert grouped(*failures) == expected


@pytest.mark.parametrize("case", CASES)
def test_the_order_of_failures_does_not_matter(case):
    failures, expected = CASES[case]
    shuffled = list(failures)
    random.Random(7).shuffle(shuffled)
    assert grouped(*shuffled) == expected


def test_an_episode_is_as_bad_as_its_worst_window():
    (episode,) = episodes([failure("weather", 1, severity="warn"), failure("weather", 2)])
    assert (episode.severity, episode.data_fault) == ("error", True)
    assert (episode.start.day, episode.end.day) == (1, 3)


def test_a_cycle_in_the_lineage_ends():
    loop = {"a": ["b"], "b": ["a"], "c": ["a"]}
    assert upstream_first(loop, ["c", "b", "a"]) == ["a", "b", "c"]
    assert len(group([failure(t, 1) for t in "abc"], loop)) == 1


def test_a_year_of_failures_is_grouped_in_a_moment():
    import time

    failures = [failure("features", 1 + 4 * i, f"f{j}") for i in range(90) for j in range(10)]
    failures += [failure("delay.performance", 1 + 4 * i, segment=f"s{j}") for i in range(90) for j in range(10)]
    began = time.process_time()
    assert len(group(failures, LINEAGE)) == 90
    assert time.process_time() - began < 3


def test_drift_is_about_as_many_windows_as_are_declared():
    found = [failure("features", 1), warn("features", 4)]
    assert [len(group(found, LINEAGE, drift_windows={"features": n})) for n in (1, 3, 14)] == [2, 1, 1]
