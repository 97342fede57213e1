"""What a run is about: its windows, read from the partition keys of an op's context, and its place in data time."""

from __future__ import annotations

from typing import Any

import dagster as dg

from mlobs.errors import WindowError
from mlobs.orchestration.calendar import Calendar
from mlobs.windows import Window

PARTITION, RUN_KEY = "dagster/partition", "dagster/run_key"
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
MODEL, TRIGGER, REASON, CHECK, SOURCE, WINDOW = (
    f"mlobs/{name}" for name in ("model", "trigger", "reason", "check", "source_run", "window")
)


def windows_of(context: Any, calendar: Calendar) -> list[Window]:
    """The windows a run covers: one, or every one of a single-run backfill.

    Tags are read, not `context.partition_keys`: a run of checks alone has the tag but no partitions definition.

    Raises:
        dagster.Failure: the run has no partition.
    """
    tags = getattr(context, "op_execution_context", context).run.tags
    try:
        if RANGE_START in tags and RANGE_END in tags:
            return calendar.range(tags[RANGE_START], tags[RANGE_END])
        if PARTITION in tags:
            return [calendar.window(tags[PARTITION])]
    except WindowError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    raise dg.Failure(
        description="this run has no partition: launch it with a partition, or a check alone with the tag"
        f" {PARTITION}=<partition key>",
        allow_retries=False,
    )


def short(text: str, limit: int = 250) -> str:
    """A text cut to fit a tag."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
