"""The alerts sensor: one fault is one message to a real receiver, with owners and a link; its repair is another."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
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
    ui, report = "http://dagster.example:3000", "https://reports.example/ml/"
    defs = morning.shop.definitions(routes=routes, ui=ui, report=report)
    morning.replay = Replay(defs, morning.instance)
    morning.shop.say(faults={DAY: "negative"})
    run = next(run for run in morning.tick("daily_schedule").runs if run.partition == DAY)
    assert "1 messages sent, 0 wait for another try" in morning.tick("alerts").skipped
    assert "0 messages sent" in morning.tick("alerts").skipped
    (opened,) = received
    text = json.dumps(opened)
    assert "shop.features" in text
    assert f"Check: {ui}/assets/shop/features?view=checks&checkDetail=field_health" in opened["message"]
    assert f"Run: {ui}/runs/{run.run_id}" in opened["message"]
    assert f"Report: {report}basket.html#incident-1" in opened["message"]
    assert "Held: prediction of basket" in text
    morning.shop.say(faults={})
    morning.tick("redelivery")
    morning.tick("alerts")
    assert len(received) == 2
    assert "resolved" in json.dumps(received[1])


def test_a_fall_in_accuracy_says_why_in_the_message_and_on_the_check(
    morning: Morning, received: list[dict[str, Any]]
) -> None:
    morning.replay = Replay(morning.shop.definitions(routes=(Route("SHOP_ALERTS"),)), morning.instance)
    morning.shop.say(changed="2024-02-01")
    failed = []
    for day in range(1, 8):
        morning.at(f"2024-02-{day:02d}")
        runs = morning.tick("daily_schedule").runs
        failed += [e for run in runs for e in run.evaluations if e.check_name == "accuracy" and not e.passed]
        morning.tick("alerts")
        if failed:
            break
    told = failed[-1].metadata
    assert " since 2024-02-01, soon after the first prediction; cross-validation gave " in str(told["why"].value)
    (message,) = [m["message"] for m in received if "accuracy" in m["title"]]
    assert f"Why basket got worse: {told['why'].value}" in message


def test_lineage_goes_through_assets_that_nobody_watches(morning: Morning) -> None:
    import dagster as dg

    from mlobs.orchestration.alerting import lineage_in
    from mlobs.orchestration.deployment import Deployment

    shop = morning.shop
    features = replace(shop.model().features, load=None)
    first = shop.model(features=features)
    more = {role: replace(table, name=f"late_{table.name}", load=None) for role, table in shop.tables().items()}
    second = shop.model(name="late", train=None, predict=None, retraining=None, **more)
    keys = {"shop.features": ("shop", "features"), "shop.late_features": ("lake", "late")}
    deployment = Deployment((first, second), "duckdb://", "sqlite://", "sqlite://", keys=keys)
    specs = [
        dg.AssetSpec(["shop", "features"]),
        dg.AssetSpec("cleaned", deps=[dg.AssetKey(["shop", "features"])]),
        dg.AssetSpec(["lake", "late"], deps=["cleaned"]),
    ]
    graph = dg.Definitions(specs).get_repository_def().asset_graph
    found = lineage_in(deployment, graph)
    assert found["shop.late_features"] == ["shop.features"]
    assert found["shop.late_predictions"] == ["shop.late_features"]
    assert found["shop.features"] == []
    assert lineage_in(deployment, None)["shop.late_features"] == []
