"""What an alert says, and how it is written for a channel: plain text, Markdown or HTML. Pure functions.

Names and sentences come from data (a category may be called `<script>`), so that everything is escaped for the format
it is written in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from mlobs.incidents import Incident

Format = Literal["text", "markdown", "slack", "html"]
"""`slack` is Markdown whose text has no way to be escaped: what would mean something is replaced by what looks like it."""

LISTED = 8
"""Names listed before "and N more"."""

LONGEST = 500
"""Characters of one line of a message."""


@dataclass(frozen=True)
class Link:
    """A place to look: a check's page, a run, the report. One that is no web address is shown as text."""

    label: str
    url: str


@dataclass(frozen=True)
class Context:
    """What is known around an incident when a message about it is sent.

    Attributes:
        links: where to look.
        held: sentences on predictions and trainings that wait because of it.
        owners: of what it touches.
        tags: of what it touches, as "key" or "key=value".
        causes: model -> why its accuracy fell: what happened and the likeliest cause, then the next likeliest ones.
    """

    links: tuple[Link, ...] = ()
    held: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    causes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """One change of one incident, as it is told.

    Attributes:
        change: `opened`, `worse`, `reopened` or `resolved`.
        note: why, "" if there is nothing to add.
    """

    incident: Incident
    change: str
    at: datetime
    note: str = ""
    context: Context = Context()

    @property
    def headline(self) -> str:
        said = {"opened": self.incident.severity, "resolved": "resolved"}
        return f"{said.get(self.change, f'{self.change}, {self.incident.severity}')}: {self.incident.title}"

    @property
    def facts(self) -> list[tuple[str, str]]:
        """(label, text) lines: since when, what it touches, what is held."""
        incident, touched = self.incident, self.incident.touched
        window = incident.window
        first, last = f"{window.start:%Y-%m-%d %H:%M} UTC", f"{window.end:%Y-%m-%d %H:%M} UTC"
        facts = [("Was", f"{first} to {last}") if self.change == "resolved" else ("Since", first)]
        if self.note:
            facts.append(("Now", self.note))
        if len(touched.tables) > 1:
            facts.append(("Spread", _listed(touched.tables, " → ")))
        for label, names in (("Fields", touched.fields), ("Checks", touched.checks), ("Models", touched.models)):
            if names:
                facts.append((label, _listed(names)))
        if self.change != "resolved":
            facts += [("Held", sentence) for sentence in self.context.held]
            for model, sentences in self.context.causes.items():
                labels = (f"Why {model} got worse", *("Or" for _ in sentences[1:]))
                facts += list(zip(labels, sentences, strict=True))
        return [*facts, ("Incident", str(incident.id))]


def subject(notes: Sequence[Note]) -> str:
    """One line for a mail's subject or a card's title, free of characters that any channel gives a meaning to."""
    if len(notes) == 1:
        return "[mlobs] " + MENTION.sub("＠", _one_line(notes[0].headline)).translate(HARMLESS)
    incidents = len({n.incident.id for n in notes})
    changes = f"{len(notes)} changes" if len(notes) > incidents else "changes"
    return f"[mlobs] {changes} in {incidents} incident{'s' if incidents > 1 else ''}"


def body(notes: Sequence[Note], written_as: Format) -> str:
    """The message, oldest change first."""
    if written_as == "markdown":
        return _markdown(notes, escape_markdown)
    if written_as == "slack":
        return _markdown(notes, escape_slack)
    return _text(notes) if written_as == "text" else _html(notes)


def _text(notes: Sequence[Note]) -> str:
    def block(note: Note) -> str:
        lines = [escape_text(note.headline)] if len(notes) > 1 else []
        lines += [escape_text(note.incident.reason)] if note.change != "resolved" else []
        lines += [f"{escape_text(label)}: {escape_text(said)}" for label, said in note.facts]
        lines += [
            f"{escape_text(link.label)}: {_address(link.url) or escape_text(link.url)}" for link in note.context.links
        ]
        return "\n".join(lines)

    return "\n\n".join(map(block, notes))


def _markdown(notes: Sequence[Note], escape: Callable[[str], str]) -> str:
    def block(note: Note) -> str:
        lines = [f"**{escape(note.headline)}**"] if len(notes) > 1 else []
        lines += [escape(note.incident.reason)] if note.change != "resolved" else []
        lines += [f"- **{escape(label)}:** {escape(said)}" for label, said in note.facts]
        for link in note.context.links:
            label, address = escape(link.label), _address(link.url)
            lines.append(f"- [{label}](<{address}>)" if address else f"- **{label}:** {escape(link.url)}")
        return "\n".join(lines)

    return "\n\n".join(map(block, notes))


def _html(notes: Sequence[Note]) -> str:
    def block(note: Note) -> str:
        head = f"<p><b>{escape_html(note.headline)}</b></p>" if len(notes) > 1 else ""
        reason = f"<p>{escape_html(note.incident.reason)}</p>" if note.change != "resolved" else ""
        facts = "".join(f"<li><b>{escape_html(label)}:</b> {escape_html(said)}</li>" for label, said in note.facts)
        places = ""
        for link in note.context.links:
            label, address = escape_html(link.label), html.escape(_address(link.url))
            shown = f'<a href="{address}">{label}</a>' if address else f"<b>{label}:</b> {escape_html(link.url)}"
            places += f"<li>{shown}</li>"
        return f"{head}{reason}<ul>{facts}{places}</ul>"

    return "".join(map(block, notes))


HARMLESS = str.maketrans({"<": "‹", ">": "›", "&": "+", "`": "'", "[": "(", "]": ")", "*": "∗", "~": "∼"})
"""For a subject line, which channels treat as text, Markdown or HTML, as they like."""

PLAIN_MEANING = str.maketrans({"`": "'", "*": "∗", "~": "∼"})
SLACK_MEANING = PLAIN_MEANING | {ord("["): "(", ord("]"): ")", ord("<"): "‹", ord(">"): "›"}
TAG = re.compile(r"<(?=[\w!@#/:?])|(?<=\])\(")
"""Where a tag or the address of a Markdown link would begin."""
EDGE = re.compile(r"(?<!\w)_|_(?!\w)")

MARKDOWN_MEANING = re.compile(r"([\\`*_{}\[\]<>#|~])")
MENTION = re.compile(r"@(?=\w)")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def escape_text(said: str) -> str:
    """For a channel of plain text, some of which read Markdown in it: on one line, no markup, nobody is mentioned.

    >>> escape_text("a\\nb @here")
    'a b @\\u200bhere'
    >>> escape_text("*a* `b` wind_speed <5").replace("\\u200b", "|"), escape_text("[x](y) <b>").replace("\\u200b", "|")
    ("∗a∗ 'b' wind_speed <|5", '[x]|(y) <|b>')
    """
    line = MENTION.sub("@\u200b", _one_line(said)).translate(PLAIN_MEANING)
    return TAG.sub(lambda found: "<\u200b" if found.group() == "<" else "\u200b(", line)


def escape_slack(said: str) -> str:
    """For Slack, which knows no escape but for "&", which Apprise writes.

    >>> print(escape_slack("*mean* of wind_speed _now_ [x] <!channel>"))
    ∗mean∗ of wind_speed ＿now＿ (x) ‹!channel›
    """
    return EDGE.sub("＿", MENTION.sub("@\u200b", _one_line(said)).translate(SLACK_MEANING))


def escape_markdown(said: str) -> str:
    """For Markdown (CommonMark): everything stays text.

    >>> print(escape_markdown("mean of wind_speed <b> [x](y)"))
    mean of wind\\_speed \\<b\\> \\[x\\](y)
    """
    return MARKDOWN_MEANING.sub(r"\\\1", MENTION.sub("@\u200b", _one_line(said)))


def escape_html(said: str) -> str:
    """For HTML.

    >>> escape_html("<script>")
    '&lt;script&gt;'
    """
    return html.escape(_one_line(said))


def _one_line(said: str) -> str:
    line = CONTROL.sub(" ", said).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _address(url: str) -> str:
    """A web address without characters that could end it early; anything but http(s) is no address."""
    safe = quote(url, safe="/:?#!$&'*+,;=%~.-_")
    return safe if safe.startswith(("http://", "https://")) else ""


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return between.join(names[:LISTED]) + more


Around = Callable[[Incident], Context]
"""What a deployment knows around an incident: links, owners, tags."""
