"""Where queries run: one small protocol over DuckDB, SQLAlchemy warehouses and Spark sessions. Drivers load when asked."""

from mlobs.engines.forms import DIALECTS, Forms
from mlobs.engines.opening import connect, open_data, spark_engine
from mlobs.engines.protocol import Engine, Landing, Source

__all__ = ["DIALECTS", "Engine", "Forms", "Landing", "Source", "connect", "open_data", "spark_engine"]
