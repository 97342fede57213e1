"""Numbers, times and states as a reader sees them; pure functions of plain values."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from mlobs.report.content import CellState
from mlobs.windows import Window

STATE_WORDS: dict[str, str] = {
    "passed": "passed",
    "error": "failed",
    "warn": "warning",
    "learning": "learning",
    "pending": "labels pending",
}

METRIC_WORDS: dict[str, str] = {
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
    "mse": "Mean squared error",
    "bias": "Mean error",
    "log_loss": "Log loss",
    "error_rate": "Error rate",
    "brier": "Brier score",
    "psi": "Population stability index",
    "ks": "Kolmogorov-Smirnov distance",
    "jensen_shannon": "Jensen-Shannon distance",
    "rows": "Rows",
    "std": "Standard deviation",
    "min": "Minimum",
    "max": "Maximum",
}


def number(value: float | int | None, digits: int = 4) -> str:
    """`value` with `digits` significant digits, grouped thousands; a dash when there is none.

    >>> number(0.123456), number(54635), number(float("nan")), number(1048.36), number(float("inf"))
    ('0.1235', '54,635', '–', '1,048', 'no bound')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "no bound"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1e15 or abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(value: float) -> str:
    """A share in [0, 1] as a percentage.

    >>> share(0.5), share(0.00123), share(float("nan"))
    ('50%', '0.123%', '–')
    """
    return "–" if math.isnan(value) else f"{number(100 * value, 3)}%"


def is_rate(metric: str) -> bool:
    """Whether a metric of the catalogue is a share in [0, 1]."""
    return metric.endswith("_rate") or metric in ("share", "coverage")


def measured(metric: str, value: float, unit: str = "") -> str:
    """A metric's value in its own unit.

    >>> measured("null_rate", .25), measured("mean", 12.5, "min"), measured("psi", .2, "min")
    ('25%', '12.5 min', '0.2')
    """
    if is_rate(metric):
        return share(value)
    text = number(value)
    scaled = metric in ("mean", "std", "min", "max", "mae", "rmse", "bias") or (
        metric[:1] == "p" and metric[1:].isdigit()
    )
    return f"{text} {unit}" if unit and scaled and text not in ("–", "no bound") else text


def span(metric: str, low: float, high: float, unit: str = "") -> str:
    """An expected range in words.

    >>> span("null_rate", 0, .01), span("null_rate", 0, 0), span("mean", float("-inf"), 3.0)
    ('0% to 1%', 'exactly 0%', 'at most 3')
    >>> span("mean", float("nan"), float("nan"))
    'not learned yet'
    """
    if math.isnan(low) or math.isnan(high):
        return "not learned yet"
    if math.isinf(low) and math.isinf(high):
        return "anything"
    if low == high:
        return f"exactly {measured(metric, low, unit)}"
    if math.isinf(low):
        return f"at most {measured(metric, high, unit)}"
    if math.isinf(high):
        return f"at least {measured(metric, low, unit)}"
    return f"{measured(metric, low, unit)} to {measured(metric, high, unit)}"


def metric_name(metric: str) -> str:
    """A metric's name as a heading.

    >>> metric_name("null_rate"), metric_name("p95"), metric_name("mae")
    ('Null rate', '95th percentile', 'Mean absolute error')
    """
    if metric in METRIC_WORDS:
        return METRIC_WORDS[metric]
    if metric[:1] == "p" and metric[1:].isdigit():
        rank = int(metric[1:])
        ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
        return f"{rank}{ending} percentile"
    words = metric.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def moment(value: datetime | None) -> str:
    """An instant to the minute, UTC; midnight as the date alone.

    >>> moment(datetime(2013, 4, 1, tzinfo=UTC)), moment(datetime(2013, 4, 1, 6, 30, tzinfo=UTC)), moment(None)
    ('2013-04-01', '2013-04-01 06:30', '–')
    """
    if value is None:
        return "–"
    stamp = value.astimezone(UTC)
    return stamp.strftime("%Y-%m-%d" if stamp.hour == stamp.minute == 0 else "%Y-%m-%d %H:%M")


def length(value: timedelta) -> str:
    """A duration in its two largest units.

    >>> length(timedelta(days=3, hours=2)), length(timedelta(seconds=75)), length(timedelta(seconds=2.5))
    ('3 d 2 h', '1 min 15 s', '2.5 s')
    """
    seconds = value.total_seconds()
    if abs(seconds) < 60:
        return f"{number(seconds, 3)} s"
    parts: list[str] = []
    rest = int(seconds)
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])


def stretch(window: Window) -> str:
    """A window of several days as its first and last day."""
    last = window.end - timedelta(microseconds=1)
    return window.key if last.date() == window.start.date() else f"{moment(window.start)} to {last:%Y-%m-%d}"


def count(n: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count(1, "incident"), count(3, "incident"), count(0, "query", "queries")
    ('1 incident', '3 incidents', 'no queries')
    """
    noun = one if n == 1 else (many or one + "s")
    return f"no {noun}" if n == 0 else f"{n:,} {noun}"


def state_word(state: CellState) -> str:
    """A state as a reader sees it."""
    return STATE_WORDS[state]
