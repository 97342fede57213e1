"""New values that are known ones spelt wrongly, and texts read in another character set."""

from __future__ import annotations

import pandas as pd
import pytest

from mlobs import Field, Reference, profile
from mlobs.metrics.spelling import garbled, spelling_of

CITIES = ("San Diego", "Chicago", "Auckland", "Beijing", "Mumbai")
AIRPORTS = ("JFK", "EWR", "LGA", "ATL", "ORD", "LAX")


@pytest.mark.parametrize(
    ("known", "value", "meant"),
    [
        (CITIES, "Sna Diego", "San Diego"),  # swapped
        (CITIES, "Chicag", "Chicago"),  # missing
        (CITIES, "Chicaago", "Chicago"),  # too many
        (CITIES, "Chikago", "Chicago"),  # wrong
        (CITIES, "MUMBAI", "Mumbai"),
        (CITIES, " Beijing", "Beijing"),
        (CITIES, "Boston", None),
        (CITIES, "", None),
        (CITIES, "Chkago", None),  # two edits
        (AIRPORTS, "JKF", "JFK"),
        (AIRPORTS, "JFX", None),  # codes are near each other: one letter says nothing
        (AIRPORTS, "lga", "LGA"),
        (("Straße", "Allee"), "STRASSE", "Straße"),
    ],
)
def test_what_a_value_was_meant_for(known: tuple[str, ...], value: str, meant: str | None) -> None:
    spelling = spelling_of(known)
    assert spelling is not None
    assert spelling.meant([value]) == [meant]


@pytest.mark.parametrize(
    ("known", "words", "codes"),
    [
        (CITIES, True, True),
        (AIRPORTS, False, True),
        (tuple(f"N{n}AA" for n in range(100, 400, 3)), False, False),  # tail numbers: another one is one edit away
        (tuple(f"item-{n:03}" for n in range(50)), False, False),
        (("A", "B", "C"), False, False),
        (("", " "), False, False),
    ],
)
def test_where_known_values_are_close_nearness_says_nothing(known: tuple[str, ...], words: bool, codes: bool) -> None:
    spelling = spelling_of(known)
    assert (spelling is not None and spelling.words, spelling is not None and spelling.codes) == (words, codes)


def test_a_field_that_holds_both_cases_has_no_variants() -> None:
    spelling = spelling_of((*CITIES, "CHICAGO", "beijing"))
    assert spelling is not None
    assert spelling.meant(["MUMBAI", "Mumbay"]) == [None, "Mumbai"]


@pytest.mark.parametrize(
    ("text", "is_garbled"),
    [
        ("Zürich", False), ("ZÃ¼rich", True), ("S\ufffdo Paulo", True), ("São Paulo", False), ("SÃO PAULO", False),
        ("東京", False), ("Москва", False), ("â€œquoted", True), ("plain", False), ("5 Â°C", True),
    ],
)  # fmt: skip
def test_texts_read_in_another_character_set(text: str, is_garbled: bool) -> None:
    assert garbled(text) is is_garbled


def rates(learned: list[str], values: list[str | None], **more: object) -> dict[str, tuple[float, int]]:
    reference = Reference.learn(pd.DataFrame({"city": learned}), **more)
    made = profile(pd.DataFrame({"city": values}), reference=reference)
    return {m.metric: (m.value, m.rows) for m in made.measurements() if m.metric in ("misspelt_rate", "garbled_rate")}


def test_shares_are_of_the_rows_that_have_a_value() -> None:
    found = rates(list(CITIES) * 4, ["Chicago", "Chicgao", "Chicgao", "ZÃ¼rich", "Oslo", None])
    assert found == {"misspelt_rate": (0.4, 5), "garbled_rate": (0.2, 5)}


def test_what_is_sensitive_is_not_read() -> None:
    assert rates(list(CITIES) * 4, ["Chicgao"], fields=[Field("city", sensitive=True)]) == {}


def test_of_more_new_values_than_are_kept_a_sample_is_read() -> None:
    new = [f"brand new {n} \u00c3\u00a9" for n in range(400)] + [f"brand new {n}" for n in range(400, 800)]
    value, rows = rates(list(CITIES) * 4, new)["garbled_rate"]
    assert rows == 800
    assert value == pytest.approx(0.5, abs=0.1)
