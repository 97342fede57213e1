"""The demo's clock: 2013 while the year is replayed, and from there on as fast as ours.

During a replay it stands still wherever `set` put it; `release` lets it run on, so that schedules of an instance that is
left running go on with the next day of 2013 when the next day of ours comes. Kept in a small file, which every process
of the demo reads.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from mlobs.errors import HistoryError
from mlobs.windows import instant

START = instant("2013-01-01")


class ReplayClock:
    """Callable that returns `now` in the replayed year.

    Args:
        file: where the time is kept; without that file it is the start of 2013.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self) -> datetime:
        try:
            kept = json.loads(self.file.read_text(encoding="utf-8"))
            at, released = instant(kept["at"]), kept["released"]
        except FileNotFoundError:
            return START
        except (OSError, ValueError, KeyError) as error:
            raise HistoryError(
                f"the demo's clock {self.file} can't be read ({error}): run `make demo` again"
            ) from error
        if released is None:
            return at
        return at + (datetime.now(UTC) - instant(released))

    def set(self, moment: datetime) -> None:
        """Stand still at `moment`."""
        self._write(moment, None)

    def release(self) -> None:
        """Run on from here, at the speed of the wall clock."""
        self._write(self(), datetime.now(UTC).isoformat())

    def _write(self, at: datetime, released: str | None) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps({"at": at.isoformat(), "released": released}), encoding="utf-8")
        os.replace(draft, self.file)
