"""The only room that imports Dagster: assets, checks, jobs, schedules, sensors and the component.

Import from here or, without paying for Dagster before it is needed, from `mlobs` itself.
"""

from mlobs.orchestration.definitions import build_definitions

__all__ = ["build_definitions"]
