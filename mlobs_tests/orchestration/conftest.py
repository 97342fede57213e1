"""Fixtures of the orchestration tests: a prepared shop (a month of history, a first version), copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from mlobs.orchestration.fast_storage import fast_storage
from mlobs.orchestration.replay import Replay
from mlobs_tests.orchestration.shop import NAME, Shop

FIRST_DAY = "2024-02-01"
QUIET = {"telemetry": {"enabled": False}}


class Morning:
    """The shop at work: a replay on a real instance, one simulated morning after the other."""

    def __init__(self, shop: Shop, instance: dg.DagsterInstance) -> None:
        self.shop = shop
        self.instance = instance
        self.replay = Replay(shop.definitions(), instance)

    def at(self, day: str, **script: object) -> None:
        self.shop.say(now=f"{day}T06:00", **script)

    def tick(self, name: str):  # type: ignore[no-untyped-def]
        return self.replay.tick(f"{NAME}_{name}")


@pytest.fixture
def open_morning() -> Iterator[Callable[[Path], Morning]]:
    """Opens the shop in a folder on an instance of its own there."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def opened(folder: Path, **policy: object) -> Morning:
            home = folder / "dagster"
            home.mkdir(exist_ok=True)
            instance = stack.enter_context(dg.DagsterInstance.local_temp(str(home), overrides=QUIET))
            stack.enter_context(fast_storage(instance))
            return Morning(Shop(folder, **policy), instance)

        yield opened


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which January is history and version 1 is the champion."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "dagster").mkdir()
    shop = Shop(folder)
    shop.say(now=FIRST_DAY)
    with dg.DagsterInstance.local_temp(str(folder / "dagster"), overrides=QUIET) as instance, fast_storage(instance):
        replay = Replay(shop.definitions(), instance)
        for run in (
            replay.run(f"{NAME}_backfill", partition="2024-01-01", through="2024-01-31"),
            replay.run(f"{NAME}_retrain"),
        ):
            assert run.success, run.failures
    return folder


@pytest.fixture
def morning(prepared: Path, tmp_path: Path, open_morning: Callable[..., Morning]) -> Morning:
    """A copy of the prepared shop, on the morning of its first day."""
    folder = tmp_path / "shop"
    shutil.copytree(prepared, folder)
    opened = open_morning(folder)
    opened.at(FIRST_DAY)
    return opened
