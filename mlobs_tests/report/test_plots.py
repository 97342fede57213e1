"""What plots are made of: columns that a browser can draw, small, and never NaN in JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from mlobs.report import content as c
from mlobs.report import plots
from mlobs.report.page import arrivals_said, page_plots
from mlobs_tests.report import pages

NAN, INF = math.nan, math.inf


def test_days_stand_in_their_middle_and_gaps_are_null():
    series = c.Series(
        pages.days(2), (1.23456, NAN), (NAN, 1.0), (NAN, 1.5), (NAN, 1.2), ("learning", "passed"), ("", "")
    )
    columns = plots.history_plot("mean", series).columns["points"]
    assert columns["t"] == [1356998400000 + 43200000, 1357084800000 + 43200000]
    assert columns["value"] == [1.235, None]
    assert columns["low"] == [None, 1.0]


def test_a_range_is_drawn_to_one_span_beyond_the_values_at_most():
    values, low, high = (10.0, 30.0, 20.0), (-INF, 0.0, -1e60), (20.0, INF, 1e60)
    states, reasons = ("passed", "error", "passed"), ("", "why", "")
    series = c.Series(pages.days(3), values, low, high, (9, 9, 9), states, reasons)
    columns = plots.history_plot("mean", series).columns
    assert columns["points"]["low"] == [-10.0, 0.0, -10.0]
    assert columns["points"]["high"] == [20.0, 50.0, 50.0]
    assert columns["failed"]["text"] == ["why"]


def test_a_range_of_a_constant_stays_near_it():
    series = c.Series(pages.days(1), (100.0,), (-INF,), (INF,), (100.0,), ("passed",), ("",))
    points = plots.history_plot("mean", series).columns["points"]
    assert (points["low"], points["high"]) == ([50.0], [150.0])


def test_a_rate_has_percent_on_its_axis():
    series = c.Series(pages.days(1), (0.5,), (0.0,), (1.0,), (0.5,), ("passed",), ("",))
    assert plots.history_plot("null_rate", series).kind == "share_history"
    assert plots.history_plot("mean", series).kind == "history"


def test_neighbours_in_one_state_become_one_box_and_a_failure_keeps_its_reason():
    d = pages.days(6)
    row = c.HeatRow(
        "wind_speed",
        (
            (d[0], "learning", ""),
            (d[1], "passed", ""),
            (d[2], "passed", ""),
            (d[3], "error", "1048 mph"),
            (d[5], "passed", ""),
        ),
    )
    heat = c.HeatMap("features", "features", (row,), 3, 6)
    boxes = plots.heat_plot(heat).columns["boxes"]
    assert boxes["span"] == ["2013-01-01", "2013-01-02 to 2013-01-03", "2013-01-04", "2013-01-06"]
    assert boxes["state"] == ["learning", "passed", "failed", "passed"]
    assert boxes["text"] == ["", "", "1048 mph", ""]


def test_bins_that_look_alike_after_shortening_stay_apart():
    shares = c.Distribution(("a very long category one", "a very long category two"), (0.5, 0.5), (0.1, 0.9), "r", "c")
    plot = plots.distribution_plot(shares)
    names = plot.columns["bins"]["bin"]
    assert len(set(names)) == 2
    assert plot.settings["x"]["factors"] == names
    assert plot.columns["bins"]["full"] == list(shares.labels)


def test_text_that_looks_like_a_formula_is_broken_up_on_axes():
    shares = c.Distribution(("$$x$$", r"\(x\)"), (0.5, 0.5), (0.5, 0.5), "r", "c")
    names = plots.distribution_plot(shares).columns["bins"]["bin"]
    assert not any("$$" in name or r"\(" in name for name in names)


def test_equal_time_axes_are_written_once_and_the_payload_is_plain_json():
    page = pages.page(365, 100)
    drawn = {f"f{i}": plots.history_plot("mean", f.histories[0].series) for i, f in enumerate(page.fields)}
    payload = plots.payload(drawn)
    assert list(payload["shared"]) == ["t0"]
    first = plots._times(page.fields[0].histories[0].series.windows)[0]
    assert payload["shared"]["t0"] == {"first": first, "unit": 86_400_000, "steps": [1] * 364}
    assert all(p["columns"]["points"]["t"] == "@t0" for p in payload["plots"].values())
    assert json.loads(json.dumps(payload, allow_nan=False))["plots"].keys() == drawn.keys()


def test_every_kind_of_plot_names_parts_that_its_figure_has():
    page = pages.page(200, 2)
    told = plots.payload(page_plots(page))
    for plot in told["plots"].values():
        parts = told["figures"][plot["kind"]]["parts"]
        assert {*plot["columns"], *plot["settings"]} <= {*parts}
    assert {plot["kind"] for plot in told["plots"].values()} == {
        *("accuracy", "coverage", "heat", "history", "share_history", "distribution", "mix", "freshness")
    }


def test_windows_loaded_in_hindsight_say_nothing_of_a_feed():
    story = pages.page(160).tables[0]
    late = replace(story.arrivals[0], delay_hours=2000.0)
    backfilled = replace(story, arrivals=(late, *story.arrivals[1:]))
    delays = plots.freshness_plot(backfilled).columns["points"]["delay"]
    assert len(delays) == len(story.arrivals) - 1
    assert max(d for d in delays if d is not None) < 48
    assert arrivals_said(backfilled).endswith("1 more window loaded in hindsight.")


def test_what_repeats_is_sent_once():
    reasons = ("", "lost", "lost", "late")
    windows = pages.days(4)
    series = c.Series(windows, (1.0, 2.0, 3.0, 4.0), (0.0,) * 4, (1.0,) * 4, (0.5,) * 4, ("error",) * 4, reasons)
    drawn = {name: plots.history_plot("mean", series) for name in ("a", "b")}
    sent = plots.payload(drawn)
    columns = sent["plots"]["b"]["columns"]
    assert columns["points"]["low"] == {"all": 0.0, "count": 4}
    assert columns["points"]["value"] == [1.0, 2.0, 3.0, 4.0]
    assert columns["failed"]["text"] == {"texts": [0, 1, 1, 2]}
    assert sent["texts"] == ["", "lost", "late"]
