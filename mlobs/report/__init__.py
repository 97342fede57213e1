"""The HTML report: one self-contained page per model and an index, written from what history remembers.

Reads aggregates only (profiles, verdicts, accuracy, decisions, versions, incidents); never a row of data.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlobs.errors import MlobsError
from mlobs.windows import instant

if TYPE_CHECKING:
    from mlobs.history import History
    from mlobs.spec import Model

__all__ = ["write"]


def write(
    models: Iterable[Model], history: History, folder: str | Path, now: Any, *, step: Callable[[], None] | None = None
) -> list[Path]:
    """Write one HTML page per model and `index.html` into `folder`, which is made when missing.

    Each file holds everything it needs and works offline; a file is replaced in one step, so a reader never sees half.

    Args:
        models: the models to report on.
        history: where what is shown is remembered.
        folder: where the files go.
        now: the moment the report speaks of; later windows are left out.
        step: called when what a page says has been gathered, for a progress bar.

    Returns:
        The files written: a page per model in the order given, then the index.

    Raises:
        HistoryError: when history can't be read.
        MlobsError: when the folder can't be written.
    """
    from mlobs.incidents import lineage_of
    from mlobs.report.collect import REACH, model_page
    from mlobs.report.page import index_html, model_html
    from mlobs.report.tables import Tables

    moment: datetime = instant(now)
    target = Path(folder)
    chosen = list(models)
    lineage = lineage_of(chosen)
    tables = Tables(history, moment - REACH, moment)
    pages = []
    for model in chosen:
        pages.append(model_page(model, history, moment, lineage, tables))
        if step is not None:
            step()
    try:
        target.mkdir(parents=True, exist_ok=True)
        written = [_replace(target / f"{page.name}.html", model_html(page)) for page in pages]
        written.append(_replace(target / "index.html", index_html(pages, moment)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MlobsError(f"report folder {target} can't be written: {reason}; choose another folder") from error
    return written


def _replace(file: Path, text: str) -> Path:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return file
