"""Commands that answer an alarm: incidents, ack, expected, mute. What is said is recorded with who said it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlobs.cli import output
from mlobs.cli.application import By, Definitions, Json, Note, Now, app, examples, now_of, person, project_of

if TYPE_CHECKING:
    from mlobs.history import Feedback, History
    from mlobs.incidents import Incident
    from mlobs.project import Project
    from mlobs.spec import Table

IncidentId = Annotated[int, typer.Argument(metavar="ID", help="Number of the incident, as `mlobs incidents` shows it.")]


@app.command(
    rich_help_panel="Look",
    epilog=examples("mlobs incidents", "mlobs incidents 3", "mlobs incidents --all --model delivery_time --json"),
)
def incidents(
    number: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="One incident with all that is known of it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Also settled ones.")] = False,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only those that touch this model.")] = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """What is wrong now, grouped by cause: since when, what it touches, who has it."""
    from mlobs import incidents as kept

    project = project_of(definitions)
    name = project.model(model).name if model is not None else None
    with project.open() as opened:
        history = opened.remembered
        if number is not None:
            _one(history, project, kept.incident(history, number), json)
            return
        found = kept.incidents(history, model=name) if everything else kept.open_incidents(history, model=name)
    if json:
        output.as_json([_plain(incident) for incident in found])
    elif not found:
        output.say("no incident so far" if everything else "no open incident")
    else:
        _list(found)


def _list(found: list[Incident]) -> None:
    from mlobs.report.wording import moment, stretch

    rows = [
        (
            i.id,
            i.state,
            i.severity,
            i.title,
            stretch(i.window),
            ", ".join(i.touched.tables or (i.table,)),
            i.acknowledged_by or "–",
            moment(i.opened_at),
        )
        for i in found
    ]
    columns = ("id", "state", "severity", "what", "windows", "touches", "who", "opened")
    output.table("Incidents", columns, rows, right=("id",))


def _one(history: History, project: Project, incident: Incident, json: bool) -> None:
    from mlobs import incidents as kept
    from mlobs.report.wording import moment, stretch

    members, events = kept.members(history, incident.id), kept.events(history, incident.id)
    explained = kept.explain_incident(history, incident, project.models, project.lineage())
    if json:
        told = _plain(incident)
        told["failures"] = [
            {
                "table": m.key.table,
                "field": m.key.field,
                "metric": m.key.metric,
                "window": m.window,
                "severity": m.severity,
                "reason": m.reason,
                "failing": m.failing,
            }
            for m in members
        ]
        told["explanations"] = [found.plain() for found in explained.values()]
        told["events"] = [{"at": e.at, "what": e.kind, "by": e.by, "note": e.note} for e in events]
        output.as_json(told)
        return
    touched = incident.touched
    facts = [
        ("state", incident.state + (f", {incident.acknowledged_by} has it" if incident.acknowledged_by else "")),
        ("severity", incident.severity),
        ("began in", incident.table),
        ("windows", stretch(incident.window)),
        ("why", incident.reason),
        ("tables", ", ".join(touched.tables)),
        ("fields", ", ".join(touched.fields)),
        ("models", ", ".join(touched.models)),
        ("predictions held", ", ".join(touched.held) or "none"),
    ]
    output.table(f"Incident {incident.id}: {incident.title}", ("", ""), [fact for fact in facts if fact[1]])
    for model, found in explained.items():
        output.say(f"Why {model} got worse: {found.sentence}")
        if found.causes:
            causes = [
                (rank, c.kind, c.sentence, f"{c.share:.0%}", f"{c.score:.2f}") for rank, c in enumerate(found.causes, 1)
            ]
            columns = ("", "kind", "likely cause", "share", "score")
            output.table("Likely causes, ranked", columns, causes, right=("share", "score"))
    output.table(
        "Failures",
        ("window", "table", "field", "metric", "severity", "why"),
        [(m.window.key, m.key.table, m.key.field or "–", m.key.metric, m.severity, m.reason) for m in members],
    )
    output.table(
        "What happened", ("when", "what", "who", "note"), [(moment(e.at), e.kind, e.by, e.note or "–") for e in events]
    )


def _plain(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "state": incident.state,
        "severity": incident.severity,
        "table": incident.table,
        "title": incident.title,
        "reason": incident.reason,
        "window": incident.window,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "acknowledged_by": incident.acknowledged_by or None,
        "touched": incident.touched.plain(),
    }


@app.command(rich_help_panel="Answer", epilog=examples("mlobs ack 3 --note 'asked the weather team'"))
def ack(
    number: IncidentId,
    note: Note = "",
    by: By = "",
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Say that you work on an incident."""
    from mlobs.incidents import acknowledge

    project = project_of(definitions)
    with project.open() as opened:
        found = acknowledge(opened.remembered, number, person(by), now_of(project, now), note)
    _answered(found, f"is acknowledged, {found.acknowledged_by} has it", json)


def _answered(incident: Incident, said: str, json: bool) -> None:
    """What became of the incident that somebody spoke of."""
    if json:
        output.as_json(_plain(incident))
    else:
        output.say(f"incident {incident.id} {said}: {incident.title}")


@app.command(
    rich_help_panel="Answer",
    epilog=examples("mlobs expected 3 --note 'sale weekend'", "mlobs expected 3 --until 2024-04-01"),
)
def expected(
    number: IncidentId,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Expect the same until then; till its end if left out."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back: the incident is open again.")] = False,
    note: Note = "",
    by: By = "",
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Say that an incident was fine: it closes, and the monitors learn from it."""
    from mlobs import incidents as kept
    from mlobs.windows import instant

    project = project_of(definitions)
    moment = now_of(project, now)
    with project.open() as opened:
        if undo:
            found = kept.reopen(opened.remembered, number, person(by), moment, note)
            _answered(found, "is open again", json)
            return
        found = kept.expected(opened.remembered, number, person(by), moment, note, instant(until) if until else None)
    _answered(found, "was expected, the monitors learn from it", json)


@app.command(
    rich_help_panel="Answer",
    epilog=examples(
        "mlobs mute orders --field pieces --until 2024-04-15", "mlobs mute --list", "mlobs mute --revoke 2"
    ),
)
def mute(
    table: Annotated[str | None, typer.Argument(metavar="[TABLE]", help="The table to say nothing of.")] = None,
    field: Annotated[str | None, typer.Option("--field", "-f", help="Only this field.")] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="Only this metric, such as null_rate.")] = None,
    segment: Annotated[str | None, typer.Option("--segment", help="Only this segment, such as city=Porto.")] = None,
    check: Annotated[str | None, typer.Option("--check", help="Only this check, such as drift.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From then on; now if left out.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Until then.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Show what is muted.")] = False,
    revoke: Annotated[int | None, typer.Option("--revoke", metavar="ID", help="Take a mute back.")] = None,
    note: Note = "",
    by: By = "",
    now: Now = None,
    definitions: Definitions = None,
    json: Json = False,
) -> None:
    """Keep alarms of a table, field or check quiet for a while. It is still judged, and shown in the report."""
    from mlobs.errors import SpecError
    from mlobs.windows import instant

    project = project_of(definitions)
    moment = now_of(project, now)
    with project.open() as opened:
        history = opened.remembered
        if show:
            _show_mutes(history, json)
            return
        if revoke is not None:
            gone = history.revoke_feedback(_mute_of(history, revoke).id, person(by), moment)
            _muted(gone, f" is revoked: {_scope(gone.scope)}", json)
            return
        if table is None:
            raise SpecError("say which table to mute, or --list to see what is muted")
        if until is None:
            raise SpecError("say until when: --until TIME; a mute without an end is forgotten and hides a real fault")
        scope = _checked(project.table(table), field, metric, segment, check)
        begin = instant(start) if start else None
        number = history.add_feedback("mute", scope, person(by), moment, instant(until), note, begin)
        made = _mute_of(history, number)
    _muted(made, f": {_scope(scope)}, until {until}", json)


def _checked(
    table: Table, field: str | None, metric: str | None, segment: str | None, check: str | None
) -> dict[str, str]:
    """The scope, with names that the declaration knows.

    Raises:
        SpecError: when it names an unknown field or check, with the nearest one.
    """
    from mlobs.detectors.verdict import CHECKS
    from mlobs.errors import SpecError, nearest

    if field is not None and table.fields:
        table.field(field)
    if check is not None and check not in CHECKS:
        raise SpecError(f"no check {check!r}; {nearest(check, CHECKS)}")
    named = {"table": table.id, "field": field, "metric": metric, "segment": segment, "detector": check}
    return {name: value for name, value in named.items() if value is not None}


def _muted(mute: Feedback, said: str, json: bool) -> None:
    """What became of a mute."""
    if json:
        output.as_json(_plain_mute(mute))
    else:
        output.say(f"mute {mute.id}{said}")


def _mute_of(history: History, number: int) -> Feedback:
    """The mute of that number, revoked or not.

    Raises:
        HistoryError: when there is none.
    """
    from mlobs.errors import HistoryError

    for mute in history.feedback(kind="mute", revoked=True):
        if mute.id == number:
            return mute
    raise HistoryError(f"there is no mute {number}; `mlobs mute --list` shows what is muted")


def _plain_mute(mute: Feedback) -> dict[str, Any]:
    told = {"id": mute.id, "scope": dict(mute.scope), "from": mute.start, "until": mute.until}
    return told | {"by": mute.by, "note": mute.note, "revoked_by": mute.revoked_by}


def _show_mutes(history: History, json: bool) -> None:
    from mlobs.report.wording import moment

    found = history.feedback(kind="mute")
    if json:
        output.as_json([_plain_mute(f) for f in found])
    elif not found:
        output.say("nothing is muted")
    else:
        rows = [(f.id, _scope(f.scope), moment(f.start), moment(f.until), f.by, f.note or "–") for f in found]
        output.table("Muted", ("id", "what", "from", "until", "by", "note"), rows, right=("id",))


def _scope(scope: Any) -> str:
    """A scope in words.

    >>> _scope({"table": "orders", "field": "pieces", "detector": "drift"})
    'table orders, field pieces, check drift'
    """
    words = {"detector": "check"}
    return ", ".join(f"{words.get(name, name)} {value}" for name, value in scope.items())
