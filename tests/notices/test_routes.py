"""routes.yaml: what may stand in it, which events match, and what a change of it does."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from app.document.typed import FileError
from app.errors import BadEvent, Permanent
from app.events import build, parse
from app.events.build import Outcome
from app.notifiers import KINDS
from app.outbound import Outbound
from app.routes import Routes, Terms, read
from tests.conftest import event
from tests.doors import corpus
from tests.notices.conftest import write

HEAD = "apiVersion: firstmate/v1\n"
CHANNELS = """channels:
- {name: chat, format: slack, urlFrom: {file: /run/secrets/chat}}
- {name: events, kind: cloudevent, urlFrom: {env: EVENTS_URL}}
- {name: lines, kind: log, rateLimit: {messages: 30, seconds: 60}}
"""


def routes(tmp_path: Path, text: str, **more: Any) -> Routes:
    """The routes of a file with this text below the usual channels."""
    file = write(tmp_path / "routes.yaml", f"{HEAD}{CHANNELS}{text}")
    return Routes(Terms(file=file, **more), Outbound())


def told(found: Routes, kind: str = "sh.keptn.event.test.finished", **data: Any) -> list[str]:
    """The channels that hear of an event."""
    scope = {"project": "p", "stage": "s", "service": "svc"}
    return sorted(name for name, _ in found.announce(event(type=kind, data={**scope, **data})))


NAME = "`name` must be of letters, digits, and . _ -, not "
SECRET = "a URL is a secret: `urlFrom` names its `file`, or its variable `env`"


@pytest.mark.parametrize("text", ["{}", "apiVersion: v2"])
def test_a_file_of_another_version_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="1:1: the file begins with `apiVersion: firstmate/v1`"):
        read(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("chanels: []", "2:1: chanels: unknown key, did you mean `channels`"),
        ("channels: [{kind: log}]", f"2:12: channels[0]: {NAME}''"),
        ("channels: [{kind: log, name: keptn}]", f"2:12: channels[0]: {NAME}'keptn'"),
        ("channels: [{name: a}]", f"2:12: channels[0]: {SECRET}"),
        ("channels: [{name: a, urlFrom: {file: f, env: e}}]", f"2:12: channels[0]: {SECRET}"),
        ("channels: [{name: a, url: 'https://x'}]", "2:22: channels[0].url: unknown key"),
        ("channels: [{rateLimit: {messages: 0}}]", "2:35: channels[0].rateLimit.messages: must be"),
        ("channels: [{name: a, kind: log}, {name: a, kind: log}]", "2:34: a second channel `a`"),
        ("routes: [{channels: [a]}]", "2:22: there is no channel `a` in this file"),
        ("routes: [{events: ['*']}]", "2:10: a route needs `channels` to go to"),
        ("routes: [{template: ['{{ lime }}']}]", "2:22: `lime` is not known in a template"),
    ],
)
def test_a_fault_is_told_with_its_place_and_remedy(text: str, problem: str) -> None:
    with pytest.raises(FileError) as caught:
        read(f"{HEAD}{text}")
    assert any(one.startswith(f"routes.yaml:{problem}") for one in caught.value.problems)


def test_a_file_without_faults_is_read() -> None:
    found = read(
        f"{HEAD}{CHANNELS}routes: [{{channels: [chat], template: {{n: 1, t: '{{{{ line }}}}'}}}}]"
    )
    assert [channel.name for channel in found.channels] == ["chat", "events", "lines"]
    assert found.routes[0].template == {"n": 1, "t": "{{ line }}"}


def test_every_kind_is_in_the_registry() -> None:
    assert set(KINDS) == {"log", "cloudevent", "webhook"}
    with pytest.raises(FileError, match="must be one of 'log', 'cloudevent' or 'webhook'"):
        read(f"{HEAD}channels: [{{name: a, kind: carrier-pigeon}}]")


@pytest.mark.parametrize(
    ("route", "kind", "data", "hears"),
    [
        ("", "com.example", {}, True),
        ("events: ['sh.keptn.event.*.finished'], ", "sh.keptn.event.test.finished", {}, True),
        ("events: ['*.finished'], ", "sh.keptn.event.dev.delivery.finished", {}, True),
        ("events: ['*.finished'], ", "sh.keptn.event.test.started", {}, False),
        ("project: [p, q], ", "x", {}, True),
        ("project: [q], ", "x", {}, False),
        ("stage: ['s*'], service: [svc], ", "x", {}, True),
        ("stage: ['s*'], service: [other], ", "x", {}, False),
        ("result: [fail, warning], ", "sh.keptn.event.test.finished", {"result": "fail"}, True),
        ("result: [fail], ", "sh.keptn.event.test.finished", {"result": "pass"}, False),
        ("result: [fail], ", "sh.keptn.event.test.triggered", {"result": "fail"}, False),
        ("status: [errored], ", "sh.keptn.event.test.finished", {"status": "errored"}, True),
        ("labels: {team: 'red*'}, ", "x", {"labels": {"team": "reds"}}, True),
        ("labels: {team: '*'}, ", "x", {"labels": {"tier": "red"}}, False),
    ],
)
def test_an_event_is_told_where_every_condition_holds(
    tmp_path: Path, route: str, kind: str, data: dict[str, Any], hears: bool
) -> None:
    found = routes(tmp_path, f"routes: [{{{route}channels: [lines]}}]")
    assert told(found, kind, **data) == (["lines"] if hears else [])


def test_a_channel_hears_of_an_event_once_and_the_first_route_decides(tmp_path: Path) -> None:
    found = routes(
        tmp_path,
        "routes: [{channels: [chat, lines], template: {own: 1}}, {channels: [chat, events]}]",
    )
    letters = dict(found.announce(event()))
    assert letters.keys() == {"chat", "lines", "events"}
    assert json.loads(letters["chat"])["template"] == {"own": 1}
    assert json.loads(letters["events"])["id"] == event().id


def test_only_what_keptn_is_sent_goes_to_forward_url() -> None:
    found = Routes(Terms(forward_url="http://somewhere/"), Outbound())
    message = build.started(event(), "firstmate", 0.0)
    assert found.announce(event()) == []
    assert found.announce(message) == [("cloudevent", message.body)]


def test_our_own_answers_are_told_like_those_of_others(tmp_path: Path) -> None:
    found = routes(tmp_path, "routes: [{result: [fail], channels: [lines, events]}]")
    message = build.finished(event(), "firstmate", 0.0, Outcome("succeeded", "fail", "no"))
    letters = dict(found.announce(message))
    assert letters["events"] == message.body
    assert json.loads(letters["lines"])["text"] == "no"


def test_whatever_the_door_takes_can_be_told(tmp_path: Path) -> None:
    found = routes(tmp_path, "routes: [{channels: [chat, events, lines]}]")
    number = 0
    for body in corpus.BODIES.values():
        try:
            one = parse.parse(corpus.JSON, body)
        except BadEvent:
            continue
        number += 1
        for _, letter in found.announce(one):
            json.loads(letter, parse_constant=pytest.fail)
    assert number > 10


def test_a_change_is_taken_up_and_what_is_unchanged_stays(tmp_path: Path) -> None:
    found = routes(tmp_path, "routes: [{channels: [lines]}]")
    before = found.refreshed()
    assert found.refreshed() is before
    text = (
        f"{HEAD}{CHANNELS.replace('format: slack', 'format: teams')}routes: [{{channels: [chat]}}]"
    )
    write(tmp_path / "routes.yaml", text)
    after = found.refreshed()
    assert told(found) == ["chat"]
    assert after["lines"] == before["lines"]
    assert after["chat"] != before["chat"]


@pytest.mark.parametrize("broken", ["channels: {}", None])
def test_a_broken_change_is_told_with_its_place_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    found = routes(tmp_path, "routes: [{channels: [lines]}]")
    file = tmp_path / "routes.yaml"
    if broken is None:
        file.unlink()
    else:
        write(file, f"{HEAD}{broken}")
    with caplog.at_level(logging.ERROR):
        found.refreshed()
        found.refreshed()
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("ROUTES_FILE stays as it was: ")
    assert (f"{file}:2:" if broken else "cannot be read") in line
    assert told(found) == ["lines"]
    write(file, f"{HEAD}{CHANNELS}routes: [{{channels: [chat]}}]")
    found.refreshed()
    assert told(found) == ["chat"]


def test_a_file_of_the_same_size_and_time_is_seen_to_be_another(tmp_path: Path) -> None:
    found, file = routes(tmp_path, "routes: [{channels: [lines]}]"), tmp_path / "routes.yaml"
    times = file.stat()
    other = write(tmp_path / "other", file.read_text().replace("[lines]", "[chat] "))
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    found.refreshed()
    assert told(found) == ["chat"]


@pytest.mark.parametrize("text", [None, "apiVersion: ["])
def test_a_broken_file_is_an_error_at_the_start(tmp_path: Path, text: str | None) -> None:
    if text:
        write(tmp_path / "routes.yaml", text)
    with pytest.raises(Permanent, match=r"routes\.yaml"):
        Routes(Terms(file=tmp_path / "routes.yaml"), Outbound())
