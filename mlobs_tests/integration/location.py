"""The shop as a code location for real Dagster processes: in the folder that MLOBS_SHOP names, asked often."""

import os
from pathlib import Path

from mlobs_tests.integration.eager import EAGER
from mlobs_tests.orchestration.shop import Shop

defs = Shop(Path(os.environ["MLOBS_SHOP"]), **EAGER).definitions(sensor_interval=3)
