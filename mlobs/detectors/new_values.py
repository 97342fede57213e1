"""First new values of a field: how likely they are, by how its distinct values grow with the rows. Pure numpy.

The reference knows the values of its own rows, so that a history that it was learned from has no new ones, whatever comes
after. Three kinds of fields are told apart: open-ended ones, of which nearly every row brings its own value (names, free text);
closed lists, of which a window shows nearly all values; and those between, whose new values are due by Heaps' law.

Source: H. S. Heaps, Information retrieval: computational and theoretical aspects (1978), 7.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlobs.detectors import rates
from mlobs.detectors.columns import Columns

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

OPEN_SLOPE, OPEN_PRIOR, OPEN_WINDOWS = 0.8, 0.9, 60
"""Growth of distinct values with rows (`given_rows`) from which a field's values are open-ended. New ones are all but certain
to come, then, and many at once are no more surprising than one; not so any more when none came in so many windows."""
LEAST_DUE = 0.5
"""New values due in a window from which a first one is judged as one of those; with fewer due it is a never-seen event."""
KNOWN_BY = 3.0
"""Events that what is due is known by: it is extrapolated, and right to about half of itself."""
CLOSED_SHARE, CLOSED_PRIOR = 0.75, 0.1
"""Part of a field's known values that a usual window shows, from which they are a closed list: a new one is all but as unlikely
there as an empty text, and a misspelt one is found among few rows."""


class NewValues(NamedTuple):
    """Arrays of shape (n_metrics,): whether the metric is of new values in an open-ended field; the prior that its event is
    possible at all; rows with new values that are due in a window, 0 for other metrics."""

    open_ended: Mask
    prior: Floats
    due: Floats

    def score(self, novel: Floats, counts: Floats, happened: Mask) -> Floats:
        """The normal scores `novel` of what `happened`, no higher than that of `counts` rows where some are due."""
        likely = happened & (self.due >= LEAST_DUE)
        if not likely.any():
            return novel
        score = novel.copy()
        score[likely] = np.minimum(score[likely], rates.rare_score(counts[likely], self.due[likely], 1.0, KNOWN_BY))
        return score


def new_values(columns: Columns, shown: Floats, slope: Floats, seen: Floats) -> NewValues:
    """What to think of first new values.

    After w windows, D values each and growing as rows ** slope, the next window adds slope * D * w ** (slope - 1).

    Args:
        columns: what is fixed of each metric.
        shown, slope: distinct values in a usual window of each metric's field, and their growth with rows; NaN where unknown.
        seen: windows of each metric.
    """
    young = columns.open_ended & (seen <= OPEN_WINDOWS)
    open_ended = young & (slope > OPEN_SLOPE)
    closed = (columns.levels > 0) & (shown >= CLOSED_SHARE * columns.levels)
    due = np.where(young & ~open_ended & ~columns.misspelt, slope * shown * np.maximum(seen, 1.0) ** (slope - 1), 0.0)
    prior = np.where(closed, CLOSED_PRIOR, np.where(open_ended, OPEN_PRIOR, columns.prior))
    return NewValues(open_ended, prior, np.fmax(due, 0.0))
