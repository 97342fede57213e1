"""The page's HTML: complete, accessible, escaped, small, and with nothing to fetch."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from mlobs.report import content
from mlobs.report.page import index_html, model_html
from mlobs_tests.report import pages


class Outline(HTMLParser):
    """Tags with their attributes, and the text of each element that a test looks at."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.text.setdefault(tag, []).append("")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            continue

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.text[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def html() -> str:
    return model_html(pages.page(270, 5))


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    return Outline(html)


def test_a_year_of_a_hundred_failed_fields_stays_under_three_megabytes():
    size = len(model_html(pages.page(365, 100)).encode())
    assert size < 3_000_000, f"{size:,} bytes"


def test_it_has_the_landmarks_and_one_main_heading(outline):
    tags = [tag for tag, _ in outline.tags]
    assert [tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert outline.all("html") == [{"lang": "en"}]
    assert outline.text["title"] == ["arrival_delay · mlobs"]


def test_every_section_is_named_by_its_heading_and_linked_from_the_navigation(outline):
    sections = [attributes["id"] for attributes in outline.all("section")]
    assert sections == ["accuracy", "incidents", "checks", "fields", "tables", "versions", "decisions"]
    headings = {attributes.get("id") for attributes in outline.all("h2")}
    assert {f"{name}-h" for name in sections} <= headings
    links = {attributes["href"] for attributes in outline.all("a")}
    assert {f"#{name}" for name in sections} <= links


def words(text: str) -> str:
    return " ".join(text.split())


def test_why_accuracy_fell_is_told_with_ranked_causes_and_the_excess_by_segment(outline):
    captions = [words(text) for text in outline.text["caption"]]
    assert "Likely causes, the likeliest first" in captions
    assert any(text.startswith("Where the excess error comes from") for text in captions)
    rows = [words(text) for text in outline.text["tr"]]
    assert any(row.startswith("1. segmenterror rose from 19 to 41") and row.endswith("90%0.81") for row in rows)
    assert any(row.startswith("origin=JFK2222.589%88%") and row.endswith("9%") for row in rows)
    assert any("Why: mae rose from 21.6 to 24.7" in row and "ann has it" in row for row in rows)


def test_what_was_foretold_what_people_said_and_what_changed_are_shown(html, outline):
    assert "Foretold" in [words(text) for text in outline.text["th"]]
    legend = [words(text) for text in outline.text["li"]]
    assert {"foretold before labels", "calendar: judged with leave", "muted"} <= set(legend)
    rows = [words(text) for text in outline.text["tr"]]
    assert any("calendar flights.featuresannLabour Day" in row for row in rows)
    assert any(row.startswith("Changed since the version beforerows 12,871 → 25,113 (+95%)") for row in rows)
    assert '<tr id="incident-3">' in html


def test_headings_go_down_one_step_at_a_time(outline):
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_table_has_a_caption_and_scoped_headers(outline):
    assert len(outline.all("table")) == len(outline.text["caption"]) > 5
    assert all(text.strip() for text in outline.text["caption"])
    assert all(attributes.get("scope") in ("col", "row") for attributes in outline.all("th"))


def test_every_plot_has_a_text_alternative_with_figures(outline):
    plots = [attributes for attributes in outline.all("div") if "data-plot" in attributes]
    assert len(plots) == 18
    assert all(plot["role"] == "img" for plot in plots)
    said = {plot["data-plot"]: plot["aria-label"] for plot in plots}
    assert said["accuracy"] == (
        "Mean absolute error over 180 windows of predictions. In the 14 windows to 2013-09-25 it is 30.83 min, the naive"
        " baseline's 33.28 min, the limit 29.5 min. Foretold before labels came, to 2013-09-27: 29.74 min. The check failed in"
        " 50 windows; 2 windows without enough labels yet."
    )
    assert said["field-0-d"].endswith(
        "The largest difference is at 5 to 10: 20% of the rows in the reference, 16% in 7 windows to 2013-09-27."
    )
    assert all(re.search(r"\d", text) for text in said.values())


def test_what_scrolls_can_be_reached_by_keyboard_and_is_named(outline):
    scrolling = [a for a in outline.all("div") if "scroll" in a.get("class", "").split()]
    assert scrolling
    assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in scrolling)


def test_hostile_names_and_reasons_are_escaped_everywhere(html, outline):
    assert "<script>alert" not in html
    assert "<img" not in html
    assert len(outline.all("script")) == 3
    assert outline.all("img") == []
    assert sum(pages.HOSTILE in text for text in outline.text["th"]) >= 2


def test_only_its_own_scripts_may_run_and_nothing_may_be_fetched(html, outline):
    policy = next(a["content"] for a in outline.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert re.findall("'sha256-(.*?)'", policy) == digests
    addresses = [a[name] for _, a in outline.tags for name in ("src", "href") if name in a]
    assert all(address.startswith("#") or address == "index.html" for address in addresses)


def test_a_model_that_nothing_is_known_of_gets_a_page_that_says_so():
    page = content.ModelPage(
        name="new_model",
        task="binary",
        description="",
        owners=(),
        now=datetime(2024, 1, 1, tzinfo=UTC),
        champion="",
        glances=(),
        accuracy=content.AccuracyStory(),
        heat_maps=(),
        fields=(),
        tables=(content.TableStory("features", "features", content.Series(), (), ()),),
        incidents=(),
        versions=(),
        promotions=(),
        decisions=(),
    )
    words = " ".join(Outline(model_html(page)).text["main"][0].split())
    for sentence in (
        "No window has been scored yet",
        "No window has been checked yet",
        "No field has failed.",
        "Nothing has arrived yet.",
        "No incident so far.",
        "No version has been registered yet.",
        "Nothing has been decided yet.",
    ):
        assert sentence in words


def test_the_index_lists_models_with_their_state_and_runs_no_script():
    page = pages.page(200, 1)
    outline = Outline(index_html([page, replace(page, name="other")], page.now))
    assert [a["href"] for a in outline.all("a")] == ["#main", "arrival_delay.html", "other.html"]
    assert outline.all("script") == []
    assert outline.text["p"][0].startswith("2 models under observation · as of 2013-09-28 06:00 UTC")
