"""Fixtures of the incident tests: an empty history, and a world that is judged into it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlobs.history import History
from mlobs_tests.incidents.world import World


@pytest.fixture
def history() -> Iterator[History]:
    with History("sqlite://") as opened:
        yield opened


@pytest.fixture
def world(history: History) -> World:
    return World(history)
