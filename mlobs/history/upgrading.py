"""Brings an older history database up to this mlobs' schema, in place: adds what is missing, drops and rewrites nothing.

Runs inside the transaction that it is given, so a database is of the old schema or of the new one, never between.
A change of schema is: add a table, an index, or a column that is nullable or has a server default, to `tables`, and
raise `SCHEMA_VERSION`.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.schema import CreateColumn

from mlobs.errors import HistoryError
from mlobs.history.tables import SCHEMA_VERSION, metadata, schema


def upgrade(connection: Connection) -> None:
    """Adds the tables, columns and indexes that the database lacks, and writes down the new version.

    Raises:
        HistoryError: when a missing column can be added to no table with rows: a mistake in `tables`.
    """
    metadata.create_all(connection)
    found = inspect(connection)
    for table in metadata.sorted_tables:
        _add_columns(connection, table, {column["name"] for column in found.get_columns(table.name)})
        known = {index["name"] for index in found.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            if index.name not in known:
                index.create(connection)
    connection.execute(schema.insert().values(version=SCHEMA_VERSION))


def _add_columns(connection: Connection, table: Table, known: set[str]) -> None:
    for column in table.columns:
        if column.name in known:
            continue
        if column.primary_key or not (column.nullable or column.server_default is not None):
            raise HistoryError(f"history: column {table.name}.{column.name} can't be added to rows that lack it")
        dialect = connection.dialect
        described = CreateColumn(column).compile(dialect=dialect)
        named = dialect.identifier_preparer.format_table(table)
        connection.exec_driver_sql(f"ALTER TABLE {named} ADD COLUMN {described}")
