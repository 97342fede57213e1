"""A metric's history with its expected range as a small SVG text, failed windows marked. Pure text, no drawing library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from mlobs.detectors.wording import number
from mlobs.windows import instant

WIDTH, HEIGHT = 480, 120
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 8, 18
MAX_POINTS = 180
INK, LINE, BAND, BAD = "#6b7280", "#2563eb", "#2563eb", "#dc2626"


def history_svg(
    times: Sequence[Any],
    values: Sequence[float],
    range_low: Sequence[float],
    range_high: Sequence[float],
    failed: Sequence[bool],
    *,
    metric: str = "",
    title: str = "",
) -> str:
    """The newest `MAX_POINTS` windows as a line, the expected range as a band, failed windows as dots.

    Colours read on light and dark ground. At most about 12 kB.

    Args:
        times, values, range_low, range_high, failed: one entry per window, of equal lengths, in any order of time.
            Values that aren't finite leave a gap; infinite bounds run to the edge.
        metric: a rate's axis is labelled in percent.
        title: text for screen readers, shown as a tooltip.

    Returns:
        An `<svg>` element of 480 x 120 user units.

    Raises:
        ValueError: when lengths differ.
    """
    if len({len(times), len(values), len(range_low), len(range_high), len(failed)}) != 1:
        raise ValueError("times, values, range_low, range_high and failed must have equal lengths")
    order = sorted(range(len(times)), key=lambda i: instant(times[i]))[-MAX_POINTS:]
    start = [instant(times[i]) for i in order]
    value, low, high = (np.array([v[i] for i in order], float) for v in (values, range_low, range_high))
    bad = np.array([bool(failed[i]) for i in order], bool)
    shown = np.concatenate([value[np.isfinite(value)], low[np.isfinite(low)], high[np.isfinite(high)]])
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        f' font-family="sans-serif" font-size="10"><title>{_escape(title or metric or "history")}</title>'
    )
    if not len(shown):
        return (
            head
            + f'<text x="{WIDTH / 2:g}" y="{HEIGHT / 2:g}" fill="{INK}" text-anchor="middle">no history yet</text></svg>'
        )
    bottom, top = _limits(shown)
    seconds = np.array([(t - start[0]).total_seconds() for t in start])
    span = seconds[-1] if len(seconds) > 1 and seconds[-1] > 0 else 1.0
    x = LEFT + (WIDTH - LEFT - RIGHT) * (seconds / span if len(seconds) > 1 else np.array([0.5]))

    def y(v: np.ndarray) -> np.ndarray:
        share = (np.clip(np.nan_to_num(v, nan=bottom, posinf=top, neginf=bottom), bottom, top) - bottom) / (
            top - bottom
        )
        return np.asarray(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share)

    parts = [head]
    for run in _runs(~(np.isnan(low) | np.isnan(high))):
        edge = [*zip(x[run], y(high[run]), strict=True), *zip(x[run][::-1], y(low[run])[::-1], strict=True)]
        parts.append(
            f'<polygon points="{_points(edge)}" fill="{BAND}" fill-opacity=".18" stroke="{BAND}" stroke-opacity=".25"/>'
        )
    height = y(value)
    for run in _runs(np.isfinite(value)):
        line = list(zip(x[run], height[run], strict=True))
        if len(line) == 1:
            parts.append(f'<circle cx="{line[0][0]:.1f}" cy="{line[0][1]:.1f}" r="1.5" fill="{LINE}"/>')
        else:
            parts.append(f'<polyline points="{_points(line)}" fill="none" stroke="{LINE}" stroke-width="1.5"/>')
    for i in np.flatnonzero(bad & np.isfinite(value)):
        tip = f"{start[i]:%Y-%m-%d}: {number(float(value[i]), metric)}"
        parts.append(f'<circle cx="{x[i]:.1f}" cy="{height[i]:.1f}" r="3.5" fill="{BAD}"><title>{tip}</title></circle>')
    for edge_value, at in ((top, TOP + 8), (bottom, HEIGHT - BOTTOM)):
        parts.append(
            f'<text x="{LEFT - 4}" y="{at}" fill="{INK}" text-anchor="end">{number(edge_value, metric)}</text>'
        )
    parts.append(_dates(start))
    return "".join([*parts, "</svg>"])


def _limits(shown: np.ndarray) -> tuple[float, float]:
    bottom, top = float(shown.min()), float(shown.max())
    if not top > bottom or not math.isfinite(top - bottom):
        width = max(abs(bottom) * 0.1, 1e-9) if abs(bottom) < 1e300 else 1e290
        return bottom / 2 - width if not math.isfinite(top - bottom) else bottom - width, top + width
    return bottom, top


def _runs(mask: np.ndarray) -> list[slice]:
    """Slices of consecutive True entries."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _points(pairs: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in pairs)


def _dates(start: Sequence[datetime]) -> str:
    first = f'<text x="{LEFT}" y="{HEIGHT - 5}" fill="{INK}">{start[0]:%Y-%m-%d}</text>'
    if len(start) == 1:
        return first
    return (
        first + f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" fill="{INK}" text-anchor="end">{start[-1]:%Y-%m-%d}</text>'
    )


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
