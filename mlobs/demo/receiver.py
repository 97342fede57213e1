"""A receiver of alerts for the replay: a small HTTP server on this machine that keeps what arrives, as a chat would."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from mlobs.demo.project import RECEIVER


@contextmanager
def receiver() -> Iterator[list[str]]:
    """Alerts go to the returned list of titles while the block lasts: the environment variable names the server's URL."""
    titles: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            titles.append(str(json.loads(body).get("title", "")))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not on the terminal, where the progress bar is."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = os.environ.get(RECEIVER)
    os.environ[RECEIVER] = f"json://127.0.0.1:{server.server_address[1]}/"
    try:
        yield titles
    finally:
        if before is None:
            del os.environ[RECEIVER]
        else:
            os.environ[RECEIVER] = before
        server.shutdown()
        server.server_close()
