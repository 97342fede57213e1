"""The page's plots: one figure per kind is built here, and each plot is that figure with its own columns.

The browser clones a figure and fills in the columns (`assets/draw.js`), so a hundred plots cost a hundred sets of
numbers, not a hundred figures. Colours are placeholders that the browser replaces by the page's CSS variables: one
page serves light and dark. Nothing but arrays and `content` is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from mlobs.report import wording
from mlobs.report.content import (
    AccuracyStory,
    CellState,
    DecisionLine,
    Distribution,
    HeatMap,
    Promotion,
    Said,
    Series,
    TableStory,
)
from mlobs.report.figures import COLOURS, clonable
from mlobs.windows import Window

MARKS: dict[str, tuple[str, str]] = {
    "retrain": ("triangle", "accent"),
    "hold": ("square", "warn"),
    "refused": ("x", "error"),
    "promoted": ("star", "passed"),
    "calendar": ("diamond", "pending"),
    "maintenance": ("diamond", "muted"),
    "expected": ("diamond", "passed"),
    "mute": ("diamond", "learning"),
}
"""What happened to the model, or was said of it -> marker and colour on the accuracy plot."""

MAX_MIX = 6


@dataclass(frozen=True)
class Plot:
    """One plot of the page.

    Attributes:
        kind: which figure is cloned.
        columns: source name -> column name -> values; a text "@name" stands for a shared column.
        settings: name of a part of the figure -> property -> value, set on the clone.
    """

    kind: str
    columns: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _times(windows: Iterable[Window]) -> list[int]:
    """Middles of the windows, in milliseconds since 1970: a day's value stands in the middle of its day."""
    return [int((w.start.timestamp() + w.end.timestamp()) * 500) for w in windows]


def _plain(values: Iterable[float], digits: int = 4) -> list[float | None]:
    """Finite numbers with so many significant digits (4 are enough for a pixel), else None."""
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in values]


def _width(windows: Sequence[Window]) -> float:
    """Width of a bar that reaches from window to window, in milliseconds; where most are left out, over these."""
    if not windows:
        return 1.0
    between = sorted((b.start - a.start).total_seconds() for a, b in pairwise(windows))
    most = between[int(0.9 * len(between))] if between else 0.0
    return max(windows[-1].length.total_seconds(), most) * 1000


def _reach(windows: Sequence[Window], others: Sequence[datetime]) -> dict[str, int]:
    """One time axis for plots that stand below each other: all windows, and instants close to them."""
    first, last = windows[0].start, windows[-1].end
    near = [at for at in others if first - 14 * windows[0].length <= at <= last]
    start, end = min([first, *near]).timestamp() * 1000, last.timestamp() * 1000
    pad = (end - start) * 0.01
    return {"start": int(start - pad), "end": int(end + pad)}


def _bounds(series: Series) -> tuple[list[float | None], list[float | None]]:
    """The expected range for drawing; it ends one span of the values beyond them, so that they stay readable."""
    seen = [v for v in series.values if math.isfinite(v)]
    least, most = (min(seen), max(seen)) if seen else (0.0, 1.0)
    pad = (most - least) or abs(most) * 0.5 or 1.0
    low, high = [], []
    for a, b in zip(series.low, series.high, strict=True):
        learnt = not (math.isnan(a) or math.isnan(b))
        low.append(min(max(a, least - pad), most + pad) if learnt else math.nan)
        high.append(max(min(b, most + pad), least - pad) if learnt else math.nan)
    return _plain(low, 3), _plain(high, 3)


# What each plot shows


def accuracy_plot(
    story: AccuracyStory,
    decisions: Sequence[DecisionLine],
    promotions: Sequence[Promotion],
    said: Sequence[Said] = (),
) -> Plot:
    """Error per window and trailing, what was foretold, the naive baseline, the limit, version boundaries, and what the
    policy did and people said."""
    points = story.points
    windows = [p.window for p in points]
    top = max(
        [v for p in points for v in (p.error, p.trailing, p.naive, p.limit, p.estimate) if math.isfinite(v)] or [1.0]
    )
    marked = [(d.at, d.answer, f"{d.answer}: {d.reason}") for d in decisions if d.answer in MARKS]
    first, last = windows[0].start, windows[-1].end
    marked += [
        (
            max(one.start, first),
            one.kind,
            f"{one.kind} of {one.what}, by {one.by}" + (f": {one.note}" if one.note else ""),
        )
        for one in said
        if one.kind in MARKS and one.start < last and (one.until is None or one.until > first)
    ]
    return Plot(
        kind="accuracy",
        columns={
            "points": {
                "t": _times(windows),
                "day": [w.key for w in windows],
                "error": _plain(p.error for p in points),
                "trailing": _plain(p.trailing for p in points),
                "naive": _plain(p.naive for p in points),
                "limit": _plain(p.limit for p in points),
                "estimate": _plain(p.estimate for p in points),
                "version": [", ".join(p.versions) for p in points],
                "rows": [p.rows for p in points],
                "coverage": [wording.share(p.coverage) for p in points],
                "state": [wording.state_word(p.state) for p in points],
            },
            "failed": {
                "t": _times(p.window for p in points if p.state in ("error", "warn")),
                "trailing": _plain(p.trailing for p in points if p.state in ("error", "warn")),
            },
            "versions": {
                "t": [int(p.at.timestamp() * 1000) for p in promotions],
                "y": [top * 1.16] * len(promotions),
                "name": [f"v{p.version}" for p in promotions],
            },
            "events": {
                "t": [int(at.timestamp() * 1000) for at, _, _ in marked],
                "y": [top * 1.07] * len(marked),
                "marker": [MARKS[kind][0] for _, kind, _ in marked],
                "colour": [COLOURS[MARKS[kind][1]] for _, kind, _ in marked],
                "text": [text for _, _, text in marked],
            },
        },
        settings={"y": {"start": 0, "end": top * 1.25}, "x": _reach(windows, [p.at for p in promotions])},
    )


def coverage_plot(story: AccuracyStory, starts: Sequence[datetime] = ()) -> Plot:
    """The share of each window's predictions whose label has come, on the time axis of the accuracy plot."""
    windows = [p.window for p in story.points]
    return Plot(
        kind="coverage",
        columns={
            "points": {
                "t": _times(windows),
                "day": [w.key for w in windows],
                "top": _plain(p.coverage for p in story.points),
                "rows": [p.rows for p in story.points],
            }
        },
        settings={"bars": {"width": _width(windows)}, "x": _reach(windows, starts)},
    )


def heat_plot(heat: HeatMap) -> Plot:
    """Checks and fields (rows) over windows (columns); neighbours in one state are drawn as one box."""
    boxes: dict[str, list[Any]] = {
        "y": [],
        "left": [],
        "right": [],
        "row": [],
        "colour": [],
        "span": [],
        "state": [],
        "text": [],
    }
    for place, row in enumerate(heat.rows):
        for first, last, state, text in _runs(row.cells):
            boxes["left"].append(int(first.start.timestamp() * 1000))
            boxes["right"].append(int(last.end.timestamp() * 1000))
            boxes["y"].append(place)
            boxes["row"].append(row.label)
            boxes["colour"].append(COLOURS[state])
            boxes["span"].append(first.key if first == last else f"{first.key} to {last.key}")
            boxes["state"].append(wording.state_word(state))
            boxes["text"].append(text)
    count = len(heat.rows)
    labels = [[place, _literal(_short(row.label, 30))] for place, row in enumerate(heat.rows)]
    return Plot(
        kind="heat",
        columns={"boxes": boxes},
        settings={
            "y": {"start": count - 0.5, "end": -0.5},
            "ticks": {"ticks": list(range(count))},
            "axis": {"major_label_overrides": {"type": "map", "entries": labels}},
            "figure": {"height": 44 + 19 * count},
        },
    )


def _runs(cells: Sequence[tuple[Window, CellState, str]]) -> list[tuple[Window, Window, CellState, str]]:
    """Neighbouring cells of one state without a sentence become one run; a failure keeps its own cell."""
    runs: list[tuple[Window, Window, CellState, str]] = []
    for window, state, text in cells:
        if runs:
            first, last, before, said = runs[-1]
            if before == state and not text and not said and last.end == window.start:
                runs[-1] = (first, window, state, "")
                continue
        runs.append((window, window, state, text))
    return runs


def history_plot(metric: str, series: Series) -> Plot:
    """A metric over windows with its expected range; failures are marked."""
    low, high = _bounds(series)
    failed = [i for i, state in enumerate(series.states) if state in ("error", "warn")]
    times = _times(series.windows)
    return Plot(
        kind="share_history" if wording.is_rate(metric) else "history",
        columns={
            "points": {
                "t": times,
                "value": _plain(series.values),
                "low": low,
                "high": high,
            },
            "failed": {
                "t": [times[i] for i in failed],
                "value": _plain(series.values[i] for i in failed),
                "marker": ["circle_x" if series.states[i] == "error" else "triangle" for i in failed],
                "colour": [COLOURS[series.states[i]] for i in failed],
                "day": [series.windows[i].key for i in failed],
                "text": [series.reasons[i] for i in failed],
            },
        },
        settings={"band": {"width": _width(series.windows)}},
    )


def distribution_plot(shares: Distribution) -> Plot:
    """Shares per bin, the reference beside the newest windows."""
    names = _distinct([_rounded(label) for label in shares.labels])
    return Plot(
        kind="distribution",
        columns={
            "bins": {
                "bin": names,
                "full": list(shares.labels),
                "reference": _plain(shares.reference),
                "current": _plain(shares.current),
            }
        },
        settings={"x": {"factors": names}},
    )


def _short(text: str, most: int = 14) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _rounded(label: str) -> str:
    """A bin's label with 3 significant digits, enough for an axis.

    >>> _rounded("[1.97674, 2.97674)"), _rounded("above 1048.36"), _rounded("null")
    ('[1.98, 2.98)', 'above 1050', 'null')
    """
    if not (label.startswith("[") or label.startswith(("below ", "above "))):
        return label
    return re.sub(r"-?\d+\.?\d*(e[+-]?\d+)?", lambda found: f"{float(f'{float(found.group()):.3g}'):g}", label)


def _literal(text: str) -> str:
    """Text that an axis shows as it stands: a zero-width space breaks what would be read as TeX."""
    for opening in ("$$", "\\(", "\\["):
        text = text.replace(opening, f"{opening[0]}\u200b{opening[1]}")
    return text


def _distinct(labels: Sequence[str]) -> list[str]:
    """Labels as axis factors, which must differ after shortening."""
    seen: dict[str, int] = {}
    out = []
    for label in labels:
        short = _literal(_short(label))
        seen[short] = seen.get(short, 0) + 1
        out.append(short if seen[short] == 1 else f"{short[:10]} ({seen[short]})")
    return out


def mix_plot(story: TableStory) -> Plot:
    """The share of each of the largest segments over windows."""
    parts = list(story.mix[:MAX_MIX])
    names = list(COLOURS)
    first = names.index("s1")
    return Plot(
        kind="mix",
        columns={
            "lines": {
                "t": [_times(s.windows) for _, s in parts],
                "share": [_plain(s.values) for _, s in parts],
                "segment": [name for name, _ in parts],
                "colour": [COLOURS[names[first + i]] for i in range(len(parts))],
            },
            "failed": {
                "t": [
                    t
                    for _, s in parts
                    for t, state in zip(_times(s.windows), s.states, strict=True)
                    if state in ("error", "warn")
                ],
                "share": _plain(
                    v
                    for _, s in parts
                    for v, state in zip(s.values, s.states, strict=True)
                    if state in ("error", "warn")
                ),
                "text": [
                    r
                    for _, s in parts
                    for r, state in zip(s.reasons, s.states, strict=True)
                    if state in ("error", "warn")
                ],
            },
        },
    )


def freshness_plot(story: TableStory) -> Plot:
    """When each window arrived, in hours after its end; windows loaded in hindsight are left out."""
    arrivals = story.timely
    return Plot(
        kind="freshness",
        columns={
            "points": {
                "t": _times(a.window for a in arrivals),
                "day": [a.window.key for a in arrivals],
                "delay": _plain(a.delay_hours for a in arrivals),
                "at": [wording.moment(a.at) for a in arrivals],
                "rows": [a.rows for a in arrivals],
            }
        },
    )


def payload(plots: Mapping[str, Plot]) -> dict[str, Any]:
    """All that the browser needs to draw `plots`: figures, columns in short, and colour placeholders."""
    shared: dict[tuple[int, ...], str] = {}
    texts: dict[str, int] = {}
    drawn: dict[str, Any] = {}
    for name, plot in plots.items():
        columns: dict[str, dict[str, Any]] = {}
        for source, given in plot.columns.items():
            columns[source] = {}
            for column, values in given.items():
                if column == "t" and len(values) > 8 and all(isinstance(v, int) for v in values):
                    values = "@" + shared.setdefault(tuple(values), f"t{len(shared)}")
                columns[source][column] = _short_column(column, values, texts)
        drawn[name] = {"kind": plot.kind, "columns": columns, "settings": dict(plot.settings)}
    return {
        "figures": {kind: clonable(kind) for kind in sorted({p.kind for p in plots.values()})},
        "shared": {name: _steps(values) for values, name in shared.items()},
        "texts": list(texts),
        "plots": drawn,
        "colours": {placeholder: f"--plot-{role}" for role, placeholder in COLOURS.items()},
    }


def _short_column(name: str, values: Any, texts: dict[str, int]) -> Any:
    """A column as it is sent: one value and its count where all are equal, sentences by their number in `texts`."""
    if isinstance(values, str) or not values or any(isinstance(v, (list, tuple)) for v in values):
        return values
    if len(values) > 2 and all(v == values[0] for v in values):
        return {"all": values[0], "count": len(values)}
    if name == "text":
        return {"texts": [texts.setdefault(text, len(texts)) for text in values]}
    return values


def _steps(times: Sequence[int]) -> Any:
    """Times as the first and the steps between them, in units that all steps are multiples of.

    >>> _steps([1000, 1600, 1900])
    {'first': 1000, 'unit': 300, 'steps': [2, 1]}
    """
    between = [b - a for a, b in pairwise(times)]
    unit = math.gcd(*between) or 1
    steps = [step // unit for step in between]
    return {"first": times[0], "unit": unit, "steps": steps}
