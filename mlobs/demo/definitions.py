"""What Dagster loads: the demo's definitions on the folder that `make demo` filled. `workspace.yaml` points here."""

from __future__ import annotations

import dagster as dg

from mlobs.demo.arrival_delay import project
from mlobs.orchestration import build_definitions
from mlobs.project import Project


def definitions(demo: Project) -> dg.Definitions:
    """The Dagster definitions of the demo in its folder."""
    assert demo.clock is not None
    return build_definitions(
        demo.models,
        demo.placed(demo.warehouse),
        history=demo.placed(demo.history),
        tracking=demo.placed(demo.tracking),
        clock=demo.clock,
        routes=demo.routes,
        report=(demo.report_folder / "index.html").as_uri(),
    )


defs = definitions(project())
