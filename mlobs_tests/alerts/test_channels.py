"""What Apprise's own channels put on the wire for names that mean something to them; the services themselves can't be run."""

from __future__ import annotations

import email
import json
import smtplib
from typing import Any

import pytest
import requests

from mlobs.alerts import Context, Link, Note
from mlobs.alerts.sending import send
from mlobs_tests.alerts.test_message import AT, incident

HOSTILE = "<script>1</script> <!channel> @everyone *b* `c` _i_ [x](https://evil.example) wind_speed"
NOTE = Note(
    incident(title=f"{HOSTILE}: x", reason=f"mean of {HOSTILE}"),
    "opened",
    AT,
    "",
    Context((Link("Check", "https://dagster.example/assets/a_b?view=checks&x=1"),)),
)


class Taken:
    """An answer that every channel takes for success."""

    status_code, content, text, headers = 200, b"ok", '{"ok": true}', {}

    def json(self) -> dict[str, bool]:
        return {"ok": True}


def on_the_wire(monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, Any]:
    """The JSON that the channel's plugin posts."""
    posted: list[Any] = []

    def post(*_: Any, **given: Any) -> Taken:
        posted.append(given.get("data") or given.get("json"))
        return Taken()

    monkeypatch.setattr(requests.Session, "request", post)
    assert send(url, [NOTE]) == ""
    (body,) = posted
    return json.loads(body) if isinstance(body, (str, bytes)) else body


def test_slack_shows_names_as_text_and_one_link(monkeypatch):
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"
    (card,) = on_the_wire(monkeypatch, url)["attachments"]
    first, *lines = card["text"].split("\n")
    assert first == (
        "mean of ‹script›1‹/script› ‹!channel› @\u200beveryone ∗b∗ 'c' ＿i＿ (x)(https://evil.example) wind_speed"
    )
    assert lines[0] == "- *Since:* 2013-04-12 00:00 UTC"
    assert lines[-1] == "- <https://dagster.example/assets/a_b?view=checks&amp;x=1|Check>"
    assert not set(card["title"].removeprefix("[mlobs] ")) & set("<>*`[]")


def test_teams_shows_names_as_text_and_one_link(monkeypatch):
    url = "workflows://prod-01.westeurope.logic.azure.com:443/abcdef123456/sigABCDEF0123456789/"
    card = on_the_wire(monkeypatch, url)["attachments"][0]["content"]["body"]
    text = next(part["text"] for part in card if part.get("id") == "body")
    assert text.split("\n")[0] == (
        r"mean of \<script\>1\</script\> \<!channel\> @" + "\u200b" + r"everyone \*b\* \`c\` \_i\_"
        r" \[x\](https://evil.example) wind\_speed"
    )
    assert text.split("\n")[-1] == "- [Check](<https://dagster.example/assets/a_b?view=checks&x=1>)"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "content"),
        ("mmost://localhost/3ccdd113474722377935511fc85d3dd4", "text"),
    ],
)
def test_channels_that_read_markdown_in_plain_text_find_no_mention_link_or_code(monkeypatch, url, place):
    said = on_the_wire(monkeypatch, url)[place].split("\n")[1]
    assert said == (
        "mean of <\u200bscript>1<\u200b/script> <\u200b!channel> @\u200beveryone ∗b∗ 'c' _i_"
        " [x]\u200b(https://evil.example) wind_speed"
    )


def test_a_mail_has_its_text_escaped_and_its_link_whole(monkeypatch):
    sent: list[str] = []

    class Server:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __getattr__(self, name: str) -> Any:
            return lambda *given, **_: sent.append(given[2]) if name == "sendmail" else None

    monkeypatch.setattr(smtplib, "SMTP", Server)
    monkeypatch.setattr(smtplib, "SMTP_SSL", Server)
    assert send("mailto://ann:pass@example.com?to=bob@example.com&smtp=localhost", [NOTE]) == ""
    parts = {p.get_content_type(): p.get_payload(decode=True) for p in email.message_from_string(sent[0]).walk()}
    written = parts["text/html"].decode()
    assert "&lt;script&gt;1&lt;/script&gt; &lt;!channel&gt;" in written
    assert "<script" not in written
    assert '<a href="https://dagster.example/assets/a_b?view=checks&amp;x=1">Check</a>' in written
