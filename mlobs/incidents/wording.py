"""What fails, in plain words, for the titles of incidents: "missing values in wind". Pure functions of a failure's key.

Names stand as they are declared; whoever shows them escapes them.
"""

from __future__ import annotations

from mlobs.detectors.accuracy import ESTIMATED
from mlobs.detectors.wording import PLAIN
from mlobs.incidents.grouping import Key

FAULTS = {
    "null_rate": "missing values",
    "null_alone_rate": "missing values",
    "nan_rate": "NaN values",
    "inf_rate": "infinite values",
    "zero_rate": "zeros",
    "negative_rate": "negative values",
    "empty_rate": "empty texts",
    "blank_rate": "blank texts",
    "null_keyword_rate": 'words for "missing"',
    "number_like_rate": "numbers as text",
    "uuid_like_rate": "identifiers as text",
    "email_like_rate": "mail addresses",
    "timestamp_like_rate": "times as text",
    "unseen_rate": "new categories",
    "new_shape_rate": "texts of a new shape",
    "misspelt_rate": "misspelt values",
    "garbled_rate": "garbled texts",
    "true_rate": "unusual share of true",
    "future_rate": "times in the future",
    "past_rate": "times in the far past",
    "unix_zero_rate": "times of 1970-01-01",
    "finer_rate": "another rounding",
    "coarser_rate": "another rounding",
}
"""Metrics of a field that count rows: what these rows hold."""

OF_THE_TABLE = {
    "rows": "unusual number of rows",
    "duplicate_rate": "duplicate keys",
    "repeat_rate": "repeated rows",
    "overlap_rate": "rows that were delivered before",
    "hours_since_arrival": "late data",
    "hours_since_event": "old data",
    "hours_between_arrivals": "another rhythm of deliveries",
}
"""Metrics of the table itself, or of one segment of it."""

OF_A_COLUMN = {
    "column_added": "column {} is new",
    "column_removed": "column {} is gone",
    "column_retyped": "column {} has another type",
}


def failure_in_words(key: Key) -> str:
    """What fails, with the field and segment it fails in.

    >>> failure_in_words(Key("weather", "field_health", "wind", "negative_rate", ""))
    'negative values in wind'
    >>> failure_in_words(Key("weather", "field_health", "temp", "residual_mean", "given=dewp"))
    'temp no longer fits dewp'
    >>> failure_in_words(Key("delay.performance", "accuracy", "", "mae", "origin=JFK"))
    'accuracy where origin=JFK'
    """
    metric, field = key.metric.removesuffix("_trend"), key.field
    if key.detector == "accuracy":
        return _where("estimated accuracy" if metric.startswith(ESTIMATED) else "accuracy", key.segment)
    if metric in OF_A_COLUMN:
        return OF_A_COLUMN[metric].format(field)
    if metric in OF_THE_TABLE:
        return _where(OF_THE_TABLE[metric], key.segment)
    relation, _, other = key.segment.partition("=")
    if metric.startswith("residual_") and relation == "given":
        return f"{field} no longer fits {other}"
    if metric == "null_alone_rate" and relation == "twin":
        return f"missing values in {field} where {other} is known"
    if metric == "share":
        return f"unusual share of {key.segment}"
    if key.detector == "drift":
        return f"shifted distribution of {field}"
    if key.metric.endswith("_trend"):
        return _where(f"slow drift of {field}", key.segment)
    if metric in FAULTS:
        return _where(f"{FAULTS[metric]} in {field}", key.segment)
    return _where(f"unusual {PLAIN.get(metric, _plain(metric))} of {field or key.table}", key.segment)


def _plain(metric: str) -> str:
    """A metric of lengths or quantiles, or one that this page doesn't know.

    >>> _plain("length_max"), _plain("p60"), _plain("some_metric")
    ('maximum length', '60th percentile', 'some metric')
    """
    kind, _, statistic = metric.partition("length_")
    if statistic and not kind:
        return f"{PLAIN.get(statistic, statistic)} length"
    if metric[:1] == "p" and metric[1:].isdigit():
        return f"{int(metric[1:])}th percentile"
    return metric.replace("_", " ")


def _where(what: str, segment: str) -> str:
    return f"{what} where {segment}" if segment else what
