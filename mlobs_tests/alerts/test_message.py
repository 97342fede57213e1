"""What an alert says, and that nothing in it is taken for markup."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlobs.alerts import Context, Link, Note, body, subject
from mlobs.alerts.message import escape_html, escape_markdown, escape_text
from mlobs.incidents import Incident, Touched
from mlobs.windows import Window

DAY = Window.day("2013-04-12")
AT = DAY.end
HELD = (
    "prediction of arrival_delay on the windows with broken data",
    "retraining of arrival_delay: the data is broken",
)
LINKS = (Link("Checks of flight_features", "https://dagster.example/assets/flight_features?view=checks&x=1"),)


def incident(**more) -> Incident:
    facts = {
        "id": 7,
        "state": "open",
        "severity": "error",
        "table": "flight_features",
        "title": "flight_features: negative rate of minutes_since_weather_observation",
        "reason": "negative rate is 0.6% (3 of 512 rows); in 41 windows and 18,204 rows it was never negative",
        "window": DAY,
        "opened_at": AT,
        "changed_at": AT,
        "touched": Touched(
            ("flight_features", "predictions"),
            ("flight_features.minutes_since_weather_observation",),
            ("field_health",),
            ("arrival_delay",),
        ),
    }
    return Incident(**(facts | more))


def test_what_broke_since_when_what_it_touches_what_is_held_and_where_to_look():
    note = Note(incident(), "opened", AT, "", Context(LINKS, HELD))
    assert subject([note]) == "[mlobs] error: flight_features: negative rate of minutes_since_weather_observation"
    assert body([note], "text").splitlines() == [
        "negative rate is 0.6% (3 of 512 rows); in 41 windows and 18,204 rows it was never negative",
        "Since: 2013-04-12 00:00 UTC",
        "Spread: flight_features → predictions",
        "Fields: flight_features.minutes_since_weather_observation",
        "Checks: field_health",
        "Models: arrival_delay",
        "Held: prediction of arrival_delay on the windows with broken data",
        "Held: retraining of arrival_delay: the data is broken",
        "Incident: 7",
        "Checks of flight_features: https://dagster.example/assets/flight_features?view=checks&x=1",
    ]


def test_resolved_says_how_long_it_was_and_holds_nothing():
    note = Note(incident(touched=Touched(("t",))), "resolved", AT, "its checks passed again", Context(LINKS, HELD))
    assert subject([note]).startswith("[mlobs] resolved: flight_features")
    assert body([note], "text").splitlines()[:3] == [
        "Was: 2013-04-12 00:00 UTC to 2013-04-13 00:00 UTC",
        "Now: its checks passed again",
        "Incident: 7",
    ]


def test_worse_says_why():
    note = Note(incident(), "worse", AT, "it has reached the accuracy of arrival_delay")
    assert subject([note]).startswith("[mlobs] worse, error: flight_features")
    assert "Now: it has reached the accuracy of arrival_delay" in body([note], "text")


def test_a_digest_lists_each_change():
    notes = [
        Note(incident(), "opened", AT),
        Note(incident(), "resolved", AT + timedelta(1)),
        Note(incident(id=8), "opened", AT),
    ]
    assert subject(notes) == "[mlobs] 3 changes in 2 incidents"
    assert subject(notes[1:]) == "[mlobs] changes in 2 incidents"
    assert body(notes, "text").count("flight_features: negative rate") == 3


def test_long_lists_are_cut():
    many = Touched(("t",), tuple(f"t.f{i}" for i in range(20)))
    assert "Fields: t.f0, t.f1, t.f2, t.f3, t.f4, t.f5, t.f6, t.f7 and 12 more" in body(
        [Note(incident(touched=many), "opened", AT)], "text"
    )


def test_markdown_and_html():
    note = Note(incident(reason="mean of a_b is <high> & *odd*"), "opened", AT, "", Context(LINKS))
    assert body([note], "markdown").splitlines()[0] == r"mean of a\_b is \<high\> & \*odd\*"
    assert body([note], "markdown").splitlines()[-1] == (
        r"- [Checks of flight\_features](<https://dagster.example/assets/flight_features?view=checks&x=1>)"
    )
    assert body([note], "html").startswith("<p>mean of a_b is &lt;high&gt; &amp; *odd*</p><ul>")
    assert 'href="https://dagster.example/assets/flight_features?view=checks&amp;x=1"' in body([note], "html")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs


HOSTILE = [
    "<script>alert(1)</script>",
    "<!channel> <!here|x> @everyone",
    "[click](https://evil.example)",
    "a\n# heading\n- item",
    "`code` **bold** _it_ ~no~ | x",
    '" onmouseover="x',
    "\x00\x1b[31m\u202egnp",
    "x" * 5000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text_in_every_format(name):
    touched = Touched((name, "t"), (name,), (name,), (name,), (name,))
    note = Note(
        incident(title=f"{name}: x", reason=name, table=name, touched=touched),
        "opened",
        AT,
        name,
        Context((Link(name, f"https://x.example/{name}"), Link("bad", f"javascript:{name}")), (name,)),
    )
    plain = body([note], "html")
    tags = Tags()
    tags.feed(plain)
    assert set(tags.seen) <= {"p", "ul", "li", "b", "a"}
    assert {key for key, _ in tags.attributes} == {"href"}
    assert all(value == "" or value.startswith("https://x.example/") for _, value in tags.attributes)
    lines = body([note], "markdown").splitlines()
    assert len(lines) == len(body([note], "text").splitlines()) == len(note.facts) + 3
    assert not any(line.startswith("#") for line in lines)
    for written in (body([note], "markdown"), body([note], "text"), subject([note])):
        assert "@everyone" not in written
        assert "\x1b" not in written
    assert not set(subject([note]).removeprefix("[mlobs] ")) & set("<>&`[]")


@given(st.text(max_size=200))
def test_escaping_never_lets_markup_through(said):
    assert "<" not in escape_html(said)
    assert "\n" not in escape_text(said)
    import re

    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`<>\[\]]", escape_markdown(said))


def test_why_accuracy_fell_is_said_with_what_else_it_may_be():
    causes = {"delay": ("mae rose from 20 to 30", "rain has moved", "it is harder")}
    note = Note(incident(), "opened", AT, "", Context(causes=causes))
    assert body([note], "text").splitlines()[-4:] == [
        "Why delay got worse: mae rose from 20 to 30",
        "Or: rain has moved",
        "Or: it is harder",
        "Incident: 7",
    ]
    assert "Why" not in body([replace(note, change="resolved")], "text")


def test_a_report_on_this_machine_is_named_and_a_hostile_address_is_no_link():
    places = (Link("Report", "/srv/report/delay.html"), Link("Check", "javascript:alert(1)"))
    note = Note(incident(), "opened", AT, "", Context(places))
    assert "Report: /srv/report/delay.html" in body([note], "text")
    assert "<a" not in body([note], "html")
    assert "](" not in body([note], "markdown")
