"""Makes HTML of `content`: templates, sentences for screen readers, and the guards against hostile data.

Every value is escaped by Jinja2; the page's own scripts are named by hash in its Content-Security-Policy, so nothing
else could run, and nothing can be fetched. No history is read here; the installed assets are.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from mlobs.report import figures, plots, wording
from mlobs.report.content import (
    FailedField,
    HeatMap,
    HeatRow,
    MetricHistory,
    ModelPage,
    Series,
    TableStory,
    VersionCard,
)
from mlobs.report.plots import Plot

MARK_WORDS = {
    "retrain": ("retraining", ("triangle", "accent")),
    "hold": ("retraining held", ("square", "warn")),
    "refused": ("challenger refused", ("cross", "error")),
    "calendar": ("calendar: judged with leave", ("diamond", "pending")),
    "maintenance": ("maintenance: not judged", ("diamond", "muted")),
    "expected": ("said to be expected", ("diamond", "passed")),
    "mute": ("muted", ("diamond", "learning")),
}
"""What happened to a model -> its words and mark in the legend of the accuracy plot."""


@cache
def _asset(name: str) -> str:
    return (files("mlobs.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.policies["json.dumps_kwargs"] = {"sort_keys": False, "separators": (",", ":"), "allow_nan": False}
    for function in (
        wording.count,
        wording.measured,
        wording.metric_name,
        wording.moment,
        wording.number,
        wording.share,
        wording.span,
        wording.state_word,
        wording.stretch,
        newest_failures,
        history_note,
        history_said,
        distribution_said,
        volume_said,
        mix_said,
        arrivals_said,
        sparkline,
        accuracy_spark,
        fact,
        percent,
    ):
        made.globals[function.__name__] = function
    return made


@cache
def _scripts() -> tuple[Markup, ...]:
    """The plotting library and our drawing code, safe inside a script element."""
    return tuple(Markup(text.replace("</script", "<\\/script")) for text in (figures.library(), _asset("draw.js")))


def _policy(scripts: Sequence[str]) -> str:
    """A Content-Security-Policy under which only `scripts` run and nothing is fetched."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    rules = ("default-src 'none'", f"script-src {allowed}", "style-src 'unsafe-inline'", "img-src data:")
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def model_html(page: ModelPage) -> str:
    """The self-contained page of one model."""
    scripts = _scripts()
    sentences = _sentences(page)
    heat_said = [heat_sentence(heat) for heat in page.heat_maps]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            policy=_policy(scripts),
            style=_style(),
            scripts=scripts,
            plots=plots.payload(page_plots(page)),
            said=sentences,
            heat_said=heat_said,
            version_facts=list(dict.fromkeys(name for card in page.versions for name, _ in card.facts)),
        )
    )


def index_html(pages: Sequence[ModelPage], now: datetime) -> str:
    """The page that lists all models."""
    return _environment().get_template("index.html.j2").render(pages=pages, now=now, policy=_policy(()), style=_style())


@cache
def _style() -> Markup:
    return Markup(_asset("style.css"))


def page_plots(page: ModelPage) -> dict[str, Plot]:
    """All plots of the page by the name that its element carries."""
    drawn: dict[str, Plot] = {}
    if page.accuracy.points:
        drawn["accuracy"] = plots.accuracy_plot(page.accuracy, page.decisions, page.promotions, page.said)
        drawn["coverage"] = plots.coverage_plot(page.accuracy, [p.at for p in page.promotions])
    for n, heat in enumerate(page.heat_maps):
        if heat.rows:
            drawn[f"heat-{n}"] = plots.heat_plot(heat)
    for n, failed in enumerate(page.fields):
        for m, history in enumerate(failed.histories):
            drawn[f"field-{n}-{m}"] = plots.history_plot(history.metric, history.series)
        if failed.distribution:
            drawn[f"field-{n}-d"] = plots.distribution_plot(failed.distribution)
    for n, story in enumerate(page.tables):
        if story.volume.windows:
            drawn[f"volume-{n}"] = plots.history_plot("rows", story.volume)
        if story.mix:
            drawn[f"mix-{n}"] = plots.mix_plot(story)
        if story.timely:
            drawn[f"arrivals-{n}"] = plots.freshness_plot(story)
    return drawn


# Sentences: what a plot shows, for whoever can't see it


def _sentences(page: ModelPage) -> dict[str, Any]:
    story = page.accuracy
    failed = [p for p in story.points if p.state in ("error", "warn")]
    pending = sum(p.state == "pending" for p in story.points)
    name = wording.metric_name(story.metric)
    text = f"{name} over {wording.count(len(story.points), 'window')} of predictions."
    if story.mature:
        newest = story.mature[-1]
        unit = f" {story.unit}" if story.unit else ""
        text += f" In the {story.span} windows to {newest.window.key} it is {wording.number(newest.trailing)}{unit}"
        if not math.isnan(newest.naive):
            text += f", the naive baseline's {wording.number(newest.naive)}{unit}"
        if not math.isnan(newest.limit):
            text += f", the limit {wording.number(newest.limit)}{unit}"
        text += "."
    foretold = [p for p in story.points if math.isfinite(p.estimate)]
    if foretold:
        last, unit = foretold[-1], f" {story.unit}" if story.unit else ""
        text += f" Foretold before labels came, to {last.window.key}: {wording.number(last.estimate)}{unit}."
    text += f" The check failed in {wording.count(len(failed), 'window')}" if failed else " The check never failed"
    text += f"; {wording.count(pending, 'window')} without enough labels yet." if pending else "."
    covered = [p.coverage for p in story.points if not math.isnan(p.coverage)]
    coverage = (
        f"Share of predictions with a label by window; the newest is {wording.share(covered[-1])}." if covered else ""
    )
    answers = {d.answer for d in page.decisions} | {one.kind for one in page.said}
    return {
        "accuracy": text,
        "coverage": coverage or "No label has come yet.",
        "has_limit": any(math.isfinite(p.limit) for p in story.points),
        "marks": [MARK_WORDS[answer] for answer in MARK_WORDS if answer in answers],
        "fields": f"{wording.count(len(page.fields), 'field')} failed in at least one window; the worst come first.",
    }


def heat_sentence(heat: HeatMap) -> str:
    """A heat map in one sentence."""
    parts = [f"{row.label} failed in {wording.count(row.failures, 'window')}" for row in heat.rows[:8] if row.failures]
    more = f" and {len(heat.rows) - 8} more" if len(heat.rows) > 8 else ""
    return f"Checks and fields of {heat.table} over {wording.count(heat.windows, 'window')}: {'; '.join(parts)}{more}."


def newest_failures(row: HeatRow, most: int = 6) -> str:
    """The newest failed windows of a row, and how many came before."""
    failed = [window.key for window, state, _ in row.cells if state in ("error", "warn")]
    more = f" and {len(failed) - most} earlier" if len(failed) > most else ""
    return ", ".join(reversed(failed[-most:])) + more


def history_note(history: MetricHistory) -> str:
    """How often the metric failed."""
    return f"failed in {history.series.failures} of {wording.count(history.judged or len(history.series), 'window')}"


def history_said(history: MetricHistory, failed: FailedField) -> str:
    """A metric's history in a sentence."""
    series, name = history.series, wording.metric_name(history.metric)
    text = f"{name} of {failed.field}, {history_note(history)}."
    for i in range(len(series) - 1, -1, -1):
        if series.states[i] in ("error", "warn"):
            value = wording.measured(history.metric, series.values[i], failed.unit)
            expected = wording.span(history.metric, series.low[i], series.high[i], failed.unit)
            return f"{text} Last on {series.windows[i].key}: {value}, expected {expected}."
    return text


def distribution_said(failed: FailedField) -> str:
    """Where the newest distribution differs most from the reference."""
    shares = failed.distribution
    if shares is None or not shares.labels:
        return f"No distribution of {failed.field} is known."
    gaps = [abs(a - b) for a, b in zip(shares.reference, shares.current, strict=True)]
    most = max(range(len(gaps)), key=gaps.__getitem__)
    return (
        f"Distribution of {failed.field} in {wording.count(len(shares.labels), 'bin')}. The largest difference is at"
        f" {shares.labels[most]}: {wording.share(shares.reference[most])} of the rows in the reference,"
        f" {wording.share(shares.current[most])} in {shares.current_name}."
    )


def volume_said(story: TableStory) -> str:
    """Rows per window in a sentence."""
    series = story.volume
    return (
        f"Rows of {story.table} per window over {wording.count(len(series), 'window')},"
        f" newest {wording.number(series.last)}, {wording.count(series.failures, 'failure')}."
    )


def mix_said(story: TableStory) -> str:
    """The newest shares in a sentence."""
    parts = ", ".join(f"{name} {wording.share(series.last)}" for name, series in story.mix[: plots.MAX_MIX])
    return f"Share of the rows of {story.table} by segment, newest window: {parts}."


def arrivals_said(story: TableStory) -> str:
    """Arrivals in a sentence."""
    delays = sorted(a.delay_hours for a in story.timely)
    middle = delays[len(delays) // 2]
    newest = story.timely[-1]
    late = len(story.arrivals) - len(delays)
    hindsight = f" {wording.count(late, 'more window')} loaded in hindsight." if late else ""
    return (
        f"{wording.count(len(delays), 'arrival')} of {story.table}; half came within {wording.number(middle, 3)} hours"
        f" of the window's end, the latest after {wording.number(delays[-1], 3)}."
        f" Newest: {newest.window.key} at {wording.moment(newest.at)}.{hindsight}"
    )


def percent(value: float) -> str:
    """A share of the rise as whole percents; parts that lower it are negative.

    >>> percent(0.864), percent(-0.1), percent(math.nan)
    ('86%', '-10%', '–')
    """
    return "–" if math.isnan(value) else f"{value:.0%}"


def fact(card: VersionCard, name: str) -> str:
    """One fact of a version, or a dash."""
    return dict(card.facts).get(name, "–")


# Small pictures that need no script


def sparkline(series: Series, most: int = 60) -> Markup:
    """The newest `most` values as a small SVG line, a dot on each failure; decoration, hidden from screen readers."""
    values = series.values[-most:]
    failed = [state in ("error", "warn") for state in series.states[-most:]]
    return _spark(values, failed)


def accuracy_spark(page: ModelPage) -> Markup:
    """The trailing error as a small line."""
    points = page.accuracy.points[-180:]
    return _spark([p.trailing for p in points], [p.state in ("error", "warn") for p in points])


def _spark(values: Sequence[float], failed: Sequence[bool], width: int = 150, height: int = 32) -> Markup:
    known = [v for v in values if math.isfinite(v)]
    if len(known) < 2:
        return Markup("")
    low, high = min(known), max(known)
    reach = (high - low) or 1.0
    step = (width - 8) / max(1, len(values) - 1)
    path, dots, pen = "", "", "M"
    for i, (value, bad) in enumerate(zip(values, failed, strict=True)):
        if not math.isfinite(value):
            pen = "M"
            continue
        x, y = 4 + i * step, 4 + (height - 8) * (1 - (value - low) / reach)
        path += f"{pen}{x:.1f} {y:.1f}"
        pen = "L"
        if bad:
            dots += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4" fill="var(--plot-error)"/>'
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width} {height}" aria-hidden="true">'
        f'<path d="{path}" fill="none" stroke="var(--plot-accent)" stroke-width="1.4"/>{dots}</svg>'
    )
