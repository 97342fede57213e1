"""A year of the loop on simulated daily errors: the judgement and the decision as they are, only the model is simulated."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from mlobs.detectors.accuracy import judge_accuracy
from mlobs.retraining.policy import Situation, decide
from mlobs.spec import Retraining
from mlobs.states.accuracy import AccuracyState
from mlobs.windows import Window
from mlobs_tests.retraining.flights import day, declared

ROWS = 150
DAYS = 365
CV_ERROR = 20.0


def year(level: np.ndarray, noise: float, policy: Retraining, seed: int) -> list[datetime]:
    """Data times at which the loop retrains, when the error of day n is level[n] times a lognormal day effect.

    Retraining never helps here: the hardest case for a loop that must not run wild.
    """
    generator = np.random.default_rng(seed)
    model = replace(declared(), retraining=policy)
    states: list[tuple[Window, AccuracyState]] = []
    trained: list[datetime] = [day(0).start - timedelta(days=30)]
    failures = 0
    for n in range(DAYS):
        value = float(level[n] * generator.lognormal(-(noise**2) / 2, noise))
        sums = {"abs_error": value * ROWS, "naive_rows": ROWS, "naive_abs_error": 3 * CV_ERROR * ROWS}
        states.append((day(n), AccuracyState("regression", ROWS, labelled=ROWS, sums=sums)))
        now = day(n).end + timedelta(days=1)
        verdicts = judge_accuracy(model, states[-14:], day(n), now, CV_ERROR)
        failed = any(v.failed for v in verdicts)
        failures = failures + 1 if failed else 0
        facts = Situation("m", now, "1", failures=failures, failure="mae", trained=tuple(trained), new_labels=10_000)
        if decide(policy, facts).answer == "retrain":
            trained.append(now)
            failures = 0
    return trained[1:]


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
def test_noise_alone_hardly_ever_retrains(noise: float) -> None:
    trainings = [len(year(np.full(DAYS, CV_ERROR), noise, Retraining(), seed)) for seed in range(5)]
    assert np.mean(trainings) <= 1.5


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_stays_bad_is_retrained_no_more_often_than_the_budget_allows(seed: int) -> None:
    policy = Retraining(cooldown=timedelta(days=2), monthly_budget=2)
    at = year(np.full(DAYS, 2 * CV_ERROR), 0.3, policy, seed)
    for first in at:
        assert sum(first <= t < first + timedelta(days=30) for t in at) <= 2
    assert len(at) <= 2 * 13


@pytest.mark.parametrize("seed", range(3))
def test_cooldown_keeps_trainings_apart(seed: int) -> None:
    at = year(np.full(DAYS, 2 * CV_ERROR), 0.3, Retraining(cooldown=timedelta(days=14), monthly_budget=9), seed)
    assert min(b - a for a, b in itertools.pairwise(at)) >= timedelta(days=14)


def test_a_real_shift_leads_to_one_training_soon_after() -> None:
    """A jump of the error to 2.5 times its level: the span of 6 windows fails from the third day on, and three failures call
    for training."""
    level = np.where(np.arange(DAYS) < 200, CV_ERROR, 2.5 * CV_ERROR)
    for seed in range(5):
        at = [t for t in year(level, 0.1, Retraining(failures=1), seed) if t >= day(200).start]
        assert day(200).end < at[0] <= day(203).end + timedelta(days=1)
        assert len([t for t in at if t < day(214).start]) == 1
