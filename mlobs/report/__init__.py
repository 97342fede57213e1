"""The HTML report: one self-contained page per model and an index, written from what history remembers."""

from __future__ import annotations
