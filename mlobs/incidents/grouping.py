"""Failed verdicts -> groups with one cause each: pure functions of verdicts and lineage; no database.

Three steps. Failures of one metric in windows that touch (or lie at most `gap` windows apart) are one episode.
Episodes that begin while a stronger one lasts on the same table, or one lasts on a table upstream, are explained by it.
What nothing explains is a cause, together with what fails beside it on the same table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from mlobs.detectors.verdict import Severity, Verdict
from mlobs.spec import Drift
from mlobs.windows import Window

GAP = 1
"""Passing windows between two failures of one metric that still count as one episode."""

DRIFT_WINDOWS = Drift().windows
"""Windows that a verdict of drift is about where no declaration is known: what broke in one of them shows in all its verdicts."""

RANK: Mapping[str, int] = {"none": 0, "warn": 1, "error": 2, "critical": 3}
"""How bad verdicts are, up to `error`, and incidents, up to `critical`."""

PERFORMANCE = ".performance"
"""What the name of a model's accuracy ends with, where other verdicts name a table."""


class Key(NamedTuple):
    """Which metric a verdict is about."""

    table: str
    detector: str
    field: str
    metric: str
    segment: str

    @classmethod
    def of(cls, verdict: Verdict) -> Key:
        return cls(verdict.table, verdict.detector, verdict.field, verdict.metric, verdict.segment)


Place = tuple[Key, Window]
"""What tells one failure from others: which metric, in which window."""


@dataclass(frozen=True)
class Episode:
    """One metric that fails in windows that touch, oldest first; `onset` when it is known to have begun earlier.

    Each verdict is about the newest `merged` windows, taken together.
    """

    key: Key
    verdicts: tuple[Verdict, ...]
    onset: datetime | None = None
    merged: int = 1

    @cached_property
    def start(self) -> datetime:
        first = self.verdicts[0].window.start
        return first if self.onset is None else min(first, self.onset)

    @cached_property
    def end(self) -> datetime:
        return max(v.window.end for v in self.verdicts)

    @cached_property
    def severity(self) -> Severity:
        return max((v.severity for v in self.verdicts), key=RANK.__getitem__)

    @cached_property
    def patience(self) -> datetime:
        """Until when a failure still belongs to this episode, or is explained by it."""
        return self.end + GAP * self.verdicts[-1].window.length

    @cached_property
    def data_fault(self) -> bool:
        """Whether the data is broken, rather than changed or badly predicted."""
        return self.severity == "error" and self.key.detector != "accuracy"

    @cached_property
    def seen_from(self) -> datetime:
        """The start of the data that its first verdict is about."""
        return self.start - (self.merged - 1) * self.verdicts[0].window.length

    def begins_during(self, other: Episode) -> bool:
        return other.start <= self.start and self.seen_from <= other.patience

    def touches(self, other: Episode) -> bool:
        return self.start <= other.patience and other.start <= self.patience


@dataclass
class Group:
    """Episodes with one cause; the first table is where it began."""

    table: str
    data_fault: bool
    episodes: list[Episode] = field(default_factory=list)

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for episode in self.episodes for verdict in episode.verdicts]

    @property
    def start(self) -> datetime:
        return min(e.start for e in self.episodes)


def episodes(
    verdicts: Iterable[Verdict],
    onsets: Mapping[Place, datetime] | None = None,
    drift_windows: Mapping[str, int] | None = None,
) -> list[Episode]:
    """Failed verdicts as episodes, by onset; arguments as of `group`."""
    known = onsets or {}
    by_key: dict[Key, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_key[Key.of(verdict)].append(verdict)
    found = []
    for key, failures in by_key.items():
        merged = (drift_windows or {}).get(key.table, DRIFT_WINDOWS) if key.detector == "drift" else 1
        run: list[Verdict] = []
        for verdict in sorted(failures, key=lambda v: v.window):
            if run and verdict.window.start > run[-1].window.end + GAP * run[-1].window.length:
                found.append(Episode(key, tuple(run), known.get((key, run[0].window)), merged))
                run = []
            run.append(verdict)
        found.append(Episode(key, tuple(run), known.get((key, run[0].window)), merged))
    return sorted(found, key=lambda e: (e.start, e.key))


def group(
    verdicts: Iterable[Verdict],
    lineage: Mapping[str, Sequence[str]],
    onsets: Mapping[Place, datetime] | None = None,
    drift_windows: Mapping[str, int] | None = None,
) -> list[Group]:
    """Failed verdicts grouped by cause, by onset.

    A data fault upstream explains every failure that begins while it lasts; a milder failure upstream explains all but
    data faults. On one table a data fault explains the milder failures that begin while it lasts. The same verdicts in
    any order give the same groups.

    Args:
        lineage: table -> the tables it is made from.
        onsets: when the episode that begins with that failure really began, if earlier verdicts are left out.
        drift_windows: table -> windows that its drift is judged over together; `DRIFT_WINDOWS` for others.
    """
    order = upstream_first(lineage, {v.table for v in verdicts})
    ancestors = {table: upstream(lineage, table) for table in order}
    by_table: dict[str, list[Episode]] = defaultdict(list)
    for episode in episodes(verdicts, onsets, drift_windows):
        by_table[episode.key.table].append(episode)
    groups: list[Group] = []
    home: dict[int, Group] = {}
    for table in order:
        above = [e for other in order if other in ancestors[table] for e in by_table[other] if id(e) in home]
        for episode in sorted(by_table[table], key=lambda e: (not e.data_fault, e.start, e.key)):
            cause = _cause(episode, above + [e for e in by_table[table] if id(e) in home])
            found = home[id(cause)] if cause else _beside(episode, table, groups)
            found.episodes.append(episode)
            home[id(episode)] = found
    return sorted(groups, key=lambda g: (g.start, g.table, not g.data_fault))


def _cause(episode: Episode, candidates: Sequence[Episode]) -> Episode | None:
    """The episode that best explains this one: a data fault before others, then the one whose onset is nearest."""
    explaining = [
        other
        for other in candidates
        if episode.begins_during(other)
        and (other.data_fault or not episode.data_fault)
        and (other.key.table != episode.key.table or (other.data_fault and not episode.data_fault))
    ]
    return max(explaining, key=lambda e: (e.data_fault, e.start), default=None)


def _beside(episode: Episode, table: str, groups: list[Group]) -> Group:
    """The group of this table and kind that the episode touches; a new one if it touches none.

    Episodes come by onset, so that one which touches two groups would have joined these before.
    """
    for known in groups:
        alike = known.table == table and known.data_fault == episode.data_fault
        if alike and any(episode.touches(e) for e in known.episodes if e.key.table == table):
            return known
    groups.append(Group(table, episode.data_fault))
    return groups[-1]


def upstream_first(lineage: Mapping[str, Sequence[str]], tables: Iterable[str]) -> list[str]:
    """The tables so that each comes after all that it is made from; in cycles, by name.

    >>> upstream_first({"c": ["b"], "b": ["a"]}, ["c", "a", "b"])
    ['a', 'b', 'c']
    """
    return sorted(set(tables), key=lambda t: (len(upstream(lineage, t)), t))


def upstream(lineage: Mapping[str, Sequence[str]], table: str) -> set[str]:
    """All that a table is made from, directly or not."""
    return _reachable(lineage, table)


def downstream(lineage: Mapping[str, Sequence[str]], table: str) -> set[str]:
    """All that is made from a table, directly or not."""
    reverse: dict[str, list[str]] = defaultdict(list)
    for product, sources in lineage.items():
        for source in sources:
            reverse[source].append(product)
    return _reachable(reverse, table)


def _reachable(edges: Mapping[str, Sequence[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        node = waiting.pop()
        if node not in seen and node != start:
            seen.add(node)
            waiting.extend(edges.get(node, ()))
    return seen


def model_of(table: str) -> str | None:
    """The model whose accuracy goes by that name; None for a table.

    >>> model_of("arrival_delay.performance"), model_of("flights.features")
    ('arrival_delay', None)
    """
    return table.removesuffix(PERFORMANCE) if table.endswith(PERFORMANCE) else None
