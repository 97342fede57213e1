"""Fixtures of the alert tests: a world to break, and a receiver to tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlobs.history import History
from mlobs_tests.alerts.receiver import Receiver
from mlobs_tests.incidents.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with History(f"sqlite:///{tmp_path}/history.db") as history:
        yield World(history)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


@pytest.fixture
def environ(receiver: Receiver) -> dict[str, str]:
    return {"CHAT": receiver.url}
