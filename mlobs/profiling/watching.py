"""An engine that remembers the text of what it ran, for those who want to see it. Runs what it is given on another one."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from mlobs.engines.protocol import Engine


class Watched:
    """Another engine, and in `texts` every query that was run through this one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dialect = engine.dialect
        self.forms = engine.forms
        self.texts: list[str] = []

    def run(self, query: exp.Expr | str) -> Any:
        """Run it there, and remember its text."""
        text = query if isinstance(query, str) else self._engine.sql(query)
        self.texts.append(text)
        return self._engine.run(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)
