"""A landing where there are no transactions over several statements, but a MERGE is all or nothing. No database of its own.

Columns are added first (harmless when the rest fails), rows go to a staging table of their own name, one MERGE moves them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

from sqlglot import exp

from mlobs.engines import statements
from mlobs.engines.delivery import Delivery
from mlobs.engines.forms import Forms
from mlobs.engines.landing import Hands, change_table, fit_delivery, landed
from mlobs.engines.protocol import Landing, Source, table_node
from mlobs.spec import Table
from mlobs.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa


class WritingHands(Hands, Protocol):
    """Hands that can also write rows into a table by name."""

    def write(self, node: exp.Expression, rows: pa.Table) -> None: ...


def merge_rows(hands: WritingHands, forms: Forms, table: Table, window: Window, delivery: Delivery) -> Landing:
    """The steps of a landing by MERGE.

    Raises:
        DataError: the delivery does not fit; the table was not touched.
    """
    fitted = fit_delivery(hands, forms, table, window, delivery)
    if fitted.create and not fitted.new:
        return Landing(0, {}, None, 0)
    change_table(hands, table, fitted)
    types = hands.describe(Source.table(table.path).select())
    names = fitted.rows.column_names or list(types)
    staged = table_node((*table.path[:-1], f"mlobs_staged_{uuid.uuid4().hex}"))
    hands.do(statements.create_staged(staged, table, names, temporary=False))
    try:
        if fitted.rows.num_rows:
            hands.write(staged, fitted.rows)
        time = exp.column(exp.to_identifier(table.time, quoted=True), table=exp.to_identifier(table.name, quoted=True))
        inside = forms.within(time, types[table.time], window) if table.time in types else exp.false()
        hands.do(statements.merge_staged(table, names, staged, inside))
    finally:
        hands.do(statements.drop_table(staged))
    return landed(hands, delivery, fitted, types)
