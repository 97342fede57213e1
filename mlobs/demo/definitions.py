"""What Dagster loads: the demo's definitions on the folder that `make demo` filled. `workspace.yaml` points here."""

from __future__ import annotations

import dagster as dg

from mlobs.demo.project import project
from mlobs.orchestration import build_definitions
from mlobs.project import Project


def definitions(demo: Project) -> dg.Definitions:
    """The Dagster definitions of the demo in its folder."""
    return build_definitions(demo.models, **demo.deployment())


defs = definitions(project())
