"""A real HTTP receiver for alerts, that takes, refuses, or keeps silent as it is told."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Listens on a free port of this machine. `answer` is the status it gives; `pause` how long it waits before."""

    def __init__(self) -> None:
        self.answer = 200
        self.pause = 0.0
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.asked += 1
                answer, pause = receiver.answer, receiver.pause  # as they were when it was asked
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(pause)
                if answer == 200:
                    receiver.taken.append(message)
                try:
                    self.send_response(answer)
                    self.end_headers()
                except OSError:
                    pass  # the sender has gone away

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return self.address(30.0)

    def address(self, seconds: float) -> str:
        """The address, with how long a sender waits for an answer."""
        return f"json://ann:s3cretword@127.0.0.1:{self.port}/t0kenpath?rto={seconds}&cto={seconds}"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.taken]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
