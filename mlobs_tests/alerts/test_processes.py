"""Two processes with one outbox, and one that is killed while it sends: nobody is told twice, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

import mlobs
from mlobs.alerts import Route, deliver
from mlobs.incidents import incidents
from mlobs_tests.incidents.world import failure

pytestmark = pytest.mark.slow

ROOT = str(Path(next(iter(mlobs.__path__))).parent)


def start(world, receiver) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parent / "sender.py"),
            f"sqlite:///{world.history.database.place}",
            str(world.now),
        ],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([ROOT, str(Path(__file__).parents[2])]), "CHAT": receiver.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def go(process) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_processes_open_one_incident_and_send_one_message(world, receiver):
    world.judge(1, failure("weather", 1), failure("features", 1))
    receiver.pause = 0.2
    processes = [start(world, receiver) for _ in range(2)]
    for process in processes:
        go(process)
    sent = sum(int(process.communicate(timeout=60)[0]) for process in processes)
    assert sent == len(receiver.taken) == len(incidents(world.history)) == 1


def test_a_process_killed_while_it_sends_loses_nothing(world, receiver, environ):
    world.judge(1, failure("weather", 1))
    receiver.pause, receiver.answer = 60.0, 500
    process = start(world, receiver)
    go(process)
    while not receiver.asked:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    receiver.pause, receiver.answer = 0.0, 200
    assert deliver(world.history, [Route("CHAT")], world.now, environ=environ) == []  # the claim still holds
    later = world.now + timedelta(minutes=10)
    assert [d.sent for d in deliver(world.history, [Route("CHAT")], later, environ=environ)] == [True]
    assert len(receiver.taken) == 1
