"""One Dagster run in a process of its own: `python -m mlobs_tests.integration.run_once <job> <partition> <asset>...`."""

import sys

import dagster as dg

from mlobs.orchestration.replay import Replay
from mlobs_tests.integration.location import defs

job, partition, *assets = sys.argv[1:]
with dg.DagsterInstance.get() as instance:
    run = Replay(defs, instance).run(job, partition=partition, assets=[dg.AssetKey(a.split("/")) for a in assets])
print(run.run_id, run.success, *run.failures)
sys.exit(0 if run.success else 1)
