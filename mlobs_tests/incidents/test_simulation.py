"""30 worlds in which accuracy falls for one known reason: the right cause is ranked first in 85%, in the first three in 95%.

The weights in `causes` were chosen on worlds 0 to 103; these here are others. Half of them are mild: what goes wrong has
0.4 of its full strength. Worlds in which the error doesn't rise by two standard errors are no falls, and left out.
"""

from __future__ import annotations

from itertools import count

import pytest

from mlobs_tests.incidents.simulation import KINDS, Scenario

pytestmark = pytest.mark.slow

FIRST_WORLD = 1001
PER_KIND = 6


def test_the_right_cause_is_ranked_first():
    ranks: dict[tuple[str, int, float], int] = {}
    for kind in KINDS:
        falls = 0
        for seed in count(FIRST_WORLD):
            for strength in (1.0, 0.4):
                scenario = Scenario(kind, seed, strength)
                fell, causes = scenario.explained()
                if fell and falls < PER_KIND:
                    falls += 1
                    places = [place for place, cause in enumerate(causes, 1) if scenario.right(cause)]
                    ranks[kind, seed, strength] = places[0] if places else 99
            if falls == PER_KIND:
                break
    missed = {world: rank for world, rank in ranks.items() if rank > 1}
    assert len(ranks) == 30
    assert sum(rank == 1 for rank in ranks.values()) >= 0.85 * 30, missed
    assert sum(rank <= 3 for rank in ranks.values()) >= 0.95 * 30, missed
