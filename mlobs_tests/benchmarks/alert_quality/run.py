"""The alert-quality benchmark: `python -m mlobs_tests.benchmarks.alert_quality.run`. Prints the tables of docs/alert_quality.md.

Walk forward from 28 days of history: every clean day is judged (an alert is a false alarm), faulty copies of sampled days are
judged (a detection is an alert that the clean copy doesn't raise), then the clean day is learned. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mlobs.detectors import TableMonitor
from mlobs_tests.benchmarks.alert_quality import data, peers
from mlobs_tests.benchmarks.alert_quality.planted import HISTORY, Run, plant

Key = tuple[str, str, str]

OURS = "**mlobs**"
EVIDENTLY = "Evidently drift preset (3 tables, sampled days and faults)"


@dataclass
class Score:
    """What one detector did on one table."""

    days: int = 0
    alarms: int = 0
    ordinary_days: int = 0
    ordinary_alarms: int = 0
    found: dict[tuple[str, str], list[tuple[bool, bool]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def per_month(self) -> float:
        return 30 * self.alarms / max(self.days, 1)

    @property
    def ordinary_per_month(self) -> float:
        return 30 * self.ordinary_alarms / max(self.ordinary_days, 1)

    def clean(self, keys: set[Key], ordinary: bool) -> None:
        self.days += 1
        self.alarms += bool(keys)
        self.ordinary_days += ordinary
        self.ordinary_alarms += bool(keys) and ordinary

    def fault(self, name: tuple[str, str], keys: set[Key], fields: Sequence[str]) -> None:
        right = any(key[0] in fields or key[2].split("=")[0] in fields for key in keys)
        self.found[name].append((bool(keys), right))


def mlobs_score(run: Run, budget: float, start: int = HISTORY) -> Score:
    """mlobs' own monitor."""
    score, monitor = Score(), TableMonitor(run.case.name, false_alarms_per_month=budget)
    for i, (window, profile) in enumerate(zip(run.windows, run.clean, strict=True)):
        if i >= start:
            keys = failed(monitor, profile, window)
            score.clean(keys, run.case.days[i][0].date() not in run.case.exceptional)
            for planted in run.planted.get(i, ()) if start == HISTORY else ():
                if len(planted.profiles) == 1:
                    found = failed(monitor, planted.profiles[0], window) - keys
                else:
                    found = _drifting(monitor, run, i, planted.profiles)
                score.fault((planted.family, planted.magnitude), found, planted.fields)
        monitor.observe(profile, window)
    return score


def failed(monitor: TableMonitor, profile: object, window: object) -> set[Key]:
    return {(v.field, v.metric, v.segment) for v in monitor.judge(profile, window) if v.failed}  # type: ignore[arg-type]


def _drifting(monitor: TableMonitor, run: Run, start: int, profiles: Sequence[object]) -> set[Key]:
    """Alerts on the drifting days that the clean ones don't raise."""
    drifting, steady, found = copy.deepcopy(monitor), copy.deepcopy(monitor), set()
    for step, profile in enumerate(profiles):
        window = run.windows[start + step]
        found |= failed(drifting, profile, window) - failed(steady, run.clean[start + step], window)
        drifting.observe(profile, window)  # type: ignore[arg-type]
        steady.observe(run.clean[start + step], window)
    return found


def peer_score(run: Run, rule: peers.Rule) -> Score:
    """A peer's rule on the same profiles."""
    score, table = Score(), peers.Table(run.clean)
    days = np.array([table.row(profile) for profile in run.clean])
    for i in range(HISTORY, len(days)):
        bad = rule(days[:i], days[i], table.keys)
        score.clean(
            {table.keys[k] for k in np.flatnonzero(bad)}, run.case.days[i][0].date() not in run.case.exceptional
        )
        for planted in run.planted.get(i, ()):
            if len(planted.profiles) == 1:
                found = rule(days[:i], table.row(planted.profiles[0]), table.keys) & ~bad
                keys = {table.keys[k] for k in np.flatnonzero(found)}
                score.fault((planted.family, planted.magnitude), keys, planted.fields)
    return score


def evidently_score(run: Run, python: str) -> Score:
    """Evidently's drift preset in an environment of its own; frames go there and alerts come back as files."""
    with tempfile.TemporaryDirectory() as folder:
        frames: list[tuple[str, int]] = []
        columns = [c for c in run.case.days[0][1].columns if c not in (run.case.key, run.case.time)]
        pd.concat([f for _, f in run.case.days[:HISTORY]])[columns].to_csv(Path(folder) / "reference.csv", index=False)
        for i in sorted(run.planted)[:4]:
            run.case.days[i][1][columns].to_csv(Path(folder) / f"{len(frames)}.csv", index=False)
            frames.append(("clean", i))
            for at, planted in enumerate(run.planted[i]):
                frame = planted.frames[0]
                if len(planted.profiles) == 1 and frame is not None and at % 8 == 0:
                    frame[columns].to_csv(Path(folder) / f"{len(frames)}.csv", index=False)
                    frames.append((str(at), i))
        script = Path(__file__).with_name("evidently_alerts.py")
        done = subprocess.run(
            [python, str(script), folder, str(len(frames))], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"Evidently failed: {done.stderr[-500:]}")
        alerts = [{(name, "drift", "") for name in found} for found in json.loads(done.stdout.splitlines()[-1])]
    score, base = Score(), set()
    for (what, i), keys in zip(frames, alerts, strict=True):
        if what == "clean":
            base = keys
            score.clean(keys, run.case.days[i][0].date() not in run.case.exceptional)
        else:
            planted = run.planted[i][int(what)]
            score.fault((planted.family, planted.magnitude), keys - base, planted.fields)
    return score


def walk(name: str, days: int, beside: bool, evidently: str | None) -> dict[str, Score]:
    """Every detector on one table; peers where they stand `beside`, Evidently where its Python is given."""
    run = plant(data.case(name), days=days, drifts=3)
    found = {rule: peer_score(run, judge) for rule, judge in peers.RULES.items()} if beside else {}
    if evidently:
        found[EVIDENTLY] = evidently_score(run, evidently)
    found[OURS] = mlobs_score(run, 1.0)
    found["mlobs, false_alarms_per_month=0.5"] = mlobs_score(run, 0.5)
    return found | {"mlobs, judged from 14 days of history": mlobs_score(run, 1.0, 14)}


def line(name: str, scores: Sequence[Score]) -> str:
    """One row of the result: mean over tables."""
    found = [one for s in scores for many in s.found.values() for one in many]
    detected, right = (f"{100 * np.mean([f[i] for f in found]):.0f}%" if found else "" for i in (0, 1))
    ordinary = [s.ordinary_per_month for s in scores]
    return (
        f"| {name} | {np.mean(ordinary):.2f} | {max(ordinary):.2f} | {np.mean([s.per_month for s in scores]):.2f} |"
        f" {detected} | {right} |"
    )


def faults_table(scores: Sequence[Score]) -> list[str]:
    """Detected and rightly named by kind of fault."""
    merged: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for score in scores:
        for name, many in score.found.items():
            merged[name] += many
    rows = ["| fault | magnitude | planted | detected | right field |", "|---|---|---|---|---|"]
    for (family, magnitude), many in sorted(merged.items()):
        detected, right = (f"{100 * np.mean([m[i] for m in many]):.0f}%" for i in (0, 1))
        rows.append(f"| {family} | {magnitude} | {len(many)} | {detected} | {right} |")
    return rows


HEAD = (
    "| detector | false alarms / table / 30 ordinary days | worst table | with exceptional days | detected | right field |\n"
    "|---|---|---|---|---|---|"
)


def report(
    title: str, names: Sequence[str], days: int, say: Callable[[str], None], pool: Executor, evidently: str | None
) -> None:
    say(f"\n## {title}\n\nTables: {', '.join(names)}.\n\n{HEAD}")
    beside = not all(name in data.TUNED_ON + data.QUIET_TUNED_ON for name in names)
    walks = [
        pool.submit(walk, name, days, beside, evidently if beside and number < 3 else None)
        for number, name in enumerate(names)
    ]
    merged: dict[str, list[Score]] = defaultdict(list)
    for one in walks:
        for detector, score in one.result().items():
            merged[detector].append(score)
    for detector, scores in merged.items():
        say(line(detector, scores))
    say("\n" + "\n".join(faults_table(merged[OURS])))


def main() -> None:
    """Run it all and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", help="only these tables")
    parser.add_argument("--all", action="store_true", help="all tables that are kept apart, not a sample of them")
    parser.add_argument("--tuned", action="store_true", help="also the tables that parameters were chosen on")
    parser.add_argument("--days", type=int, default=8, help="days of each table on which faults are planted")
    parser.add_argument("--evidently", default=os.environ.get("EVIDENTLY_PYTHON"), help="a Python that has Evidently")
    chosen = parser.parse_args()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    began = time.time()
    moving, quiet = (data.REPORTED_ON, data.QUIET_REPORTED_ON) if chosen.all else (data.SAMPLE, data.QUIET_SAMPLE)
    groups = [("Tables kept apart", moving), ("Tables that hardly move, kept apart", quiet)]
    if chosen.tuned:
        groups += [("Tables tuned on", data.TUNED_ON), ("Tables that hardly move, tuned on", data.QUIET_TUNED_ON)]
    if chosen.tables:
        groups = [("Chosen tables", tuple(chosen.tables))]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for title, names in groups:
            report(title, names, chosen.days, say, pool, chosen.evidently)
    say(f"\nTook {time.time() - began:.0f} s.")


if __name__ == "__main__":
    main()
