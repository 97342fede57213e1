"""Hands one message to one receiver through Apprise, and says in safe words what went wrong.

Apprise is imported when a message is sent. Its log lines may name addresses, so they are kept from the log handlers.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from mlobs.alerts.message import Format, Note, body, subject
from mlobs.errors import AlertError

UNKNOWN = "the URL isn't one that Apprise knows; its list of services shows the form of each"

FORMATS: tuple[Format, ...] = ("text", "markdown", "html")


def send(url: str, notes: Sequence[Note]) -> str:
    """Sends the notes as one message; returns "" when the receiver took it, else what went wrong.

    The text returned holds no part of the URL that could be a secret.
    """
    apprise = _apprise()
    with _overheard() as said:
        receiver = apprise.Apprise.instantiate(url)
        if receiver is None:
            return UNKNOWN
        written_as = _format(receiver)
        box = apprise.Apprise()
        box.add(receiver)
        taken = box.notify(
            title=subject(notes),
            body=body(notes, written_as),
            notify_type=_kind(notes),
            body_format="markdown" if written_as == "slack" else written_as,
        )
    return "" if taken else without_secrets(" ".join(said) or "the receiver didn't take it", url)


def check(url: str) -> None:
    """Raises `AlertError` when Apprise can't make sense of the URL; sends nothing."""
    apprise = _apprise()
    with _overheard():
        if apprise.Apprise.instantiate(url) is None:
            raise AlertError(UNKNOWN)


@cache
def _apprise() -> Any:
    """Apprise with all its channels, which it imports at first use; some warn of modules that Python will drop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import apprise

        apprise.Apprise.instantiate("json://localhost")
    return apprise


def _kind(notes: Sequence[Note]) -> str:
    if all(n.change == "resolved" for n in notes):
        return "success"
    return "failure" if any(n.incident.severity != "warn" for n in notes) else "warning"


def _format(receiver: Any) -> Format:
    """The format the receiver's channel shows best, as Apprise or the URL (`?format=`) says."""
    resolve = getattr(receiver, "resolve_format", None)
    found = resolve() if resolve else receiver.notify_format
    name = str(getattr(found, "value", found))
    if name == "markdown" and type(receiver).__name__ == "NotifySlack":
        return "slack"
    return next((known for known in FORMATS if known == name), "text")


def without_secrets(said: str, url: str) -> str:
    """What was said, on one line, with every part of the URL that could be a secret replaced by stars.

    >>> without_secrets("could not post to hooks.example/T0K3N", "json://user:pass@hooks.example/T0K3N")
    'could not post to hooks.example/***'
    """
    parts = urlsplit(url)
    pieces = {
        url,
        parts.username,
        parts.password,
        parts.query,
        *parts.path.split("/"),
        *re.split(r"[=&?]", parts.query),
    }
    if "." not in (parts.hostname or ".") and parts.hostname != "localhost":
        pieces.add(parts.hostname)  # slack://token/..., where the host is part of the secret
    for piece in sorted({p for p in pieces if p} | {unquote(p) for p in pieces if p}, key=len, reverse=True):
        if len(piece) >= 4:
            said = re.sub(re.escape(piece), "***", said, flags=re.IGNORECASE)
    return " ".join(said.split())[:300]


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collects what Apprise says meanwhile, and keeps it and its HTTP library from every other log handler.

    The library would write the path of each request, which holds the token of many channels, to a log that takes details.
    """
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "urllib3.connectionpool")]
    before = [(logger, logger.propagate, logger.handlers[:], logger.level) for logger in loggers]
    for logger in loggers:
        logger.propagate, logger.handlers = False, [listener] if logger.name == "apprise" else [logging.NullHandler()]
        logger.setLevel(logging.WARNING)
    try:
        yield listener.said
    finally:
        for logger, propagate, handlers, level in before:
            logger.propagate, logger.handlers = propagate, handlers
            logger.setLevel(level)
