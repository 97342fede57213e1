"""The retraining decision, as a table: every trigger against every circumstance, and the literal answer."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mlobs.retraining.policy import Decision, Fault, Situation, decide
from mlobs.spec import Retraining
from mlobs.windows import DAY, Window, instant

POLICY = Retraining(
    failures=3,
    cooldown=timedelta(days=14),
    monthly_budget=2,
    min_new_labels=500,
    hold_windows=7,
    on_estimate=True,
    on_drift=True,
    every=timedelta(days=120),
)
NOW = instant("2013-07-01")
NEWEST = tuple(Window(NOW - (n + 1) * DAY, NOW - n * DAY) for n in range(6, -1, -1))
QUIET = Situation(
    "arrival_delay",
    NOW,
    champion="1",
    judged=NEWEST[-1],
    newest=NEWEST,
    trained=(instant("2013-04-01"),),
    new_labels=5000,
)

TRIGGERS: dict[str, dict[str, Any]] = {
    "none": {},
    "two failures": {"failures": 2, "failure": "mae 33 is above 31"},
    "accuracy": {"failures": 3, "failure": "mae 33 is above 31"},
    "estimate": {"estimates": 3, "estimate": "estimated mae 33 is above 31", "estimated": NEWEST[-1]},
    "drift": {"drift_windows": 3, "drift": "psi of temp is .4"},
    "external": {"external": "a new price list came"},
    "schedule": {"trained": (instant("2013-03-01"),)},
    "manual": {"manual": True},
    "no version yet": {"champion": "", "trained": ()},
    "shadow over": {"shadow": "2", "shadow_until": NEWEST[-1].end, "shadow_over": True},
}
CIRCUMSTANCES: dict[str, dict[str, Any]] = {
    "calm": {},
    "running": {"running": True},
    "fault in a new window": {"faults": (Fault(NEWEST[3], "features", "null rate"),)},
    "fault after the training data": {"faults": (Fault(Window.day(NOW), "features", "null rate"),)},
    "fault in an old window": {"faults": (Fault(Window.day("2013-05-01"), "features", "null rate"),)},
    "cooldown": {"trained": (instant("2013-06-20"),)},
    "over budget": {"trained": (instant("2013-06-02"), instant("2013-06-16"))},
    "few labels": {"new_labels": 499},
    "in shadow": {"shadow": "2", "shadow_until": NEWEST[-1].end + 7 * DAY},
}
# rows: circumstances; columns: none, two failures, accuracy, estimate, drift, external, schedule, manual, no version yet,
# shadow over; – where the two can't be at once: a model without a version has neither trained nor a version in shadow, one
# whose schedule is due has not trained lately
ANSWERS = {
    "calm": "wait wait retrain retrain retrain retrain retrain retrain retrain retrain",
    "running": "wait wait wait wait wait wait wait wait wait wait",
    "fault in a new window": "wait wait hold hold hold hold hold hold hold hold",
    "fault after the training data": "wait wait hold hold hold hold hold hold hold hold",
    "fault in an old window": "wait wait retrain retrain retrain retrain retrain retrain retrain retrain",
    "cooldown": "wait wait wait wait wait wait – retrain – retrain",
    "over budget": "wait wait wait wait wait wait – retrain – retrain",
    "few labels": "wait wait wait wait wait wait wait retrain retrain retrain",
    "in shadow": "wait wait wait wait wait wait wait retrain – –",
}
TABLE = [
    (circumstance, trigger, answer)
    for circumstance, answers in ANSWERS.items()
    for trigger, answer in zip(TRIGGERS, answers.split(), strict=True)
    if answer != "–"
]
NEVER = [
    (circumstance, trigger)
    for circumstance, answers in ANSWERS.items()
    for trigger, answer in zip(TRIGGERS, answers.split(), strict=True)
    if answer == "–"
]


@pytest.mark.parametrize(("circumstance", "trigger", "answer"), TABLE)
def test_every_trigger_in_every_circumstance(circumstance: str, trigger: str, answer: str) -> None:
    decision = decide(POLICY, replace(QUIET, **TRIGGERS[trigger] | CIRCUMSTANCES[circumstance]))
    assert decision.answer == answer
    assert decision.reason


FREE = ("manual", "no version yet", "shadow over")
"""Triggers that pass cooldown, budget and the count of labels."""


def strongest(trigger: str, present: set[str]) -> str:
    """The answer by what is present, strongest first."""
    if trigger in ("none", "two failures") or "running" in present or ("in shadow" in present and trigger != "manual"):
        return "wait"
    if present & {"fault in a new window", "fault after the training data"}:
        return "hold"
    if present & {"cooldown", "over budget", "few labels"} and trigger not in FREE:
        return "wait"
    return "retrain"


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_combination_of_circumstances(trigger: str) -> None:
    """All 256 subsets for each of the ten triggers, less those that can't be; the strongest of them answers."""
    possible = [name for name in CIRCUMSTANCES if name != "calm" and (name, trigger) not in NEVER]
    counted = 0
    for size in range(len(possible) + 1):
        for chosen in itertools.combinations(possible, size):
            facts = dict(TRIGGERS[trigger])
            for name in chosen:
                more = dict(CIRCUMSTANCES[name])
                for several in ("faults", "trained"):
                    if several in more and several in facts:
                        more[several] = tuple(sorted({*facts[several], *more[several]}))
                facts |= more
            decision = decide(POLICY, replace(QUIET, **facts))
            assert decision.answer == strongest(trigger, set(chosen)), (trigger, chosen, decision.reason)
            assert decision.reason
            assert decision.cause or decision.answer == "wait"
            counted += 1
    assert counted == 2 ** len(possible)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, Decision("wait", "nothing calls for training")),
        (
            TRIGGERS["two failures"],
            Decision(
                "wait",
                "accuracy failed in the newest 2 mature windows of the 3 that call for training: mae 33 is above 31",
            ),
        ),
        (
            TRIGGERS["accuracy"],
            Decision(
                "retrain",
                "accuracy failed in the newest 3 mature windows: mae 33 is above 31",
                "accuracy",
                (),
                "arrival_delay:accuracy:2013-06-30",
            ),
        ),
        (
            TRIGGERS["accuracy"] | CIRCUMSTANCES["fault in a new window"],
            Decision(
                "hold",
                "accuracy failed in the newest 3 mature windows: mae 33 is above 31, but the newest 7 windows of training"
                " data hold data faults (features in 2013-06-27): repair the data first",
                "accuracy",
                (),
                "arrival_delay:accuracy:2013-06-30",
            ),
        ),
        (
            TRIGGERS["accuracy"] | CIRCUMSTANCES["fault in an old window"],
            Decision(
                "retrain",
                "accuracy failed in the newest 3 mature windows: mae 33 is above 31; trained without the faulty windows"
                " 2013-05-01",
                "accuracy",
                (Window.day("2013-05-01"),),
                "arrival_delay:accuracy:2013-06-30",
            ),
        ),
        (
            TRIGGERS["accuracy"] | CIRCUMSTANCES["cooldown"],
            Decision(
                "wait",
                "accuracy failed in the newest 3 mature windows: mae 33 is above 31, but the last training was on"
                " 2013-06-20: cooldown until 2013-07-04",
                "accuracy",
                (),
                "arrival_delay:accuracy:2013-06-30",
            ),
        ),
    ],
)
def test_reasons_can_be_read_by_a_person(facts: dict[str, object], expected: Decision) -> None:
    assert decide(POLICY, replace(QUIET, **facts)) == expected


def test_a_model_without_a_version_is_trained_at_once() -> None:
    decision = decide(POLICY, replace(QUIET, champion="", trained=(), new_labels=0))
    assert (decision.answer, decision.trigger) == ("retrain", "initial")


def test_drift_does_not_count_unless_asked_for() -> None:
    assert decide(replace(POLICY, on_drift=False), replace(QUIET, **TRIGGERS["drift"])).answer == "wait"


def test_without_hold_windows_faults_are_only_left_out() -> None:
    facts = replace(QUIET, **TRIGGERS["accuracy"], **CIRCUMSTANCES["fault in a new window"])
    decision = decide(replace(POLICY, hold_windows=0), facts)
    assert (decision.answer, decision.excluded) == ("retrain", (NEWEST[3],))


def test_the_budget_counts_the_last_thirty_days_only() -> None:
    facts = replace(QUIET, **TRIGGERS["accuracy"], trained=(instant("2013-05-10"), instant("2013-06-10")))
    assert decide(POLICY, facts).answer == "retrain"
    facts = replace(facts, trained=(instant("2013-06-01T00:00:01"), instant("2013-06-10")))
    assert "2 of 2 trainings in 30 days" in decide(POLICY, facts).reason


def test_cooldown_ends_after_its_length() -> None:
    facts = replace(QUIET, **TRIGGERS["accuracy"], trained=(NOW - timedelta(days=14),))
    assert decide(POLICY, facts).answer == "retrain"


def test_the_same_facts_have_the_same_cause_and_new_ones_another() -> None:
    facts = replace(QUIET, **TRIGGERS["accuracy"])
    later = replace(facts, judged=Window.day(NOW))
    assert decide(POLICY, facts).cause == decide(POLICY, facts).cause != decide(POLICY, later).cause
