"""The statements of a landing as sqlglot trees; names enter them only as quoted identifiers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import sqlglot
from sqlglot import exp

from mlobs.engines.column_types import data_type
from mlobs.engines.forms import Forms
from mlobs.engines.protocol import table_node
from mlobs.spec import Table
from mlobs.windows import Window


def create_schema(table: Table) -> exp.Expression:
    node = exp.Table(db=exp.to_identifier(table.schema, quoted=True))
    return exp.Create(this=node, kind="SCHEMA", exists=True)


def create_table(path: Sequence[str], columns: Mapping[str, exp.DataType]) -> exp.Expression:
    schema = exp.Schema(this=table_node(path), expressions=[_definition(n, t) for n, t in columns.items()])
    return exp.Create(this=schema, kind="TABLE")


def create_staged(staged: exp.Expression, table: Table, names: Sequence[str], *, temporary: bool) -> exp.Expression:
    """An empty table with some of a table's columns, in its types; `temporary` ones end with the session."""
    empty = (
        exp.select(*(exp.column(exp.to_identifier(n, quoted=True)) for n in names))
        .from_(table_node(table.path))
        .limit(0)
    )
    properties = exp.Properties(expressions=[exp.TemporaryProperty()]) if temporary else None
    return exp.Create(this=staged.copy(), kind="TABLE", expression=empty, properties=properties)


def drop_table(node: exp.Expression) -> exp.Expression:
    # Parsed, since releases of sqlglot differ in where a DROP keeps its table.
    drop = cast(exp.Expression, sqlglot.parse_one("DROP TABLE IF EXISTS t"))
    for table in drop.find_all(exp.Table):
        table.replace(node.copy())
    return drop


def nulls_of(types: Mapping[str, exp.DataType]) -> exp.Select:
    """A query whose columns have those types, to learn how an engine prints them."""
    chosen = [exp.alias_(exp.cast(exp.null(), kind.copy()), name, quoted=True) for name, kind in types.items()]
    return exp.select(*chosen)


def add_column(table: Table, name: str, kind: exp.DataType) -> exp.Expression:
    return exp.Alter(this=table_node(table.path), kind="TABLE", actions=[_definition(name, kind)])


def retype_column(table: Table, name: str, kind: exp.DataType) -> exp.Expression:
    """Change the type of a column, its values cast."""
    quoted = exp.to_identifier(name, quoted=True)
    action = exp.AlterColumn(this=quoted, dtype=kind.copy(), using=exp.cast(exp.column(quoted.copy()), kind))
    return exp.Alter(this=table_node(table.path), kind="TABLE", actions=[action])


def delete_window(table: Table, forms: Forms, time_type: str, window: Window) -> exp.Expression:
    time = exp.column(exp.to_identifier(table.time, quoted=True))
    return exp.Delete(this=table_node(table.path), where=exp.Where(this=forms.within(time, time_type, window)))


def delete_keys(table: Table, staged: exp.Expression) -> exp.Expression:
    """Delete the rows whose key is among the staged ones; null keys name no row, and match none."""
    return exp.Delete(this=table_node(table.path), where=exp.Where(this=key_staged(table, staged)))


def key_staged(table: Table, staged: exp.Expression) -> exp.Expression:
    """The condition that a row's whole key is among the staged rows'."""
    own, new = exp.to_identifier(table.name, quoted=True), exp.to_identifier("mlobs_new")
    same = [
        exp.EQ(this=exp.column(key, table=new.copy()), expression=exp.column(key.copy(), table=own.copy()))
        for key in (exp.to_identifier(name, quoted=True) for name in table.keys)
    ]
    found = exp.select(exp.Literal.number(1)).from_(exp.alias_(staged.copy(), new, table=True)).where(*same)
    return exp.Exists(this=found)


def insert_staged(table: Table, names: Sequence[str], staged: exp.Expression) -> exp.Expression:
    quoted = [exp.to_identifier(n, quoted=True) for n in names]
    rows = exp.select(*(exp.column(n.copy()) for n in quoted)).from_(staged.copy())
    return exp.Insert(this=exp.Schema(this=table_node(table.path), expressions=quoted), expression=rows)


def lost_by_cast(table: Table, name: str, old: str, kind: exp.DataType | None, dialect: str) -> exp.Select:
    """A query that counts the values of a column that a cast to `kind` and back would change; all that are there for None."""
    column = exp.column(exp.to_identifier(name, quoted=True))
    chosen = exp.alias_(exp.Count(this=exp.Star()), "lost", quoted=True)
    query = exp.select(chosen).from_(table_node(table.path)).where(column.copy().is_(exp.null()).not_())
    stored = data_type(old, dialect)
    if kind is None or stored is None:
        return query
    # A cast that fails is NULL where the dialect has TRY_CAST; where it hasn't, the query fails, and says the same.
    there = exp.TryCast(this=column.copy(), to=kind.copy(), safe=True)
    back = exp.TryCast(this=there, to=stored.copy(), safe=True)
    return query.where(exp.NullSafeNEQ(this=back, expression=column.copy()))


def _definition(name: str, kind: exp.DataType) -> exp.ColumnDef:
    return exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=kind.copy())


def copy_into(node: exp.Expression, names: Sequence[str]) -> exp.Expression:
    """Postgres's COPY of rows that the client sends."""
    quoted = [exp.to_identifier(n, quoted=True) for n in names]
    return exp.Copy(this=exp.Schema(this=node.copy(), expressions=quoted), kind=True, files=[exp.var("STDIN")])


def merge_staged(table: Table, names: Sequence[str], staged: exp.Expression, inside: exp.Expression) -> exp.Expression:
    """Delete and insert in one statement: no row matches, so staged rows are inserted, and rows of the table are deleted
    where they lie `inside` the window or have a staged key."""
    new = exp.to_identifier("mlobs_rows")
    quoted = [exp.to_identifier(n, quoted=True) for n in names]
    insert = exp.Insert(
        this=exp.Tuple(expressions=[exp.column(n.copy()) for n in quoted]),
        expression=exp.Tuple(expressions=[exp.column(n.copy(), table=new.copy()) for n in quoted]),
    )
    gone = exp.Or(this=exp.Paren(this=inside), expression=key_staged(table, staged))
    return exp.Merge(
        this=table_node(table.path),
        using=exp.alias_(staged.copy(), new, table=True),
        on=exp.false(),
        whens=exp.Whens(
            expressions=[
                exp.When(matched=False, source=False, then=insert),
                exp.When(matched=False, source=True, condition=gone, then=exp.var("DELETE")),
            ]
        ),
    )


def rename_table(old: Sequence[str], new: Sequence[str]) -> exp.Expression:
    return exp.Alter(this=table_node(old), kind="TABLE", actions=[exp.AlterRename(this=table_node(new))])
