"""Training runs and model versions in MLflow: log, register, alias, load, roll back. Touches MLflow and files.

MLflow is imported when a `Tracking` is first used, its telemetry off and its chatter kept to itself. Models are stored in
MLflow's flavours by formats that hold no code (`flavours.py`); nothing is unpickled.
"""

from mlobs.tracking.records import Training, Version
from mlobs.tracking.store import CHALLENGER, CHAMPION, Tracking

__all__ = ["CHALLENGER", "CHAMPION", "Tracking", "Training", "Version"]
