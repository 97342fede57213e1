"""Small builders of sqlglot nodes that the profile query is made of, and slots that fields are poured into. Trees only.

A branch of the query is the same for each field but for a name and a few numbers. So its tree is built and generated
once, with slots in their place, and each field's tokens (generated from nodes too) are poured in: a hundred fields cost
what one does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from sqlglot import exp

from mlobs.engines.forms import Forms

Node = exp.Expr

COUNT_IF = frozenset({"duckdb", "spark", "databricks", "snowflake", "trino"})
"""Dialects with COUNT_IF, the fastest way to count there."""

_MARK = "\ue000"


def column(name: str) -> Node:
    """A column by its exact name."""
    return exp.Column(this=exp.Identifier(this=name, quoted=True))


def quoted(forms: Forms, name: str) -> str:
    """A column as SQL text, generated from its node."""
    return _quoted(forms.dialect, name)


@lru_cache(maxsize=8192)
def _quoted(dialect: str, name: str) -> str:
    return Forms(dialect).sql(column(name))


def call(name: str, *args: Node) -> Node:
    """A function of the engine, as it is called there."""
    return exp.Anonymous(this=name, expressions=list(args))


def literal(value: float | int) -> str:
    """A number as SQL text. Floats carry an exponent, which makes them doubles, not decimals, in every dialect; negative
    numbers stand in parentheses (`x--1` begins a comment).

    >>> literal(2.5), literal(-1e-9), literal(7)
    ('2.5e0', '(-1e-09)', '7')
    """
    text = repr(value)
    if isinstance(value, float) and "e" not in text:
        text += "e0"
    return f"({text})" if text.startswith("-") else text


def number(value: float | int) -> Node:
    """A number as a node, written as `literal` does."""
    digits = literal(value).strip("()")
    node = exp.Literal.number(digits.lstrip("-"))
    return exp.Paren(this=exp.Neg(this=node)) if digits.startswith("-") else node


def as_type(kind: exp.DType) -> Node:
    """A type without parameters, made without parsing its name."""
    return exp.DataType(this=kind, nested=False)


def double(node: Node) -> Node:
    return exp.Cast(this=node, to=as_type(exp.DType.DOUBLE))


def bigint(node: Node) -> Node:
    return exp.Cast(this=node, to=as_type(exp.DType.BIGINT))


def text(node: Node) -> Node:
    return exp.Cast(this=node, to=as_type(exp.DType.TEXT))


def boolean(node: Node) -> Node:
    return exp.Cast(this=node, to=as_type(exp.DType.BOOLEAN))


def absent(node: Node) -> Node:
    return exp.Is(this=node, expression=exp.Null())


def present(node: Node) -> Node:
    return exp.Not(this=absent(node))


def less(a: Node, b: Node) -> Node:
    return exp.LT(this=a, expression=b)


def equal(a: Node, b: Node) -> Node:
    return exp.EQ(this=a, expression=b)


def minus(a: Node, b: Node) -> Node:
    return exp.Paren(this=exp.Sub(this=a, expression=b))


def plus(a: Node, b: Node) -> Node:
    return exp.Paren(this=exp.Add(this=a, expression=b))


def times(a: Node, b: Node) -> Node:
    return exp.Mul(this=a, expression=b)


def over(a: Node, b: Node) -> Node:
    """Division of doubles, as the engine divides them."""
    return exp.Div(this=a, expression=b, typed=True, safe=False)


def case(*branches: tuple[Node, Node], default: Node | None = None) -> Node:
    return exp.Case(ifs=[exp.If(this=condition, true=value) for condition, value in branches], default=default)


def all_of(conditions: Sequence[Node]) -> Node:
    return exp.and_(*conditions, copy=False)


def any_of(conditions: Sequence[Node]) -> Node:
    return exp.or_(*conditions, copy=False)


def count() -> Node:
    return exp.Count(this=exp.Star())


def counted(forms: Forms, condition: Node) -> Node:
    """Rows for which a condition holds; 0 or NULL when there are none."""
    if forms.dialect in COUNT_IF:
        return exp.CountIf(this=condition)
    return exp.Count(this=case((condition, number(1))))


def named(node: Node, name: str) -> Node:
    return exp.Alias(this=node, alias=exp.Identifier(this=name, quoted=True))


def select(
    projections: Sequence[Node], relation: Node, where: Sequence[Node] = (), group: Sequence[Node] = ()
) -> exp.Select:
    """A SELECT of its parts: those that stand in another query are copied, new ones are taken as they are."""
    query = exp.Select(expressions=_own(projections))
    query.set("from_", exp.From(this=relation.copy()))
    if where:
        query.set("where", exp.Where(this=all_of([w.copy() for w in where])))
    if group:
        query.set("group", exp.Group(expressions=[g.copy() for g in group]))
    return query


def _own(parts: Sequence[Node]) -> list[Node]:
    return [part.copy() if part.parent is not None else part for part in parts]


def nested(query: exp.Select, alias: str) -> Node:
    """A query as something to select from."""
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.Identifier(this=alias, quoted=True)))


def slot(name: str) -> Node:
    """The place of a token that `Template` pours in."""
    return exp.Var(this=f"{_MARK}{name}{_MARK}")


class Template:
    """A tree with slots, generated once.

    >>> from mlobs.engines.forms import Forms
    >>> t = Template(Forms("duckdb"), exp.select(exp.Max(this=slot("x"))))
    >>> t.poured({"x": '"delay"'})
    'SELECT MAX("delay")'
    """

    def __init__(self, forms: Forms, tree: Node) -> None:
        self.pieces = forms.sql(tree).split(_MARK)

    def poured(self, tokens: Mapping[str, str]) -> str:
        """The text with every slot's token in place."""
        return "".join(tokens[piece] if at % 2 else piece for at, piece in enumerate(self.pieces))
