"""SQL forms that sqlglot doesn't transpile by itself, one method each, per dialect. Trees in, trees out; no connection.

Dialects: duckdb, postgres, spark, databricks, snowflake, bigquery, trino, clickhouse.
"""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from mlobs.engines.column_types import has_zone
from mlobs.errors import WarehouseError, nearest
from mlobs.spec import FieldKind
from mlobs.windows import Window, instant

DIALECTS = ("duckdb", "postgres", "spark", "databricks", "snowflake", "bigquery", "trino", "clickhouse")

_LARGEST = exp.Literal.number("1.7976931348623157e308")
_POSITIVE = exp.Literal.number(str(2**63 - 1))


class Forms:
    """The forms of one dialect.

    Raises:
        WarehouseError: the dialect is not one of those above.

    >>> Forms("duckdb").finite(exp.column("x")).sql("duckdb")
    'ABS(x) <= 1.7976931348623157e308'
    """

    def __init__(self, dialect: str) -> None:
        if dialect not in DIALECTS:
            raise WarehouseError(f"no SQL forms for dialect {dialect!r}; {nearest(dialect, DIALECTS)}")
        self.dialect = dialect

    @property
    def casts_nan_to_null(self) -> bool:
        """Whether TRY_CAST of NaN to an integer is NULL; else a CASE on `finite` must guard the cast."""
        return self.dialect in ("duckdb", "spark", "databricks")

    @property
    def reads_once(self) -> bool:
        """Whether a scan is dear (row store), so that one scan with LATERAL VALUES beats a UNION ALL of scans."""
        return self.dialect == "postgres"

    def sql(self, query: exp.Expr, *, pretty: bool = False) -> str:
        """The tree as this dialect's text, every identifier quoted."""
        return query.sql(dialect=self.dialect, identify=True, pretty=pretty)

    def finite(self, x: exp.Expr) -> exp.Expression:
        """True for a finite double; false or NULL for NaN, infinities and NULL: use it in CASE WHEN, not under NOT.

        Engines order NaN above every number or compare it as unknown; both fail this comparison.
        """
        return exp.LTE(this=exp.Abs(this=x.copy()), expression=_LARGEST.copy())

    def is_nan(self, x: exp.Expr) -> exp.Expression:
        """True for NaN in a double column."""
        if self.dialect in ("postgres", "snowflake"):
            return exp.EQ(this=x.copy(), expression=exp.cast(exp.Literal.string("NaN"), "double"))
        if self.dialect == "bigquery":
            return _call("IS_NAN", x)
        if self.dialect == "clickhouse":
            return _call("isNaN", x)
        return exp.IsNan(this=x.copy())

    def as_double(self, x: exp.Expr) -> exp.Expression:
        """Cast to a double; exact for integers below 2^53."""
        return exp.cast(x.copy(), "double")

    def text_length(self, x: exp.Expr) -> exp.Expression:
        """Length in characters (code points), never bytes."""
        if self.dialect == "clickhouse":
            return _call("lengthUTF8", x)
        return exp.Length(this=x.copy())

    def matches(self, x: exp.Expr, pattern: str) -> exp.Expression:
        """Whether a text matches a regular expression as a whole.

        The pattern must stay within what RE2, Java and POSIX share: classes such as [0-9], groups, *, +, ?, {n,m}, |.
        """
        # Java's $ also matches before a last line feed.
        end = "$(?!\\n)" if self.dialect in ("spark", "databricks") else "$"
        whole = exp.Literal.string(f"^({pattern}){end}")
        return exp.RegexpLike(this=x.copy(), expression=whole)

    def hash64(self, x: exp.Expr, kind: FieldKind | None = None) -> exp.Expression:
        """A non-negative 63-bit integer hash of a value; NULL for NULL. Equal values of one type hash alike (0.0 and
        -0.0 too when the kind is said); stable within one engine, not between engines."""
        # Where the hash is of a text, -0.0 must be written as 0.0; adding zero does it.
        number = exp.Add(this=x.copy(), expression=exp.Literal.number(0)) if kind == "numeric" else x.copy()
        text = exp.cast(number, "text")
        if self.dialect == "duckdb":
            shifted = exp.BitwiseRightShift(this=_call("hash", x), expression=exp.Literal.number(1))
            return self._unless_null(x, exp.cast(shifted, "bigint"))
        if self.dialect == "postgres":
            return exp.BitwiseAnd(
                this=_call("hashtextextended", text, exp.Literal.number(0)), expression=_POSITIVE.copy()
            )
        if self.dialect in ("spark", "databricks"):
            return self._unless_null(x, exp.BitwiseAnd(this=_call("xxhash64", x), expression=_POSITIVE.copy()))
        if self.dialect == "snowflake":
            return self._unless_null(x, _call("BITAND", _call("HASH", x), _POSITIVE))
        if self.dialect == "bigquery":
            return exp.BitwiseAnd(this=_call("FARM_FINGERPRINT", text), expression=_POSITIVE.copy())
        if self.dialect == "trino":
            return _call(
                "BITWISE_AND", _call("FROM_BIG_ENDIAN_64", _call("XXHASH64", _call("TO_UTF8", text))), _POSITIVE
            )
        return _call("toInt64", _call("bitShiftRight", _call("cityHash64", text), exp.Literal.number(1)))

    def _unless_null(self, x: exp.Expr, value: exp.Expression) -> exp.Expression:
        return exp.Case(ifs=[exp.If(this=exp.Not(this=exp.Is(this=x.copy(), expression=exp.null())), true=value)])

    def epoch_us(self, x: exp.Expr, column_type: str) -> exp.Expression:
        """Microseconds since 1970-01-01 UTC as an integer, of a date or timestamp column of that type."""
        zoned = "timestamptz" if has_zone(column_type, self.dialect) else "timestampntz"
        value = exp.cast(x.copy(), zoned + ("(6)" if self.dialect == "trino" else ""))
        micros = exp.Literal.number(1000000)
        if self.dialect == "duckdb":
            return _call("epoch_us", value)
        if self.dialect == "postgres":
            seconds: exp.Expression = exp.Extract(this=exp.var("EPOCH"), expression=value)
            return exp.cast(exp.Mul(this=seconds, expression=micros), "bigint")
        if self.dialect in ("spark", "databricks", "bigquery"):
            return _call("unix_micros", exp.cast(x.copy(), "timestamptz"))
        if self.dialect == "snowflake":
            return _call("DATE_PART", exp.var("EPOCH_MICROSECOND"), value)
        if self.dialect == "trino":
            return exp.cast(exp.Mul(this=_call("TO_UNIXTIME", value), expression=micros), "bigint")
        exact = _call("toDateTime64", x, exp.Literal.number(6), exp.Literal.string("UTC"))
        return _call("toUnixTimestamp64Micro", exact)

    def moment(self, value: datetime, column_type: str) -> exp.Expression:
        """A literal that compares with a time column of that type; a column without zone holds UTC."""
        text = instant(value).strftime("%Y-%m-%d %H:%M:%S.%f")
        if self.dialect == "clickhouse":
            return _call("toDateTime64", exp.Literal.string(text), exp.Literal.number(6), exp.Literal.string("UTC"))
        precision = "(6)" if self.dialect == "trino" else ""
        if has_zone(column_type, self.dialect):
            return exp.cast(exp.Literal.string(text + "+00:00"), f"timestamptz{precision}")
        return exp.cast(exp.Literal.string(text), f"timestampntz{precision}")

    def within(self, column: exp.Expr, column_type: str, window: Window) -> exp.Expression:
        """The condition that a time column lies in the half-open window."""
        return exp.And(
            this=exp.GTE(this=column.copy(), expression=self.moment(window.start, column_type)),
            expression=exp.LT(this=column.copy(), expression=self.moment(window.end, column_type)),
        )


def _call(name: str, *arguments: exp.Expr) -> exp.Expression:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])
