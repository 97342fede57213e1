"""The figures that plots are cloned from, one per kind; the only part of the report that touches the plotting library.

A figure holds empty columns and colour placeholders; its named parts are what `plots` fills. The library is imported
when the first figure is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Literal

ROLES = (
    *("ink", "muted", "grid", "surface", "accent", "dots", "naive", "limit", "band"),
    *("error", "warn", "passed", "learning", "pending", "reference", "current"),
    *("s1", "s2", "s3", "s4", "s5", "s6"),
)
COLOURS: dict[str, str] = {role: f"#0d0c{index:02x}" for index, role in enumerate(ROLES)}
"""Colour role -> the placeholder that stands for CSS variable `--plot-<role>`."""


def _axes(figure: Any) -> None:
    colours = COLOURS
    figure.background_fill_color = None
    figure.border_fill_color = None
    figure.outline_line_color = None
    figure.toolbar.autohide = True
    figure.toolbar.logo = None
    figure.min_border_left = 50
    figure.min_border_right = 8
    for axis in figure.axis:
        axis.axis_line_color = colours["grid"]
        axis.major_tick_line_color = colours["grid"]
        axis.minor_tick_line_color = None
        axis.major_label_text_color = colours["muted"]
        axis.major_label_text_font_size = "12px"
        axis.major_label_text_font = "system-ui, sans-serif"
    figure.grid.grid_line_color = colours["grid"]
    figure.grid.grid_line_alpha = 0.6


def _figure(height: int, tools: str = "xbox_zoom,reset", **options: Any) -> Any:
    from bokeh.plotting import figure

    made = figure(height=height, sizing_mode="stretch_width", tools=tools, **options)
    _axes(made)
    return made


def _times_figure(height: int, **options: Any) -> Any:
    from bokeh.models import DatetimeTickFormatter

    made = _figure(height, x_axis_type="datetime", **options)
    made.xgrid.grid_line_color = None
    made.x_range.range_padding = 0.01
    year = DatetimeTickFormatter(hours="%F", days="%Y", months="%Y", years="")
    made.xaxis.formatter = DatetimeTickFormatter(
        hours="%H:%M",
        days="%b %d",
        months="%b",
        years="%Y",
        context=year,
        context_which="start",
        context_location=options.get("x_axis_location", "below"),
        hide_repeats=True,
    )
    return made


def _hover(
    figure: Any, renderers: Sequence[Any], tips: Sequence[tuple[str, str]], mode: Literal["mouse", "vline"] = "mouse"
) -> None:
    from bokeh.models import HoverTool

    figure.add_tools(
        HoverTool(
            renderers=list(renderers),
            tooltips=list(tips),
            formatters={"@t": "datetime"},
            mode=mode,
            attachment="horizontal",
        )
    )


def _accuracy_figure() -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, Range1d

    c = COLOURS
    measured = ("t", "day", "error", "trailing", "naive", "limit", "estimate", "version", "rows", "coverage", "state")
    points = ColumnDataSource({k: [] for k in measured})
    failed = ColumnDataSource({"t": [], "trailing": []})
    versions = ColumnDataSource({"t": [], "y": [], "name": []})
    events = ColumnDataSource({k: [] for k in ("t", "y", "marker", "colour", "text")})
    f = _times_figure(340)
    f.x_range, f.y_range = Range1d(start=0, end=1), Range1d(start=0, end=1)
    f.ray(
        "t", 0, length=0, angle=math.pi / 2, source=versions, line_color=c["muted"], line_dash="dotted", line_width=1.5
    )
    f.text(
        "t",
        "y",
        "name",
        source=versions,
        text_color=c["muted"],
        text_font_size="12px",
        x_offset=5,
        text_font={"value": "system-ui, sans-serif"},
        text_font_style="bold",
    )
    dots = f.scatter("t", "error", source=points, size=4, color=c["dots"], line_color=None)
    f.line("t", "naive", source=points, line_color=c["naive"], line_width=1.75, line_dash="dashed")
    f.step("t", "limit", source=points, line_color=c["limit"], line_width=1.75, line_dash="dotdash", mode="center")
    f.line("t", "estimate", source=points, line_color=c["s3"], line_width=1.75, line_dash="dotted")
    f.line("t", "trailing", source=points, line_color=c["accent"], line_width=2.5)
    f.scatter(
        "t",
        "trailing",
        source=failed,
        size=5,
        marker="circle",
        color=c["error"],
        line_color=None,
    )
    marks = f.scatter(
        "t", "y", source=events, size=11, marker="marker", fill_color="colour", line_color="colour", line_width=2
    )
    tips = [
        ("window", "@day"),
        ("error", "@error"),
        ("trailing", "@trailing"),
        ("naive", "@naive"),
        ("limit", "@limit"),
        ("foretold", "@estimate"),
    ]
    tips += [("version", "@version"), ("labelled", "@coverage of @rows"), ("check", "@state")]
    _hover(f, [dots], tips, mode="vline")
    _hover(f, [marks], [("", "@text")])
    return f, {
        "points": points,
        "failed": failed,
        "versions": versions,
        "events": events,
        "x": f.x_range,
        "y": f.y_range,
    }


def _coverage_figure() -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, FixedTicker, NumeralTickFormatter, Range1d

    points = ColumnDataSource({k: [] for k in ("t", "day", "top", "rows")})
    f = _times_figure(110)
    f.x_range = Range1d(start=0, end=1)
    f.y_range = Range1d(start=0, end=1.05)
    f.yaxis.ticker = FixedTicker(ticks=[0, 0.5, 1])
    f.yaxis.formatter = NumeralTickFormatter(format="0%")
    bars = f.vbar("t", top="top", width=1, source=points, color=COLOURS["dots"], line_color=None)
    _hover(f, [bars], [("window", "@day"), ("labelled", "@top{0.0%} of @rows")])
    return f, {"points": points, "bars": bars.glyph, "x": f.x_range}


def _heat_figure() -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, FixedTicker, Range1d

    boxes = ColumnDataSource({k: [] for k in ("y", "left", "right", "row", "colour", "span", "state", "text")})
    f = _times_figure(200, x_axis_location="above")
    f.y_range = Range1d(start=0, end=1)
    f.grid.grid_line_color = None
    f.x_range.range_padding = 0
    f.yaxis.ticker = FixedTicker(ticks=[])
    f.yaxis.major_tick_line_color = None
    drawn = f.hbar("y", left="left", right="right", height=0.82, source=boxes, color="colour", line_color=None)
    _hover(f, [drawn], [("", "@row"), ("window", "@span"), ("state", "@state"), ("", "@text")])
    return f, {"boxes": boxes, "y": f.y_range, "ticks": f.yaxis[0].ticker, "axis": f.yaxis[0], "figure": f}


def _history_figure(ticks: str, digits: str) -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, NumeralTickFormatter

    c = COLOURS
    points = ColumnDataSource({k: [] for k in ("t", "value", "low", "high")})
    failed = ColumnDataSource({k: [] for k in ("t", "value", "marker", "colour", "day", "text")})
    f = _times_figure(200)
    band = f.vbar("t", bottom="low", top="high", width=1, source=points, color=c["band"], line_color=c["band"])
    line = f.line("t", "value", source=points, line_color=c["accent"], line_width=1.75)
    marks = f.scatter(
        "t", "value", source=failed, size=9, marker="marker", fill_color=c["surface"], line_color="colour", line_width=2
    )
    f.yaxis.formatter = NumeralTickFormatter(format=ticks)
    value, low, high = (f"@{name}{{{digits}}}" for name in ("value", "low", "high"))
    tips = [("window", "@t{%F}"), ("value", value), ("expected", f"{low} to {high}")]
    _hover(f, [line], tips, mode="vline")
    _hover(f, [marks], [("window", "@day"), ("", "@text")])
    return f, {"points": points, "failed": failed, "band": band.glyph}


def _distribution_figure() -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, Dodge, FactorRange, NumeralTickFormatter

    c = COLOURS
    bins = ColumnDataSource({k: [] for k in ("bin", "full", "reference", "current")})
    f = _figure(200, tools="reset", x_range=FactorRange())
    f.xgrid.grid_line_color = None
    f.y_range.start = 0
    f.yaxis.formatter = NumeralTickFormatter(format="0%")
    f.xaxis.major_label_orientation = 0.7
    bars = []
    for column, shift in (("reference", -0.2), ("current", 0.2)):
        place = {"field": "bin", "transform": Dodge(value=shift, range=f.x_range)}
        bars.append(f.vbar(place, top=column, width=0.38, source=bins, color=c[column], line_color=None))
    _hover(f, bars, [("", "@full"), ("reference", "@reference{0.00%}"), ("newest", "@current{0.00%}")])
    return f, {"bins": bins, "x": f.x_range}


def _mix_figure() -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, NumeralTickFormatter

    c = COLOURS
    lines = ColumnDataSource({k: [] for k in ("t", "share", "segment", "colour")})
    failed = ColumnDataSource({k: [] for k in ("t", "share", "text")})
    f = _times_figure(200)
    f.y_range.start = 0
    f.yaxis.formatter = NumeralTickFormatter(format="0%")
    drawn = f.multi_line("t", "share", source=lines, line_color="colour", line_width=2)
    marks = f.scatter(
        "t",
        "share",
        source=failed,
        size=9,
        marker="circle_x",
        fill_color=c["surface"],
        line_color=c["error"],
        line_width=2,
    )
    _hover(f, [drawn], [("", "@segment")])
    _hover(f, [marks], [("", "@text")])
    return f, {"lines": lines, "failed": failed}


def _freshness_figure() -> tuple[Any, dict[str, Any]]:
    from bokeh.models import ColumnDataSource, NumeralTickFormatter

    points = ColumnDataSource({k: [] for k in ("t", "day", "delay", "at", "rows")})
    f = _times_figure(150)
    f.yaxis.formatter = NumeralTickFormatter(format="0.[0] 'h'")
    dots = f.scatter("t", "delay", source=points, size=5, color=COLOURS["accent"], line_color=None)
    _hover(f, [dots], [("window", "@day"), ("arrived", "@at"), ("rows", "@rows")], mode="vline")
    return f, {"points": points}


FIGURES: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "accuracy": _accuracy_figure,
    "coverage": _coverage_figure,
    "heat": _heat_figure,
    "history": partial(_history_figure, "0,0.[000]", "0,0.[0000]"),
    "share_history": partial(_history_figure, "0.[000]%", "0.[0000]%"),
    "distribution": _distribution_figure,
    "mix": _mix_figure,
    "freshness": _freshness_figure,
}


@cache
def clonable(kind: str) -> dict[str, Any]:
    """The figure of one kind as JSON, with the ids of its named parts."""
    from bokeh.embed import json_item

    figure, parts = FIGURES[kind]()
    named = {name: part.id for name, part in parts.items()}
    axis = figure.xaxis[0]
    clock = axis.ticker.id if type(axis).__name__ == "DatetimeAxis" else ""
    return {"item": json_item(figure), "parts": named, "height": figure.height, "clock": clock}


def library() -> str:
    """The plotting library's minified browser code, read from the installed package."""
    from bokeh.resources import Resources

    paths = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
    return "\n".join(paths)
