"""The alerts sensor: one fault is one message to a real receiver, with owners and a link; its repair is another."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from mlobs.alerts import Route
from mlobs.orchestration.replay import Replay
from mlobs_tests.orchestration.conftest import Morning

DAY = "2024-02-01"


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What a receiver on this machine was sent."""
    messages: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *said: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("SHOP_ALERTS", f"json://127.0.0.1:{server.server_port}/")
    yield messages
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_fault_and_its_repair_are_two_messages(morning: Morning, received: list[dict[str, Any]]) -> None:
    routes = (Route("SHOP_ALERTS", owners=("team:shop",)),)
    defs = morning.shop.definitions(routes=routes, ui="http://dagster.example:3000")
    morning.replay = Replay(defs, morning.instance)
    morning.shop.say(faults={DAY: "negative"})
    morning.tick("daily_schedule")
    assert "1 messages sent, 0 wait for another try" in morning.tick("alerts").skipped
    assert "0 messages sent" in morning.tick("alerts").skipped
    (opened,) = received
    text = json.dumps(opened)
    assert "shop.features" in text
    assert "http://dagster.example:3000/assets/shop/features?view=checks" in text
    morning.shop.say(faults={})
    morning.tick("redelivery")
    morning.tick("alerts")
    assert len(received) == 2
    assert "resolved" in json.dumps(received[1])
