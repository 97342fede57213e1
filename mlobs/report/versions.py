"""The versions of a model side by side, and what changed from each to the next; from what history remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mlobs.incidents.severity import shares
from mlobs.report import wording
from mlobs.report.content import AccuracyStory, Promotion, VersionCard
from mlobs.spec import Model
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.history import History

MAX_VERSIONS = 8
MOVED = 0.1
"""Change of a field's share of all importance from which it is told."""


def version_cards(
    model: Model, history: History, accuracy: AccuracyStory, promotions: Sequence[Promotion], now: datetime
) -> tuple[VersionCard, ...]:
    """The newest versions, newest first: what is known of each, its live error, and what changed since the one before."""
    from mlobs.metrics.accuracy import error
    from mlobs.states.accuracy import AccuracyState

    promoted = {p.version: p for p in promotions}
    champion = promotions[-1].version if promotions else ""
    known = [v for v in history.versions(model.name) if v.at <= now]
    earlier = {version.version: before.info for before, version in pairwise(known)}
    stored = known[-MAX_VERSIONS:]
    cards = []
    for version in reversed(stored):
        live = [AccuracyState.from_bytes(p) for _, _, p in history.accuracy(model.name, version=version.version)]
        total = sum(live, AccuracyState(model.task))
        facts = version_facts(version.at, version.info, accuracy.metric)
        if total.labelled:
            text = f"{wording.number(error(total, accuracy.metric))} on {wording.count(len(live), 'window')}"
            facts.insert(-1, (f"Live {accuracy.metric}", text))
        promotion = promoted.get(version.version)
        if promotion:
            # mlobs' own reason is the outcome that is told already; a person's is not
            why = f": {promotion.reason}" if promotion.reason not in ("", version.info.get("verdict")) else ""
            facts.append(("Deployed", f"{wording.moment(promotion.at)} by {promotion.by}{why}"))
        since = promotion.at if promotion else None
        changed = changes(earlier.get(version.version, {}), version.info, accuracy.metric)
        cards.append(VersionCard(version.version, version.version == champion, tuple(facts), since, changed))
    return tuple(cards)


def version_facts(at: datetime, info: Mapping[str, Any], metric: str) -> list[tuple[str, str]]:
    """What is known of a version's training, in reading order; facts that it lacks are left out."""
    facts = [("Trained", wording.moment(at))]
    if "window_start" in info and "window_end" in info:
        facts.append(("Training data", wording.stretch(Window(info["window_start"], info["window_end"]))))
    excluded = list(info.get("excluded") or ())
    if excluded:
        named = ", ".join(excluded[:4]) + (" …" if len(excluded) > 4 else "")
        facts.append(("Left out", f"{wording.count(len(excluded), 'window')}: {named}"))
    numbers = {
        "rows": "Rows",
        "cv_error": f"Cross-validated {metric}",
        "challenger_error": f"Held-out {metric}",
        "champion_error": "Champion's then",
        "baseline": "Naive prediction",
    }
    for name, said in numbers.items():
        value = info.get(name)
        if isinstance(value, (int, float)):
            facts.append((said, wording.number(value)))
        elif value:
            facts.append((said, str(value)))
    for name, said in (("fit_seconds", "Fit time"), ("score_seconds", "Scoring time")):
        if isinstance(info.get(name), (int, float)) and info[name] > 0:
            facts.append((said, wording.length(timedelta(seconds=info[name]))))
    weights = sorted((info.get("importances") or {}).items(), key=lambda item: -item[1])[:3]
    if weights:
        facts.append(("Relies on", ", ".join(name for name, _ in weights)))
    asked = ": ".join(dict.fromkeys(str(info[name]) for name in ("trigger", "reason") if info.get(name)))
    if asked:
        facts.append(("Asked for by", asked))
    if info.get("verdict"):
        facts.append(("Outcome", str(info["verdict"])))
    if info.get("run_id"):
        facts.append(("MLflow run", str(info["run_id"])))
    return facts


def changes(before: Mapping[str, Any], now: Mapping[str, Any], metric: str) -> tuple[str, ...]:
    """What changed from one version's training to the next, most telling first; empty when nothing is known to have.

    >>> changes({"rows": 100, "cv_error": 20.0}, {"rows": 150, "cv_error": 19.0}, "mae")
    ('cross-validated mae 20 → 19 (-5.0%)', 'rows 100 → 150 (+50%)')
    """
    if not before:
        return ()
    told = []
    numbers = (("cv_error", f"cross-validated {metric}"), ("rows", "rows"), ("fit_seconds", "fit time, s"))
    for name, said in numbers:
        old, new = before.get(name), now.get(name)
        if isinstance(old, (int, float)) and isinstance(new, (int, float)) and old != new and old:
            ratio = new / old - 1
            told.append(
                f"{said} {wording.number(old, 3)} → {wording.number(new, 3)} ({ratio:+.{1 if abs(ratio) < 0.1 else 0}%})"
            )
    for name, said in (("window_start", "training data begins"), ("window_end", "training data ends")):
        if name in before and name in now and before[name] != now[name]:
            told.append(f"{said} {str(before[name])[:10]} → {str(now[name])[:10]}")
    old, new = shares(before.get("importances")), shares(now.get("importances"))
    if old and new:
        gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
        told += [f"without {', '.join(gone)}"] if gone else []
        told += [f"now with {', '.join(come)}"] if come else []
        moved = sorted(((new[f] - old[f], f) for f in old.keys() & new.keys()), key=lambda m: -abs(m[0]))
        told += [f"weight of {f} {old[f]:.0%} → {new[f]:.0%}" for by, f in moved[:3] if abs(by) >= MOVED]
    old, new = before.get("params") or {}, now.get("params") or {}
    told += [f"{n}: {old.get(n, '–')} → {new.get(n, '–')}" for n in sorted({*old, *new}) if old.get(n) != new.get(n)]
    return tuple(told)
