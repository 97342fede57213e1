"""Rules that real tables asked for: few values, open-ended values, comings and goings, repeats by chance, wide tables."""

import numpy as np
import pandas as pd
import pytest

from mlobs import Field, Reference, profile
from mlobs.detectors import TableMonitor
from mlobs.detectors.given_rows import GivenRows, even_slope
from mlobs.detectors.novelty import limits, never_seen_score
from mlobs.detectors.verdict import Range
from mlobs.detectors.wording import Facts, sentence
from mlobs.metrics.measurement import Measurement
from mlobs_tests.detectors.measured import Measured, day


def rate(name: str, metric: str, count: int, rows: int, segment: str = "") -> Measurement:
    return Measurement(name, metric, "rate", count / rows, rows, count, segment)


def distinct(name: str, count: int, rows: int) -> Measurement:
    return Measurement(name, "distinct", "count", float(count), rows, count)


def walked(batches: list[Measured], first: int = 28) -> list[set[tuple[str, str]]]:
    """(field, metric) of what fails in each window from `first` on; every window is learned."""
    monitor, told = TableMonitor("t"), []
    for n, one in enumerate(batches):
        if n >= first:
            told.append({(v.field, v.metric) for v in monitor.judge(one, day(n)) if v.failed})
        monitor.observe(one, day(n))
    return told


def test_values_frozen_show_in_their_number_given_the_rows():
    rng = np.random.default_rng(0)
    sizes = rng.poisson(200, 41)
    days = [Measured(n, [distinct("amount", n - int(rng.integers(0, 3)), n)]) for n in sizes]
    frozen = Measured(200, [distinct("amount", 162, 200)])
    assert walked([*days[:40], frozen])[-1] == {("amount", "distinct")}
    # as few values are no wonder where there are few rows
    assert walked([*days[:40], Measured(162, [distinct("amount", 161, 162)])])[-1] == set()


@pytest.mark.parametrize("rows", [100, 200, 400])
def test_the_range_of_what_is_judged_given_the_rows_is_that_of_the_windows_own_rows(rows):
    rng = np.random.default_rng(3)
    monitor = TableMonitor("t")
    for at in range(40):
        n = int(rng.integers(50, 500))
        monitor.observe(Measured(n, [distinct("amount", n - int(rng.integers(0, 3)), n)]), day(at))
    (said,) = monitor.judge(Measured(rows, [distinct("amount", rows - 1, rows)]), day(40))
    assert said.status == "passed"
    assert 0.9 * rows < said.expected.low <= rows - 1 <= said.expected.high < 1.1 * rows
    assert said.expected.expected == pytest.approx(rows - 1, rel=0.02)


def test_what_never_was_but_in_an_alarm_is_told_so():
    days = [Measured(200, [rate("age", "negative_rate", int(n in (30, 33)), 200)]) for n in range(34)]
    monitor, told = TableMonitor("t"), []
    for n, one in enumerate(days):
        told += [(n, v.reason) for v in monitor.judge(one, day(n)) if v.failed]
        monitor.observe(one, day(n))
    what = "negative rate of age is 0.5% (1 of 200 rows)"
    assert told == [
        (30, f"{what}; in 30 windows and 6,000 rows it was never above 0"),
        (33, f"{what}; in 33 windows and 6,400 rows it was never above 0, but for an alarm 3 windows ago"),
    ]


def test_rows_that_share_one_value_show_in_the_fullest_bin_given_the_rows():
    rng = np.random.default_rng(10)

    def batch(n: int, extra: int = 0) -> Measured:
        fullest = int(rng.multinomial(n, np.full(100, 0.01)).max()) + extra
        return Measured(n, [Measurement("amount", "mode_count", "count", float(fullest), n, fullest)])

    days = [batch(n) for n in rng.poisson(200, 40)]
    assert walked([*days, batch(200, extra=20)])[-1] == {("amount", "mode_count")}
    assert walked([*days, batch(200)])[-1] == set()
    # that rows share no value any more breaks nothing
    assert walked([*days, Measured(200, [Measurement("amount", "mode_count", "count", 1.0, 200, 1)])])[-1] == set()


def test_the_range_of_small_counts_reaches_no_further_than_chance():
    rng = np.random.default_rng(4)
    monitor = TableMonitor("t")
    for at in range(60):
        fullest = int(rng.multinomial(78, np.full(60, 1 / 60)).max())
        monitor.observe(
            Measured(78, [Measurement("air_time", "mode_count", "count", float(fullest), 78, fullest)]), day(at)
        )
    (said,) = monitor.judge(Measured(78, [Measurement("air_time", "mode_count", "count", 5.0, 78, 5)]), day(60))
    assert said.status == "passed"
    assert 7 < said.expected.high < 15  # the fullest of 60 bins holds 4 to 6 of 78 rows, and 8 once in a year


@pytest.mark.parametrize(("lost", "fails"), [(0, False), (1, False), (3, True)])
def test_rows_of_a_segment_that_never_vary_are_missed_soon(lost, fails):
    def batch(atlanta: int) -> Measured:
        rows = atlanta + 59
        return Measured(
            rows,
            [
                Measurement("", "rows", "count", float(atlanta), rows, atlanta, "dest=ATL"),
                rate("", "share", atlanta, rows, "dest=ATL"),
            ],
        )

    told = walked([batch(19)] * 60 + [batch(19 - lost)])
    assert not any(told[:-1])
    assert (("", "rows") in told[-1]) is fails


def test_a_share_of_scheduled_rows_has_a_narrower_range_than_a_sampled_one():
    rng = np.random.default_rng(5)
    ranges = []
    for counts in (np.full(60, 20), rng.binomial(100, 0.2, 60)):
        monitor = TableMonitor("t")
        for at, count in enumerate(counts):
            monitor.observe(Measured(100, [rate("", "share", int(count), 100, "city=Beijing")]), day(at))
        (said,) = monitor.judge(Measured(100, [rate("", "share", 20, 100, "city=Beijing")]), day(60))
        ranges.append(said.expected)
    scheduled, sampled = ranges
    assert scheduled.high < 0.3 < 0.35 < sampled.high < 0.5
    assert scheduled.low > 0.1 > sampled.low


def test_two_rows_with_one_value_in_a_field_that_has_one_for_each_are_no_news():
    sizes = np.random.default_rng(7).integers(100, 160, 120)
    days = [Measured(int(n), [distinct("predicted_delay", int(n), int(n))]) for n in sizes]
    told = walked([*days, Measured(150, [distinct("predicted_delay", 149, 150)])])
    assert not any(told)
    assert walked([*days, Measured(150, [distinct("predicted_delay", 140, 150)])])[-1] == {
        ("predicted_delay", "distinct")
    }


@pytest.mark.parametrize("first", [1, 60])
def test_a_first_window_of_one_row_leaves_no_field_unjudged(first):
    rng = np.random.default_rng(6)

    def batch(rows: int, level: float = 6.0) -> Measured:
        lengths = rng.poisson(level, rows)
        return Measured(
            rows,
            [
                Measurement("length", "mean", "location", float(lengths.mean()), rows),
                Measurement("length", "std", "scale", float(lengths.std()) if rows > 1 else 0.0, rows),
                distinct("length", len(set(lengths)), rows),
            ],
        )

    told = walked([batch(first), *(batch(int(n)) for n in rng.integers(40, 80, 40)), batch(60, 30.0)])
    assert ("length", "mean") in told[-1]
    assert sum(bool(t) for t in told[:-1]) <= 1


@pytest.mark.parametrize(
    ("value", "told", "named"),
    [
        ("Sna Diego", "misspelt_rate", "; among them 'Sna Diego' for 'San Diego'"),
        ("San DiegoÃ©", "garbled_rate", "; among them 'San DiegoÃ©'"),
    ],
)
def test_one_misspelt_or_garbled_value_is_told(value, told, named):
    cities = ["San Diego", "Chicago", "Auckland", "Beijing", "Mumbai"]

    def batch(at: int, extra: list[str]) -> pd.DataFrame:
        rng = np.random.default_rng(at)
        # now and then a city that the reference hadn't: new values alone are no news
        new = ["Oslo", "Lima"][at % 2] if at % 3 == 0 and at > 5 else "Chicago"
        return pd.DataFrame({"city": [*rng.choice(cities, 60), new, *extra], "at": pd.Timestamp("2024-01-01T12")})

    reference = Reference.learn(pd.concat([batch(at, []) for at in range(5)]), time="at")
    monitor = TableMonitor("t")
    spellings = {"misspelt_rate", "garbled_rate"}
    for at in range(40):
        clean = profile(batch(at, []), reference=reference)
        assert not [v for v in monitor.judge(clean, day(at)) if v.failed and v.metric in spellings]
        monitor.observe(clean, day(at))
    failed = monitor.judge(profile(batch(40, [value]), reference=reference), day(40))
    (said,) = [v for v in failed if v.failed and v.metric == told]
    assert said.field == "city"
    assert said.reason.endswith(named)


@pytest.mark.parametrize(("declared", "named"), [(Field("city"), True), (Field("city", sensitive=True), False)])
def test_new_values_are_named_unless_they_are_sensitive(declared, named):
    known = pd.DataFrame({"city": ["San Diego", "Chicago", "Auckland"] * 40})
    reference = Reference.learn(known, fields=[declared])
    monitor = TableMonitor("t")
    for n in range(40):
        monitor.observe(profile(known, reference=reference), day(n))
    rows = pd.DataFrame({"city": [*known["city"], *["<b>Oslo</b>"] * 9]})
    (said,) = [v for v in monitor.judge(profile(rows, reference=reference), day(40)) if v.metric == "unseen_rate"]
    assert said.failed
    assert said.reason.endswith("; among them '<b>Oslo</b>'") is named
    assert ("Oslo" in said.reason) is named


@pytest.mark.parametrize(("windows", "fails"), [(20, False), (60, True)])
def test_one_row_less_in_a_file_that_always_had_one_size_is_news_by_windows(windows, fails):
    def batch(n: int) -> Measured:
        return Measured(n, [Measurement("", "rows", "count", float(n), n, n)])

    monitor = TableMonitor("t")
    for n in range(windows):
        monitor.observe(batch(15), day(n))
    (said,) = monitor.judge(batch(14), day(windows))
    assert said.failed == fails
    if fails:
        assert said.reason == "number of rows is 14; in 60 windows it was always 15"
        assert (said.expected.low, said.expected.high) == (15, 15)


def test_new_values_that_are_due_are_no_news_but_many_are():
    rng = np.random.default_rng(11)

    def batch(new: int, n: int) -> Measured:
        return Measured(n, [rate("city", "unseen_rate", new, n), distinct("city", round(2.5 * n**0.6), n)])

    sizes = rng.poisson(100, 40)
    known = [batch(0, n) for n in sizes]
    assert walked([*known, batch(1, 100)])[-1] == set()
    assert walked([*known, batch(30, 100)])[-1] == {("city", "unseen_rate")}


@pytest.mark.parametrize(("levels", "fails"), [(4, True), (12, False)])
def test_one_new_value_in_few_rows_is_news_where_a_window_shows_all_values(levels, fails):
    def batch(new: int) -> Measured:
        shares = [rate("state", "share", 15 // levels, 15, f"state={k}") for k in range(levels)]
        return Measured(15, [rate("state", "unseen_rate", new, 15), distinct("state", 4, 15), *shares])

    assert (("state", "unseen_rate") in walked([*[batch(0)] * 28, batch(1)])[-1]) == fails


def test_times_shifted_by_hours_show_in_batches_that_no_window_selected():
    rng = np.random.default_rng(12)

    def batch(n: int, late: int = 0) -> pd.DataFrame:
        at = pd.Timestamp("2013-01-01") + pd.to_timedelta(n * 86_400 + rng.integers(0, 86_400, 300) + late, unit="s")
        return pd.DataFrame({"at": at, "amount": rng.normal(size=300)})

    frames = [batch(n) for n in range(40)]
    reference = Reference.learn(pd.concat(frames[:28]))
    monitor = TableMonitor("t")
    for n, frame in enumerate(frames):
        monitor.observe(profile(frame, reference=reference), day(n))

    def told(frame: pd.DataFrame) -> set[tuple[str, str]]:
        found = monitor.judge(profile(frame, reference=reference), day(40))
        return {(v.field, v.metric) for v in found if v.failed}

    assert told(batch(40)) == set()
    assert told(batch(40, late=3 * 3_600)) == {("at", "oldest_age")}


def test_the_slope_of_distinct_values_is_learned():
    rng = np.random.default_rng(1)
    given, use = GivenRows(), np.ones(2, bool)
    given.widen(2)
    for _ in range(60):
        n = rng.integers(50, 150)
        given.learn(np.array([float(n), 12.0]), np.full(2, float(n)), use)
    assert given.slope == pytest.approx([1.0, 0.0], abs=0.02)
    assert even_slope(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == pytest.approx([1.0, 1.0], abs=1.0)


def test_a_flag_that_is_rarely_set_is_not_frozen_when_it_is_never_set():
    rng = np.random.default_rng(2)
    days = []
    for _ in range(120):
        k = int(rng.binomial(60, 0.06))
        p = k / 60
        days.append(
            Measured(
                60,
                [
                    rate("flag", "zero_rate", 60 - k, 60),
                    distinct("flag", 1 + (k > 0), 60),
                    Measurement("flag", "std", "scale", float(np.sqrt(p * (1 - p))), 60),
                    Measurement("flag", "p95", "location", float(p > 0.05), 60),
                ],
            )
        )
    assert {key for told in walked(days) for key in told} == set()
    assert walked([*days, Measured(60, [rate("flag", "zero_rate", 30, 60)])])[-1] == {("flag", "zero_rate")}


@pytest.mark.parametrize(("steady", "fails"), [(True, True), (False, False)])
def test_a_category_that_comes_and_goes_is_not_missed(steady, fails):
    rng = np.random.default_rng(3)
    shares = np.full(40, 0.3) if steady else rng.uniform(0.01, 0.7, 40)
    days = [Measured(100, [rate("kind", "share", int(rng.binomial(100, s)), 100, "kind=a")]) for s in shares]
    gone = Measured(100, [rate("kind", "share", 0, 100, "kind=a")])
    assert (("kind", "share") in walked([*days, gone])[-1]) == fails


def test_names_that_the_reference_can_not_know_pass_once_and_are_learned():
    rng = np.random.default_rng(4)
    known = [Measured(50, [rate("name", "unseen_rate", 0, 50), distinct("name", 50, 50)]) for _ in range(28)]
    after = [
        Measured(50, [rate("name", "unseen_rate", int(rng.binomial(50, 0.8)), 50), distinct("name", 50, 50)])
        for _ in range(30)
    ]
    assert {key for told in walked([*known, *after]) for key in told} == set()
    # of a closed list, new values are news
    closed = [Measured(50, [rate("state", "unseen_rate", 0, 50), distinct("state", 20, 50)]) for _ in range(28)]
    typos = Measured(50, [rate("state", "unseen_rate", 3, 50), distinct("state", 21, 50)])
    assert walked([*closed, typos])[-1] == {("state", "unseen_rate")}


@pytest.mark.parametrize(("keyed", "repeats", "fails"), [(True, 15, False), (True, 40, True), (False, 15, True)])
def test_rows_alike_are_chance_where_a_key_tells_them_apart(keyed, repeats, fails):
    def batch(count: int) -> Measured:
        found = [rate("", "repeat_rate", count, 100)]
        return Measured(100, [*found, rate("", "duplicate_rate", 0, 100)] if keyed else found)

    assert (("", "repeat_rate") in walked([*[batch(0)] * 30, batch(repeats)])[-1]) == fails


def test_one_far_window_is_no_slow_drift():
    rng = np.random.default_rng(6)
    days = [Measured(200, [Measurement("x", "mean", "location", float(rng.normal()), 200)]) for _ in range(60)]
    days.append(Measured(200, [Measurement("x", "mean", "location", 60.0, 200)]))
    assert walked(days)[-1] == {("x", "mean")}


def test_many_events_are_less_by_chance_than_one_and_wide_tables_ask_for_more():
    one, five = never_seen_score(5_000, 200, 0.5, 1), never_seen_score(5_000, 200, 0.5, 5)
    assert one < 3.9 < five
    prior, many = np.array([0.02, 0.5]), np.ones(400, bool)
    narrow = limits(3.7, prior, np.ones(2, bool), 1.0)
    wide = limits(3.7, np.repeat(prior, 200), many, 1.0)
    assert narrow == pytest.approx([3.7, 3.7])
    assert (wide[0], round(wide[-1], 2)) == (3.7, 3.87)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            Facts("temp", "residual_mean", "given=dewp, wind, humid", 2.77, np.nan, 24, Range(-1.9, 1.9, 0), 310, 9, False),
            "distance of temp from what dewp, wind and humid would give is 2.77 of its usual errors, above the expected"
            " -1.9 to 1.9 (usually about 0) that 310 windows of history give",
        ),
        (
            Facts("temp", "null_alone_rate", "twin=dewp", 0.02, 2, 100, Range(0, 0, 0), 30, 3_000, True),
            "share of rows where temp is missing and dewp is not is 2% (2 of 100 rows); in 30 windows and 3,000 rows it was"
            " never above 0",
        ),
        (
            Facts("precip", "zero_rate", "", 0.75, 75, 100, Range(np.nextafter(0.75, 1), 1.0, 0.998), 11, 1_100, False, streak=1),
            "zero rate of precip is 75.0% (75 of 100 rows), less than chance allows for after 11 windows (usually about 99.8%); the"
            " second window in a row",
        ),
    ],
)  # fmt: skip
def test_sentences_say_what_a_metric_s_name_does_not(facts, said):
    assert sentence("failed", facts) == said
