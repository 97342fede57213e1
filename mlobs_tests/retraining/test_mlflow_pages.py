"""MLflow's own pages on a store that trainings have left, in a real browser: versions, aliases, reasons, metrics, side by side."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from mlobs.engines import connect
from mlobs.history import History
from mlobs.monitor import Monitoring
from mlobs.retraining.run import retrain
from mlobs.tracking import Tracking, Version
from mlobs_tests.report.browser import browser
from mlobs_tests.retraining.flights import day, declared, land, rows

pytestmark = pytest.mark.slow


@pytest.fixture
def versions(history: History, tracking: Tracking) -> list[Version]:
    """A first version, one that was promoted over it, and one that was refused."""
    model, engine = declared(), connect("duckdb:///:memory:")
    land(engine, model, *rows(40, change=25))
    monitoring = Monitoring([model], engine, history)
    for number, promoted in ((21, True), (36, True), (38, False)):
        assert retrain(monitoring, tracking, model, day(number).start, reason="by hand").promoted is promoted
    return tracking.versions("delays")


@pytest.fixture
def address(versions: list[Version], tracking: Tracking, tmp_path: Path) -> Iterator[str]:
    """Where `mlflow ui` shows the store; it is stopped with all its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", tracking.uri]
    # Less to start: one worker in place of four, and no runner of jobs, which mlobs has none of.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
    with (tmp_path / "ui.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"],
            cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        found = f"http://127.0.0.1:{port}"
        _wait_for(f"{found}/health", server, tmp_path / "ui.log")
        yield found
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"mlflow ui did not start\n{log.read_text(errors='replace')[-3000:]}")


def _text(driver: webdriver.Chrome, *, until: str) -> str:
    """The page's text as lines, once it holds `until`."""

    def text(_: object) -> str:
        said = re.sub(
            r"\s*\n[\s:]*", "\n", str(driver.execute_script("return document.body.innerText")).replace("\xa0", " ")
        )
        return said if until in said else ""

    return WebDriverWait(driver, 60, poll_frequency=0.2).until(text, f"the page never said {until!r}")


def test_versions_aliases_reasons_and_metrics_are_on_mlflows_pages(
    address: str, versions: list[Version], tmp_path: Path
) -> None:
    first, second, third = versions
    assert second.aliases == ("champion",)
    with browser(tmp_path / "profile", width=1600, height=2400) as driver:
        driver.get(f"{address}/#/models/delays")
        said = _text(driver, until="@ champion")
        assert re.findall(r"^Version \d|@ \w+", said, re.MULTILINE) == [
            "Version 3", "Version 2", "@ champion", "Version 1"
        ]  # fmt: skip
        for version, word in ((first, "promoted"), (second, "promoted"), (third, "refused")):
            assert version.tags[f"{word}_because"][:24] in said

        driver.execute_script(
            "[...document.querySelectorAll('tbody input[type=checkbox], [role=row] input[type=checkbox]')]"
            ".slice(-2).forEach(box => box.click())"
        )
        driver.execute_script(
            "[...document.querySelectorAll('button')].find(b => b.innerText.trim() == 'Compare').click()"
        )
        said = _text(driver, until="holdout_challenger")
        assert "Comparing 2 Versions" in said
        for run in (first.run_id, second.run_id):
            assert run in said
        assert {"cv_mae", "fit_seconds", "score_seconds", "training_rows", "importance.hour"} <= set(said.split())

        driver.get(f"{address}/#/models/delays/versions/2")
        said = _text(driver, until="mlobs.window_start")
        assert "@ champion" in said
        for name in ("promoted_because", "promoted_by", "promoted_at", "replaced", "fingerprint", "window_end"):
            assert f"mlobs.{name}\n{second.tags[name]}\n" in said

        driver.get(f"{address}/#/experiments/1/runs/{second.run_id}")
        said = _text(driver, until="cv_mae")
        assert f"cv_mae\n{json.dumps(second.cv_error)}\n" in said
        for name, value in (("training_rows", "1400"), ("estimator", "LinearRegression"), ("inputs", "hour, wind")):
            assert f"{name}\n{value}\n" in said
        assert "delays\nv2" in said
