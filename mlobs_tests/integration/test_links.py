"""The links in a message, opened in a real browser on a real Dagster UI and a served report, show what the message is about."""

from __future__ import annotations

import functools
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from mlobs.alerts import Route
from mlobs.history import History
from mlobs.orchestration.fast_storage import fast_storage
from mlobs.orchestration.replay import Replay
from mlobs.report import write
from mlobs_tests.alerts.receiver import Receiver
from mlobs_tests.integration.conftest import DAGSTER_YAML, wait_for
from mlobs_tests.orchestration.shop import NAME, Shop
from mlobs_tests.report.browser import browser, complaints

DAY = "2024-02-01"
PATIENCE = 40


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """(folder, address) of a folder of pages that a web server shows."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *said: object) -> None:
            """Quiet."""

    folder = tmp_path / "report"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def webserver(folder: Path, environment: dict[str, str]) -> Iterator[Callable[[int], str]]:
    """Starts Dagster's own web server on the shop's instance; stopped at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> str:
        program = Path(sys.executable).with_name("dagster-webserver")
        log = folder / "webserver.log"
        with log.open("ab") as out:
            command = [str(program), "-w", str(folder / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
            started.append(subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=out))
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(f"{address}/server_info"), 90, "the web server's first answer", log)
        return address

    yield start
    for process in started:
        process.terminate()
        process.wait(30)


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def shows(driver: webdriver.Chrome, *words: str) -> None:
    """Waits until the page shows all the words."""

    def missing() -> list[str]:
        text = driver.execute_script("return document.body ? document.body.innerText : ''")
        return [word for word in words if word.lower() not in text.lower()]

    WebDriverWait(driver, PATIENCE, poll_frequency=0.2).until(
        lambda _: not missing(), f"{driver.current_url} doesn't show {words}"
    )


@pytest.mark.slow
def test_check_run_and_report(
    folder: Path,
    served: tuple[Path, str],
    webserver: Callable[[int], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    ui = f"http://127.0.0.1:{port}"
    receiver = Receiver()
    monkeypatch.setenv("CHAT", receiver.url)
    shop = Shop(folder)
    shop.say(now=f"{DAY}T06:00", faults={DAY: "negative"})
    home = folder / "dagster"
    (home / "dagster.yaml").unlink()
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(home), overrides=quiet) as instance, fast_storage(instance):
        definitions = shop.definitions(routes=(Route("CHAT"),), ui=ui, report=served[1])
        replay = Replay(definitions, instance)
        run = next(run for run in replay.tick(f"{NAME}_daily_schedule").runs if run.partition == DAY)
        replay.tick(f"{NAME}_alerts")
    receiver.close()
    (message,) = receiver.taken
    links = dict(re.findall(r"^(Check|Run|Report): (http\S+)$", message["message"], flags=re.MULTILINE))
    with History(f"sqlite:///{folder / 'history.db'}") as history:
        write([shop.model()], history, served[0], shop.clock())
    (home / "dagster.yaml").write_text(DAGSTER_YAML + "nux: {enabled: false}\n")
    webserver(port)
    with browser(tmp_path / "browser", height=900) as driver:
        driver.get(links["Check"])
        shows(driver, "shop", "features", "field_health", "negative rate of amount", "failed")
        driver.get(links["Run"])
        shows(driver, run.run_id[:8], "failure", "field_health")
        complaints(driver)  # of Dagster's own pages, read so that the report's are left
        driver.get(links["Report"])
        shows(driver, NAME, "negative rate of amount")
        place = "const box = document.getElementById('incident-1').getBoundingClientRect();"
        visible = place + "return box.height > 0 && box.top >= 0 && box.top < window.innerHeight"
        WebDriverWait(driver, PATIENCE, poll_frequency=0.2).until(lambda _: driver.execute_script(visible))
        assert complaints(driver) == []
