"""The right cause is ranked first in worlds in which accuracy falls for one known reason; when it fell has to be found.

One strong and one mild world of each kind; 30 of them are measured by `python -m mlobs_tests.benchmarks.root_causes`.
"""

from __future__ import annotations

import pytest

from mlobs_tests.incidents.simulation import KINDS, Scenario


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_cause_is_ranked_first(kind: str) -> None:
    scenario = Scenario(kind, 1001)
    fell, found = scenario.explained()
    assert fell
    assert scenario.right(found.causes[0]), found.sentence
    assert found.causes[0].sentence in found.sentence
    assert found.causes[0].evidence != ()
