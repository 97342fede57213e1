"""Spark: the tables, views and catalogs of a session. The only file of mlobs that touches Spark."""

from __future__ import annotations

from typing import Any


class SparkSessionEngine:
    def __init__(self, session: Any) -> None:
        self.session = session
