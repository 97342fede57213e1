"""Where alerts go: a `Route` says which incidents, to which receiver, and when. The address stays in the environment.

Plain declarations; nothing is sent here and no clock is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mlobs.errors import AlertError, nearest

SEVERITIES = ("warn", "error", "critical")
CHANGES = ("opened", "worse", "reopened", "resolved")


@dataclass(frozen=True)
class Route:
    """Sends the changes of some incidents to one receiver.

    Args:
        url_env: name of the environment variable that holds the receiver's Apprise URL ("slack://...",
            "mailto://...", "pagerduty://...", "json://..."). Its value is read when a message is sent, and is never
            written down.
        severity: the least severity it is told of: `warn`, `error` or `critical`.
        owners: only incidents that touch something owned by one of these; empty means all.
        tags: only incidents that touch something with one of these tags ("key" or "key=value"); empty means all.
        changes: which changes it is told of.
        digest: collect changes into one message every so often, counted from `digest_hour` UTC; None sends at once.
        quiet: (from, to) in `zone`: in these hours changes up to `quiet_severity` wait until their end.
        name: what it is called in logs and in history; the variable's name if left out. Keep it when you change a
            route, or messages that wait are not sent.

    Raises:
        AlertError: when the declaration contradicts itself; says the mend.
    """

    url_env: str
    severity: str = "warn"
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    changes: tuple[str, ...] = CHANGES
    digest: timedelta | None = None
    digest_hour: int = 7
    quiet: tuple[time, time] | None = None
    quiet_severity: str = "warn"
    zone: str = "UTC"
    name: str = ""

    def __post_init__(self) -> None:
        if "://" in self.url_env:
            raise AlertError(
                "a route takes the name of an environment variable that holds the URL, not the URL itself:"
                " URLs of receivers are secrets"
            )
        if not self.url_env.replace("_", "a").isalnum():
            raise AlertError(f"route: {self.url_env!r} is no name of an environment variable")
        where = f"route {self.name or self.url_env!r}"
        for value in (self.severity, self.quiet_severity):
            if value not in SEVERITIES:
                raise AlertError(f"{where}: severity {value!r} is unknown; {nearest(value, SEVERITIES)}")
        for name in ("owners", "tags", "changes"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        for change in self.changes:
            if change not in CHANGES:
                raise AlertError(f"{where}: change {change!r} is unknown; {nearest(change, CHANGES)}")
        if self.digest is not None and self.digest <= timedelta(0):
            raise AlertError(f"{where}: digest must be a positive length, got {self.digest}")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise AlertError(
                f"{where}: time zone {self.zone!r} is unknown; give one such as 'Europe/Berlin'"
            ) from error
        if not self.name:
            object.__setattr__(self, "name", self.url_env)

    def url(self, environ: Mapping[str, str] = os.environ) -> str:
        """The receiver's URL.

        Raises:
            AlertError: when the variable isn't set, or holds several.
        """
        found = environ.get(self.url_env, "").split()
        if not found:
            raise AlertError(f"route {self.name!r}: environment variable {self.url_env} isn't set")
        if len(found) > 1:
            raise AlertError(f"route {self.name!r}: {self.url_env} holds several URLs; make a route for each receiver")
        return found[0]

    def due(self, at: datetime, severity: str) -> datetime:
        """When a change of an incident that happened at `at` is to be sent: at once, with the digest, after quiet hours."""
        due = at
        if self.digest is not None:
            start = datetime(1970, 1, 1, self.digest_hour, tzinfo=UTC)
            due = at + (-(at - start)) % self.digest
        if self.quiet is not None and SEVERITIES.index(severity) <= SEVERITIES.index(self.quiet_severity):
            due = self._after_quiet(due)
        return due

    def _after_quiet(self, moment: datetime) -> datetime:
        assert self.quiet is not None
        begin, end = self.quiet
        local = moment.astimezone(ZoneInfo(self.zone))
        clock = local.time().replace(tzinfo=None)
        quiet = begin <= clock < end if begin <= end else clock >= begin or clock < end
        if not quiet:
            return moment
        day = local.date() + timedelta(days=1 if clock >= end else 0)
        return datetime.combine(day, end, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
