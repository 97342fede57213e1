"""Small builders of sqlglot nodes that the profile query is made of. Trees in, trees out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from mlobs.engines.forms import Forms

Node = exp.Expression

COUNT_IF = frozenset({"duckdb", "spark", "databricks", "snowflake", "trino"})
"""Dialects with COUNT_IF, the fastest way to count there."""


def column(name: str) -> Node:
    """A column by its exact name."""
    return exp.Column(this=exp.Identifier(this=name, quoted=True))


def call(name: str, *args: Node) -> Node:
    """A function of the engine, as it is called there."""
    return exp.Anonymous(this=name, expressions=list(args))


def number(value: float | int) -> Node:
    """A literal, negative ones in parentheses (`x--1` begins a comment)."""
    text = repr(value)
    literal = exp.Literal.number(text.lstrip("-"))
    return exp.Paren(this=exp.Neg(this=literal)) if text.startswith("-") else literal


def double(node: Node) -> Node:
    return exp.Cast(this=node, to=exp.DataType.build("double"))


def bigint(node: Node) -> Node:
    return exp.Cast(this=node, to=exp.DataType.build("bigint"))


def text(node: Node) -> Node:
    return exp.Cast(this=node, to=exp.DataType.build("text"))


def absent(node: Node) -> Node:
    return exp.Is(this=node, expression=exp.Null())


def present(node: Node) -> Node:
    return exp.Not(this=absent(node))


def count() -> Node:
    return exp.Count(this=exp.Star())


def counted(forms: Forms, condition: Node) -> Node:
    """Rows for which a condition holds; 0 or NULL when there are none."""
    if forms.dialect in COUNT_IF:
        return exp.CountIf(this=condition)
    return exp.Count(this=exp.Case(ifs=[exp.If(this=condition, true=number(1))]))


def all_of(conditions: Sequence[Node]) -> Node:
    return exp.and_(*conditions, copy=False)
