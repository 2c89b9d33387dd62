"""What people read: the line, the facts, the cut message, and what each platform makes of them."""

import json
from typing import Any

import pytest

from app.document.tree import compose
from app.notifiers import notice, template, webhook
from app.notifiers.channel import Channel
from app.notifiers.notice import Notice
from tests.conftest import event

CHAT_FORMATS = ("slack", "teams", "discord", "mattermost")
NASTY = "```<!channel> @here <@U1> *b* _i_ [x](http://evil) & | ~ \\ \"' {{ id }} \U0001f4a9 "


def told(kind: str = "sh.keptn.event.test.finished", **data: Any) -> Notice:
    """The notice of an event with this data."""
    scope = {"project": "p", "stage": "s", "service": "svc"}
    time = "2023-01-02T03:04:05.123456789Z"
    return notice.of(event(type=kind, time=time, data={**scope, **data}), "http://bridge")


def shown(of: Notice, form: Any, missed: int = 0) -> Any:
    """What a platform is sent, after it was on the wire."""
    channel = Channel.model_construct(name="chat", format=form)
    return json.loads(json.dumps(webhook.rendered(of, channel, missed)))


@pytest.mark.parametrize(
    ("kind", "data", "line", "mood"),
    [
        ("sh.keptn.event.test.triggered", {}, "p/s/svc: test triggered", "default"),
        # A result that an earlier task left in the data is not this one's.
        ("sh.keptn.event.test.triggered", {"result": "fail"}, "p/s/svc: test triggered", "default"),
        ("sh.keptn.event.test.started", {}, "p/s/svc: test started", "default"),
        (
            "sh.keptn.event.test.finished",
            {"status": "succeeded", "result": "pass"},
            "p/s/svc: test finished pass",
            "good",
        ),
        (
            "sh.keptn.event.test.finished",
            {"status": "succeeded", "result": "warning"},
            "p/s/svc: test finished warning",
            "warning",
        ),
        (
            "sh.keptn.event.test.finished",
            {"status": "errored", "result": "fail"},
            "p/s/svc: test finished errored fail",
            "attention",
        ),
        (
            "sh.keptn.event.test.finished",
            {"status": "aborted", "result": "pass"},
            "p/s/svc: test finished aborted pass",
            "attention",
        ),
        (
            "sh.keptn.event.dev.delivery.finished",
            {"status": "succeeded", "result": "pass"},
            "p/s/svc: delivery finished pass",
            "good",
        ),
        (
            "sh.keptn.event.dev.remediation.triggered",
            {},
            "p/s/svc: remediation triggered",
            "default",
        ),
        ("sh.keptn.event.problem.open", {}, "p/s/svc: problem open", "default"),
        ("com.example.thing", {}, "p/s/svc: com.example.thing", "default"),
    ],
)
def test_one_line_says_what_happened_where(
    kind: str, data: dict[str, Any], line: str, mood: str
) -> None:
    found = told(kind, **data)
    assert (found.line(), found.mood) == (line, mood)


def test_an_event_without_a_scope_is_told_by_its_sender() -> None:
    found = notice.of(event(type="com.example.thing", data=None), "http://bridge")
    assert found.line() == "shipyard-controller: com.example.thing"
    assert (found.link, found.time) == ("", "")


def test_the_stage_of_a_sequence_stands_in_its_type_too() -> None:
    found = notice.of(event(type="sh.keptn.event.dev.delivery.finished", data={}), "")
    assert found.stage == "dev"


def test_a_failures_cause_and_the_logs_end_are_kept() -> None:
    text = "failed with exit code 1\nLogs:\n" + "noise\n" * 9999 + "x" * 1999 + "!"
    found = told(status="errored", result="fail", message=text).text
    assert found.startswith("failed with exit code 1")
    assert found.endswith("x" * 1999 + "!")
    assert f"{len(text) - 400 - 2000} characters cut" in found


def test_of_a_success_the_beginning_is_enough() -> None:
    found = told(status="succeeded", result="pass", message="fine " * 999).text
    assert found.startswith("fine fine")
    assert len(found) <= 500


@pytest.mark.parametrize("key", ["problemTitle", "ProblemTitle", "PROBLEMTITLE", "title"])
def test_a_problem_is_told_by_its_title(key: str) -> None:
    assert told("sh.keptn.event.dev.remediation.triggered", problem={key: "Too slow"}).text == (
        "Too slow"
    )


def test_the_link_leads_to_the_sequence_in_the_bridge() -> None:
    context = event().shkeptncontext
    assert told(project="a b/c").link == f"http://bridge/project/a%20b%2Fc/sequence/{context}"


def test_the_time_is_the_events_own() -> None:
    assert told().time == "2023-01-02T03:04:05.123Z"


@pytest.mark.parametrize("time", ["", "soon", "9999-12-31T23:59:59-05:00", "2023-01-02"])
def test_a_time_that_is_none_is_left_out(time: str) -> None:
    assert notice.of(event(time=time), "").time == ""


def test_missed_messages_are_told_in_the_line() -> None:
    assert told().line(1).endswith("(1 earlier message could not be delivered)")
    assert told().line(7).endswith("(7 earlier messages could not be delivered)")


def test_every_value_has_a_name_that_templates_may_use() -> None:
    assert set(told().values()) == set(notice.NAMES)


@pytest.mark.parametrize("form", ["json", *CHAT_FORMATS])
@pytest.mark.parametrize("length", [1, 50, 100_000])
def test_whatever_an_event_holds_a_platforms_limits_are_kept(form: str, length: int) -> None:
    long = (NASTY * length)[:40_000]
    labels = {f"{number}{long}": long for number in range(50)}
    found = told(
        "sh.keptn.event.test.finished", project=long, service=long, status=long, result=long,
        message=long, labels=labels,
    )  # fmt: skip
    document = shown(found, form, missed=123)
    sizes = {
        name: len(text.encode("utf-16-le", "surrogatepass")) // 2 for name, text in texts(document)
    }
    assert max(sizes.values()) <= webhook.PLATFORMS[form].room + 20
    assert "(123 earlier messages could not be delivered)" in json.dumps(document).replace(
        "\\\\", ""
    )
    LIMITS[form](document, sum(sizes.values()))


def texts(node: Any, path: str = "") -> list[tuple[str, str]]:
    """Every text of a document with its place."""
    if isinstance(node, str):
        return [(path, node)]
    pairs = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [found for key, one in pairs for found in texts(one, f"{path}/{key}")]


def _slack(document: Any, _: int) -> None:
    blocks = document["attachments"][0]["blocks"]
    assert len(document["text"]) <= 40_000
    assert len(blocks) <= 50
    for block in blocks:
        assert len(block.get("text", {}).get("text", "")) <= 3000
        assert len(block.get("elements", [])) <= 10
    assert not {"<!", "<@"} & {
        text[i : i + 2] for _, text in texts(document) for i in range(len(text))
    }


def _discord(document: Any, total: int) -> None:
    (embed,) = document["embeds"]
    assert document["allowed_mentions"] == {"parse": []}
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert all(len(one["value"]) <= 1024 for one in embed["fields"])
    assert total <= 6000
    assert embed["description"].count("```") == 2


def _teams(document: Any, _: int) -> None:
    assert (
        len(json.dumps(document, ensure_ascii=False).encode("utf-16-le", "surrogatepass")) <= 28_000
    )


def _mattermost(document: Any, total: int) -> None:
    (attachment,) = document["attachments"]
    assert len(json.dumps(document["attachments"], ensure_ascii=False)) <= 7900
    assert attachment["text"].count("```") == 2
    assert not any("@here" in text or "@U" in text for _, text in texts(document))


LIMITS: dict[str, Any] = {
    "slack": _slack,
    "discord": _discord,
    "teams": _teams,
    "mattermost": _mattermost,
    "json": lambda *_: None,
}


def test_every_format_has_a_platform_and_a_template() -> None:
    formats = Channel.model_json_schema()["properties"]["format"]["enum"]
    assert set(formats) == webhook.PLATFORMS.keys()
    for form in formats:
        assert list(template.problems(plain_nodes(webhook.ready(form)), notice.NAMES)) == []


def plain_nodes(value: Any) -> Any:
    """JSON as a file's tree."""
    tree, problems = compose(json.dumps(value))
    assert problems == []
    return tree


@pytest.mark.parametrize("form", CHAT_FORMATS)
def test_what_a_notice_has_not_is_left_out(form: str) -> None:
    bare = notice.of(event(type="com.example.thing", data=None, shkeptncontext=None), "")
    assert "{{" not in json.dumps(shown(bare, form))
    assert all(text for _, text in texts(shown(bare, form)))


def test_the_words_of_a_chat_are_only_text_in_slack() -> None:
    found = shown(told(message="<!channel> a & b"), "slack")
    assert (
        found["attachments"][0]["blocks"][0]["text"]["text"] == "```&lt;!channel&gt; a &amp; b```"
    )


def test_an_adaptive_card_is_wrapped_as_a_workflow_wants_it() -> None:
    (attachment,) = shown(told(status="errored", result="fail"), "teams")["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["color"] == "attention"
    assert card["actions"][0]["url"].startswith("http://bridge/")


@pytest.mark.parametrize(
    ("document", "filled"),
    [
        ("{{ a }}", "x"),
        ("{{a}}-{{ a }}", "x-x"),
        ("{{ number }}", 7),
        ("no. {{ number }}", "no. 7"),
        ({"k": "{{ none }}", "l": 1}, {"l": 1}),
        ({"k": "({{ none }})", "l": "{{ a }}"}, {"l": "x"}),
        (["{{ none }}", "{{ a }}", None, True], ["x", None, True]),
        ({"k": [{"t": "s", "v": "{{ none }}"}], "l": 1}, {"l": 1}),
        ({"k": [{"t": "{{ none }}", "v": "{{ a }}"}]}, {"k": [{"v": "x"}]}),
        ("{{ brace }}", "{{ a }}"),
        ({"{{ a }}": 1}, {"{{ a }}": 1}),
    ],
)
def test_a_template_is_filled(document: Any, filled: Any) -> None:
    values: dict[str, str | int] = {"a": "x", "none": "", "number": 7, "brace": "{{ a }}"}
    assert template.filled(document, values) == filled
