"""One aggregate query over the join of predictions and actuals: windows to accuracy states, by version and segment.

Runs in the engine; touches spec, states and engines. Predictions are keyed by their own time: a label counts for the
window of its prediction, whenever it came.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from mlobs.errors import DataError, nearest
from mlobs.spec import Model, Table, Task
from mlobs.states.accuracy import (
    ERROR_BINS_PER_OCTAVE,
    LARGEST,
    LOGIT_BINS_PER_UNIT,
    SMALLEST_ACTUAL,
    SUMS,
    AccuracyState,
)
from mlobs.windows import Window

if TYPE_CHECKING:
    from mlobs.engines import Engine
    from mlobs.engines.forms import Forms

Baseline = float | str
"""The naive prediction of a version: training median or mean (regression), share of positives (binary), commonest class."""

ByVersion = dict[str, dict[str, AccuracyState]]
"""version -> segment ("" for all rows, else "field=value") -> state."""

_TEXT = exp.DataType.build("text")
_DOUBLE = exp.DataType.build("double")
_SMALLEST = repr(SMALLEST_ACTUAL)

_SCORED = {
    "regression": """
        SELECT *,
          CASE WHEN ABS(prediction) <= 1e150 THEN 1 ELSE 0 END AS usable,
          CASE WHEN ABS(actual) <= 1e150 THEN 1 ELSE 0 END AS readable,
          CASE WHEN ABS(prediction) <= 1e150 AND ABS(actual) <= 1e150 THEN 1 ELSE 0 END AS scored,
          CASE WHEN ABS(prediction) <= 1e150 AND expected >= 0 AND expected <= 1e150 THEN 1 ELSE 0 END AS foretold,
          prediction - actual AS e, baseline - actual AS b
        FROM joined WHERE place = 1""",
    "binary": """
        SELECT *,
          CASE WHEN prediction >= 0 AND prediction <= 1 THEN 1 ELSE 0 END AS usable,
          CASE WHEN actual = 0 OR actual = 1 THEN 1 ELSE 0 END AS readable,
          CASE WHEN prediction >= 0 AND prediction <= 1 AND (actual = 0 OR actual = 1) THEN 1 ELSE 0 END AS scored,
          CASE WHEN prediction >= 0 AND prediction <= 1 AND expected >= 0 AND expected <= 1 THEN 1 ELSE 0 END AS foretold,
          CASE WHEN prediction < 2.220446049250313e-16 THEN 2.220446049250313e-16
            WHEN prediction > 1 - 2.220446049250313e-16 THEN 1 - 2.220446049250313e-16 ELSE prediction END AS p,
          CASE WHEN baseline < 1e-06 THEN 1e-06 WHEN baseline > 1 - 1e-06
            THEN 1 - 1e-06 ELSE baseline END AS q
        FROM joined WHERE place = 1""",
    "multiclass": """
        SELECT *,
          CASE WHEN prediction IS NULL THEN 0 ELSE 1 END AS usable,
          CASE WHEN actual IS NULL THEN 0 ELSE 1 END AS readable,
          CASE WHEN prediction IS NULL OR actual IS NULL THEN 0 ELSE 1 END AS scored,
          CASE WHEN prediction IS NULL THEN 0 WHEN expected >= 0 AND expected <= 1 THEN 1 ELSE 0 END AS foretold,
          CASE WHEN chance < 2.220446049250313e-16 THEN 2.220446049250313e-16 WHEN chance > 1 THEN 1 ELSE chance END AS p
        FROM joined WHERE place = 1""",
}
"""Per task, over the joined rows: which rows count, and the terms that the sums below are made of. The numbers are LARGEST,
EPSILON and PRIOR_EPSILON of states/accuracy.py."""

_CELLS = {
    "regression": (
        f"CASE WHEN scored = 1 THEN CAST(FLOOR(LN(NULLIF(ABS(e), 0)) * {ERROR_BINS_PER_OCTAVE / math.log(2)!r}) AS BIGINT) END",
        "0",
    ),
    "binary": (
        f"CASE WHEN usable = 1 THEN CAST(FLOOR(CASE WHEN p > 0.9999546021312976 THEN 10 WHEN p < 0.00004539786870243 THEN -10"
        f" ELSE LN(p / (1 - p)) END * {LOGIT_BINS_PER_UNIT}) AS BIGINT) END",
        "CASE WHEN scored = 1 THEN CAST(actual AS BIGINT) END",
    ),
    "multiclass": (
        "CASE WHEN scored = 1 THEN actual END",
        "CASE WHEN usable = 1 THEN prediction END",
    ),
}

_TERMS = {
    "regression": {
        "error": "e",
        "abs_error": "ABS(e)",
        "squared_error": "e * e",
        "actual": "actual",
        "abs_actual": "ABS(actual)",
        "relative_error": f"CASE WHEN ABS(actual) > {_SMALLEST} THEN ABS(e / actual) ELSE 0 END",
        "relative_rows": f"CASE WHEN ABS(actual) > {_SMALLEST} THEN 1 ELSE 0 END",
        "naive_rows": "CASE WHEN baseline IS NULL THEN 0 ELSE 1 END",
        "naive_abs_error": "ABS(b)",
        "naive_squared_error": "b * b",
        "naive_error_covered": "CASE WHEN baseline IS NULL THEN 0 ELSE ABS(e) END",
        "naive_squared_covered": "CASE WHEN baseline IS NULL THEN 0 ELSE e * e END",
    },
    "binary": {
        "probability": "prediction",
        "positives": "actual",
        "true_positives": "CASE WHEN prediction >= 0.5 AND actual = 1 THEN 1 ELSE 0 END",
        "false_positives": "CASE WHEN prediction >= 0.5 AND actual = 0 THEN 1 ELSE 0 END",
        "log_loss": "-LN(CASE WHEN actual = 1 THEN p ELSE 1 - p END)",
        "squared_error": "(prediction - actual) * (prediction - actual)",
        "naive_rows": "CASE WHEN baseline IS NULL THEN 0 ELSE 1 END",
        "naive_log_loss": "-LN(CASE WHEN actual = 1 THEN q ELSE 1 - q END)",
        "naive_squared_error": "(baseline - actual) * (baseline - actual)",
        "naive_errors": "CASE WHEN (baseline >= 0.5 AND actual = 0) OR (baseline < 0.5 AND actual = 1) THEN 1 ELSE 0 END",
        "log_loss_covered": "CASE WHEN baseline IS NULL THEN 0 ELSE -LN(CASE WHEN actual = 1 THEN p ELSE 1 - p END) END",
        "squared_error_covered": "CASE WHEN baseline IS NULL THEN 0 ELSE (prediction - actual) * (prediction - actual) END",
        "errors_covered": "CASE WHEN baseline IS NULL THEN 0 WHEN prediction >= 0.5 AND actual = 0 THEN 1"
        " WHEN prediction < 0.5 AND actual = 1 THEN 1 ELSE 0 END",
    },
    "multiclass": {
        "errors": "CASE WHEN prediction <> actual THEN 1 ELSE 0 END",
        "naive_rows": "CASE WHEN baseline IS NULL THEN 0 ELSE 1 END",
        "naive_errors": "CASE WHEN baseline <> actual THEN 1 ELSE 0 END",
        "errors_covered": "CASE WHEN baseline IS NULL THEN 0 WHEN prediction <> actual THEN 1 ELSE 0 END",
        "log_loss": "-LN(p)",
        "log_loss_rows": "CASE WHEN p IS NULL THEN 0 ELSE 1 END",
    },
}

_FORETOLD = {
    "regression": {"expected_rows": "1", "expected_abs_error": "expected"},
    "binary": {
        "expected_rows": "1",
        "expected_positives": "expected",
        "expected_true_positives": "CASE WHEN prediction >= 0.5 THEN expected ELSE 0 END",
        "expected_false_positives": "CASE WHEN prediction >= 0.5 THEN 1 - expected ELSE 0 END",
        "expected_log_loss": "-(expected * LN(p) + (1 - expected) * LN(1 - p))",
        "expected_squared_error": "expected * (1 - prediction) * (1 - prediction)"
        " + (1 - expected) * prediction * prediction",
    },
    "multiclass": {"expected_rows": "1", "expected_hits": "expected"},
}
"""Sums over the predictions that carry an expected figure, labelled or not."""


_COUNTS = {
    "predictions": "COUNT(*)",
    "labelled": "SUM(scored)",
    "unusable": "SUM(1 - usable)",
    "unreadable": "SUM(CASE WHEN known = 1 AND readable = 0 AND usable = 1 THEN 1 ELSE 0 END)",
    "duplicates": "SUM(copies - 1)",
}


def measure_accuracy(engine: Engine, model: Model, window: Window, baselines: Mapping[str, Baseline]) -> ByVersion:
    """The accuracy of every model version that predicted in `window`, whole and by segment, as labels stand now.

    Args:
        baselines: version -> its naive prediction; a version that is missing gets no skill.

    Returns:
        version -> segment -> state; empty when nothing was predicted in the window.

    Raises:
        DataError: a column of the join is missing or of a type the task can't use.
        WarehouseError: a table is missing or the warehouse refused.
    """
    return measure_accuracy_windows(engine, model, [window], baselines).get(window, {})


def measure_accuracy_windows(
    engine: Engine,
    model: Model,
    windows: Sequence[Window],
    baselines: Mapping[str, Baseline],
    *,
    segments: bool = True,
) -> dict[Window, ByVersion]:
    """`measure_accuracy` of many windows in one query; windows without predictions are left out, segments when asked."""
    if not windows:
        return {}
    query = accuracy_query(engine, model, windows, baselines, segments=segments)
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for row in engine.run(query).to_pylist():
        segment = f"{row['segment_field']}={row['segment']}" if row["segment_field"] else ""
        groups.setdefault((int(row["n"]), row["version"], segment), []).append(row)
    found: dict[Window, ByVersion] = {}
    for (n, version, segment), rows in sorted(groups.items()):
        found.setdefault(windows[n], {}).setdefault(version, {})[segment] = _state(model, rows)
    return found


def _state(model: Model, rows: Sequence[Mapping[str, Any]]) -> AccuracyState:
    """The state of one version, segment and window from its result rows, one a cell."""
    ordered = sorted(rows, key=lambda r: (str(r["cell_a"]), str(r["cell_b"])))
    labelled: list[int] = [int(row["labelled"] or 0) for row in ordered]
    known = sum(labelled, 0)
    sums = {
        name: math.fsum(float(row[f"s_{name}"] or 0.0) for row in ordered)
        for name in SUMS[model.task]
        if name != "actual_m2"
    }
    if model.task == "regression" and known:
        sums["actual_m2"] = _sum_of_squares(ordered, labelled, sums["actual"] / known)
    cells = {
        _cell(model, row): (count, float(row["s_probability"] or 0.0) if model.task == "binary" else 0.0)
        for row, count in zip(ordered, labelled, strict=True)
        if count
    }
    return AccuracyState(
        model.task,
        predictions=sum(int(row["predictions"]) for row in ordered),
        unusable=sum(int(row["unusable"] or 0) for row in ordered),
        unreadable=sum(int(row["unreadable"] or 0) for row in ordered),
        duplicates=sum(int(row["duplicates"] or 0) for row in ordered),
        labelled=known,
        sums=sums,
        cells=cells,
        expected=_expected(model.task, ordered),
    )


def _expected(task: Task, rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, float]]:
    """What was foretold by bin of log-odds, or by predicted class."""
    if task == "regression":
        return {}
    place, figure = ("cell_a", "s_expected_positives") if task == "binary" else ("cell_b", "s_expected_hits")
    found: dict[str, tuple[int, float]] = {}
    for row in rows:
        if row["s_expected_rows"]:
            count, total = found.get(str(row[place]), (0, 0.0))
            found[str(row[place])] = (count + int(row["s_expected_rows"]), total + float(row[figure]))
    return dict(sorted(found.items()))


def _sum_of_squares(rows: Sequence[Mapping[str, Any]], labelled: Sequence[int], mean: float) -> float:
    """Sum of squares of the actuals about their common mean, from each cell's variance and mean."""
    total = 0.0
    for row, count in zip(rows, labelled, strict=True):
        if count:
            total += count * (float(row["actual_variance"] or 0.0) + (float(row["s_actual"]) / count - mean) ** 2)
    return total


def _cell(model: Model, row: Mapping[str, Any]) -> tuple[str, str]:
    if model.task == "regression":
        return ("zero" if row["cell_a"] is None else str(row["cell_a"]), "")
    return str(row["cell_a"]), str(row["cell_b"])


def accuracy_query(
    engine: Engine,
    model: Model,
    windows: Sequence[Window],
    baselines: Mapping[str, Baseline],
    *,
    segments: bool = True,
) -> exp.Query:
    """The query that `measure_accuracy_windows` runs, as a sqlglot tree.

    Labels are joined by key. Of several labels of one key (corrected or delivered twice) the newest known one, by the
    actuals' time column, counts; of several predictions of one key and version the newest. The rest are counted as
    duplicates.
    """
    columns = _Columns(engine, model, tuple(model.features.segments) if segments else ())
    joined = _joined(model, columns, windows, baselines)
    query = _summary(model.task, columns.segments).copy()
    query.args["with_"].expressions[0].set("this", joined)
    return query


@lru_cache(maxsize=64)
def _summary(task: Task, segments: tuple[str, ...]) -> exp.Query:
    """The query over a CTE `joined`, which is put in by the caller; parsing and copying trees is most of its cost."""
    groups: list[tuple[str, exp.Expr]] = [("", exp.Literal.string(""))]
    groups += [(name, exp.column(f"segment_{i}")) for i, name in enumerate(segments)]
    query: exp.Query = _grouped(task, *groups[0])
    for name, value in groups[1:]:
        query = exp.union(query, _grouped(task, name, value), distinct=False, copy=False)
    first, second = (_parsed(text) for text in _CELLS[task])
    celled = exp.select("*", exp.alias_(first, "cell_a"), exp.alias_(second, "cell_b")).from_("scored")
    query = query.with_("joined", as_=exp.select("*"), copy=False)
    return query.with_("scored", as_=_parsed(_SCORED[task]), copy=False).with_("celled", as_=celled, copy=False)


def _parsed(text: str) -> Any:
    return sqlglot.parse_one(text, dialect="duckdb")


def _grouped(task: Task, segment_field: str, segment: exp.Expr) -> exp.Select:
    groups: list[exp.Expr] = [exp.column(name) for name in ("n", "version", "cell_a", "cell_b")]
    if segment_field:
        groups.append(segment.copy())
    sums = {name: f"SUM(CASE WHEN scored = 1 THEN CAST({text} AS DOUBLE) END)" for name, text in _TERMS[task].items()}
    sums |= {
        name: f"SUM(CASE WHEN foretold = 1 THEN CAST({text} AS DOUBLE) END)" for name, text in _FORETOLD[task].items()
    }
    counts = _COUNTS | (
        {"actual_variance": "VAR_POP(CASE WHEN scored = 1 THEN actual END)"} if task == "regression" else {}
    )
    chosen: list[exp.Expr] = [
        exp.column("n"),
        exp.column("version"),
        exp.alias_(exp.Literal.string(segment_field), "segment_field"),
        exp.alias_(segment.copy(), "segment"),
        exp.column("cell_a"),
        exp.column("cell_b"),
        *(exp.alias_(_parsed(text), name) for name, text in counts.items()),
        *(exp.alias_(_parsed(text), f"s_{name}") for name, text in sums.items()),
    ]
    return exp.select(*chosen, copy=False).from_("celled", copy=False).group_by(*groups, copy=False)


class _Columns:
    """What the three tables hold, checked against the declaration before anything runs."""

    def __init__(self, engine: Engine, model: Model, segments: tuple[str, ...]) -> None:
        from mlobs.engines import Source
        from mlobs.engines.column_types import kind_of

        self.forms: Forms = engine.forms
        self.types: dict[str, dict[str, str]] = {}
        self.kinds: dict[str, dict[str, Any]] = {}
        roles = ["predictions", "actuals"] + (["features"] if segments else [])
        for role in roles:
            self.types[role] = engine.columns(Source.table(model.tables[role].path))
            self.kinds[role] = {name: kind_of(text, engine.dialect) for name, text in self.types[role].items()}
        self.versioned = model.version in self.types["predictions"]
        self.segments = segments
        self._need(model, "predictions", (*model.predictions.keys, model.predictions.time, model.prediction))
        self._need(model, "actuals", (*model.actuals.keys, model.actuals.time, model.actual))
        if self.segments:
            self._need(model, "features", (*model.features.keys, *self.segments))
        guesses = {"regression": ("numeric",), "binary": ("numeric",)}
        need_type(engine, model, "predictions", model.prediction, self.types["predictions"], guesses)
        need_type(engine, model, "actuals", model.actual, self.types["actuals"], LABELS)

    def _need(self, model: Model, role: str, names: Sequence[str]) -> None:
        for name in names:
            if name not in self.types[role]:
                raise DataError(
                    f"model {model.name!r}: {role} table {model.tables[role].id!r} has no column {name!r}"
                    f" that accuracy is measured from; {nearest(name, self.types[role])}"
                )

    def moment(self, role: str, table: Table, value: datetime) -> exp.Expr:
        """A timestamp literal that compares with the table's time column, whether it carries a zone or not."""
        return self.forms.moment(value, self.types[role][table.time])


LABELS = {"regression": ("numeric",), "binary": ("numeric", "boolean")}
"""Kinds of column that labels of a task may lie in; any for `multiclass`."""


def need_type(
    engine: Engine, model: Model, role: str, name: str, types: Mapping[str, str], allowed: Mapping[str, tuple[str, ...]]
) -> None:
    """See that a column is of a kind that the model's task allows.

    Args:
        types: the columns of the model's table in that role, with their types in the engine's words.

    Raises:
        DataError: it isn't.
    """
    from mlobs.engines.column_types import kind_of

    if model.task in allowed and kind_of(types[name], engine.dialect) not in allowed[model.task]:
        raise DataError(
            f"model {model.name!r}: column {name!r} of {role} table {model.tables[role].id!r} is {types[name]}, and a"
            f" {model.task} model needs {' or '.join(allowed[model.task])} values there: correct the delivery or cast the"
            " column"
        )


def column(name: str, table: str) -> exp.Column:
    """A quoted column of a table alias."""
    return exp.column(exp.to_identifier(name, quoted=True), table=table)


def table_as(table: Table, alias: str) -> exp.Expr:
    """A declared table under an alias, for a query that joins."""
    from mlobs.engines import Source

    return Source.table(table.path).aliased(alias)


def joined_on_keys(model: Model, left: str, right: str) -> exp.Expr:
    """The condition that joins two of the model's tables on its key."""
    keys = model.features.keys
    return exp.and_(*(column(k, left).eq(column(k, right)) for k in keys))


def _value(model: Model, columns: _Columns, role: str, name: str, alias: str) -> exp.Expr:
    """A prediction or label as DOUBLE (text for multiclass); a boolean label as 1 and 0."""
    value = column(name, alias)
    kind = columns.kinds[role].get(name)
    if model.task == "multiclass":
        both = {columns.kinds["predictions"].get(model.prediction), columns.kinds["actuals"].get(model.actual)}
        return exp.cast(exp.cast(value, _DOUBLE) if both == {"numeric"} else value, _TEXT)
    if kind == "boolean":
        zero, one = exp.Literal.number(0), exp.Literal.number(1)
        return exp.case().when(value, one).when(exp.not_(value.copy()), zero)
    return exp.cast(value, _DOUBLE)


def _baseline(model: Model, baselines: Mapping[str, Baseline]) -> exp.Expr:
    kind = _TEXT if model.task == "multiclass" else _DOUBLE
    branches = exp.case(exp.column("version", table="paired"))
    empty = True
    for version, value in sorted(baselines.items()):
        if model.task == "multiclass":
            literal: exp.Expr = exp.Literal.string(str(value))
        elif math.isfinite(float(value)):
            literal = exp.Literal.number(repr(float(value)))
        else:
            continue
        branches, empty = branches.when(exp.Literal.string(version), literal), False
    return exp.cast(exp.null() if empty else branches, kind)


def _joined(
    model: Model, columns: _Columns, windows: Sequence[Window], baselines: Mapping[str, Baseline]
) -> exp.Select:
    """Predictions of the windows with their newest known label: n, version, prediction, actual, known, baseline, segments."""
    time = column(model.predictions.time, "p")
    number = exp.case()
    for n, window in enumerate(windows):
        start, end = (columns.moment("predictions", model.predictions, m) for m in (window.start, window.end))
        inside = exp.and_(exp.GTE(this=time.copy(), expression=start), exp.LT(this=time.copy(), expression=end))
        number = number.when(inside, exp.Literal.number(n))
    hull_start = columns.moment("predictions", model.predictions, min(w.start for w in windows))
    hull_end = columns.moment("predictions", model.predictions, max(w.end for w in windows))
    version: exp.Expr = exp.Literal.string("")
    if columns.versioned:
        version = exp.func("COALESCE", exp.cast(column(model.version, "p"), _TEXT), exp.Literal.string(""))
    actual = _value(model, columns, "actuals", model.actual, "a")
    known = exp.case().when(_known(model, columns, actual), exp.Literal.number(1)).else_(exp.Literal.number(0))
    keys = [column(k, "p") for k in model.predictions.keys]
    segments = [exp.cast(column(name, "f"), _TEXT) for name in columns.segments]
    paired = (
        exp.select(
            exp.alias_(number, "n"),
            exp.alias_(version, "version"),
            exp.alias_(_value(model, columns, "predictions", model.prediction, "p"), "prediction"),
            exp.alias_(_foretold(model, columns), "expected"),
            *([exp.alias_(_chance(model, columns, actual), "chance")] if model.task == "multiclass" else []),
            exp.alias_(actual.copy(), "actual"),
            exp.alias_(known, "known"),
            exp.alias_(time.copy(), "predicted_at"),
            exp.alias_(column(model.actuals.time, "a"), "labelled_at"),
            *(exp.alias_(key, f"key_{i}") for i, key in enumerate(keys)),
            *(exp.alias_(segment, f"segment_{i}") for i, segment in enumerate(segments)),
        )
        .from_(table_as(model.predictions, "p"))
        .join(table_as(model.actuals, "a"), on=joined_on_keys(model, "p", "a"), join_type="left")
        .where(exp.GTE(this=time.copy(), expression=hull_start), exp.LT(this=time.copy(), expression=hull_end))
    )
    if segments:
        paired = paired.join(table_as(model.features, "f"), on=joined_on_keys(model, "p", "f"), join_type="left")
    group = [exp.column(name, table="paired") for name in ("n", "version", *(f"key_{i}" for i in range(len(keys))))]
    newest = [
        exp.Ordered(this=exp.column("predicted_at", table="paired"), desc=True),
        exp.Ordered(this=exp.column("known", table="paired"), desc=True),
        exp.Ordered(this=exp.column("labelled_at", table="paired"), desc=True),
        exp.Ordered(this=exp.column("actual", table="paired"), desc=True),
    ]
    number_rows = exp.Window(
        this=exp.RowNumber(), partition_by=[g.copy() for g in group], order=exp.Order(expressions=newest)
    )
    count_rows = exp.Window(this=exp.Count(this=exp.Star()), partition_by=[g.copy() for g in group])
    return (
        exp.select(
            exp.column(exp.Star(), table="paired"),
            exp.alias_(_baseline(model, baselines), "baseline"),
            exp.alias_(number_rows, "place"),
            exp.alias_(count_rows, "copies"),
        )
        .from_(paired.subquery("paired"))
        .where(exp.column("n", table="paired").is_(exp.null()).not_())
    )


def _foretold(model: Model, columns: _Columns) -> exp.Expr:
    """The figure that was foretold of a prediction, NULL where the table has none."""
    if model.expected and columns.kinds["predictions"].get(model.expected) == "numeric":
        return exp.cast(column(model.expected, "p"), _DOUBLE)
    return exp.cast(exp.null(), _DOUBLE)


def _chance(model: Model, columns: _Columns, actual: exp.Expr) -> exp.Expr:
    """The probability that was given to the class that came true, NULL where none is stored."""
    chance, empty = exp.case(actual.copy()), True
    for name, stored in model.probabilities:
        if columns.kinds["predictions"].get(stored) == "numeric":
            literal: exp.Expr = exp.Literal.string(name)
            if actual.find(exp.Cast, bfs=False) and isinstance(actual.this, exp.Cast):  # numbers, written as text
                literal = exp.cast(exp.cast(literal, _DOUBLE), _TEXT)
            chance = chance.when(literal, exp.cast(column(stored, "p"), _DOUBLE))
            empty = False
    return exp.cast(exp.null() if empty else chance, _DOUBLE)


def _known(model: Model, columns: _Columns, actual: exp.Expr) -> exp.Expr:
    """Whether a label is there: not null, and for a number not NaN (the test holds for engines that order NaN last)."""
    if model.task == "multiclass" or columns.kinds["actuals"].get(model.actual) == "boolean":
        return exp.Is(this=actual.copy(), expression=exp.null()).not_()
    largest = exp.Literal.number(repr(LARGEST))
    return exp.LTE(this=exp.func("ABS", actual.copy()), expression=largest)
