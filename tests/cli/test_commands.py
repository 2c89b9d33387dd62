"""The commands, as a user types them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from app.cli.remote import AUTH_FILE
from tests.cli.conftest import SCOPE, Terminal, json_of


@pytest.mark.slow
def test_trigger_prints_the_context_as_keptn_does(terminal: Terminal) -> None:
    done = terminal.run("trigger", "sequence", "botkube-seq", *SCOPE, "--labels", "build=7")

    assert done.exit_code == 0
    assert done.output.startswith("ID of Keptn context: ")


@pytest.mark.slow
def test_trigger_prints_json_for_scripts(terminal: Terminal) -> None:
    done = terminal.run("trigger", "sequence", "botkube-seq", *SCOPE, "--json")

    assert list(json_of(done.output)) == ["keptnContext"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "build"], "--labels wants key=value pairs with commas between, got 'build'"),
        (["--data", "a=1,a.b=2"], "--data a.b: a is a value and an object at once"),
    ],
    ids=["label without value", "value and object at once"],
)
def test_trigger_names_the_flag_that_is_wrong(
    terminal: Terminal, words: list[str], said: str
) -> None:
    done = terminal.run("trigger", "sequence", "botkube-seq", *SCOPE, *words)

    assert (done.exit_code, said in done.output) == (1, True)


def test_trigger_without_a_service_tells_what_to_start(tmp_path: Path) -> None:
    done = Terminal(tmp_path).run("trigger", "sequence", "botkube-seq", *SCOPE)

    assert done.exit_code == 1
    assert "start `firstmate serve` with the same DATA_DIR" in done.output


def test_trigger_tells_that_a_real_keptn_cannot_be_reached(tmp_path: Path) -> None:
    done = Terminal(tmp_path).run(
        *("trigger", "sequence", "x", *SCOPE),
        KEPTN_API_ENDPOINT="http://127.0.0.1:9/api",
        KEPTN_API_TOKEN="secret-of-mine",
    )

    assert done.exit_code == 1
    assert "127.0.0.1:9 /api/controlPlane/v1/project: no connection (Connect" in done.output
    assert "secret-of-mine" not in done.output


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("<html>Log in</html>", "the reply is no JSON object; is this Keptn's API?"),
        ("[]", "the reply is no JSON object; is this Keptn's API?"),
        ('{"status": "OK"}', "answers, but not as Keptn's API: mend the endpoint"),
    ],
    ids=["a page", "a list", "another object"],
)
def test_trigger_tells_that_somebody_else_answers(tmp_path: Path, reply: str, said: str) -> None:
    with answering(reply) as url:
        done = Terminal(tmp_path).run(
            *("trigger", "sequence", "x", *SCOPE),
            KEPTN_API_ENDPOINT=f"{url}/api",
            KEPTN_API_TOKEN="t",
        )

    assert (done.exit_code, said in done.output) == (1, True)


@contextmanager
def answering(reply: str) -> Iterator[str]:
    """Somebody who says the same to whatever is asked."""

    class Somebody(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(reply.encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Somebody) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_the_embedded_plane_is_asked_where_no_keptn_is_named(terminal: Terminal) -> None:
    told = terminal.run("auth")

    assert told.exit_code == 0
    assert told.output.startswith("Successfully authenticated against the Keptn cluster http://127")


@pytest.mark.slow
def test_an_evaluation_reaches_the_embedded_plane_as_its_event(terminal: Terminal) -> None:
    scope = (*SCOPE[:-1], "nobody-answers")
    times = ("--start", "2026-01-31T11:59:59", "--timeframe", "5m")

    triggered = terminal.run("trigger", "evaluation", *scope, *times, "--json")
    context = json_of(triggered.output)["keptnContext"]

    of_run = ("--project", "botkube", "--keptn-context", context)
    told = terminal.run("get", "event", "sh.keptn.event.production.evaluation.triggered", *of_run)
    assert json.loads(told.output)["data"]["evaluation"] == {
        "start": "2026-01-31T11:59:59.000Z",
        "end": "2026-01-31T12:04:59.000Z",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "said"),
    [
        (("--timeframe", "xx"), "--timeframe xx: write a duration such as 5m or 1h30m"),
        (("--start", "yesterday"), "yesterday is no time in UTC: write 2026-01-31T11:59:59"),
        (("--end", "2026-01-31T11:59:59"), "--end wants a --start"),
        (("--start", "2026-01-31T11:59:59", "--end", "2026-01-31T11:59:59Z"), "is not after"),
    ],
)
def test_an_evaluation_wants_a_time_that_can_be(
    terminal: Terminal, times: tuple[str, ...], said: str
) -> None:
    done = terminal.run("trigger", "evaluation", *SCOPE, *times)

    assert (done.exit_code, said in done.output) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (("nope", "production"), "no project nope at http://"),
        (("botkube", "nope"), "no stage nope in botkube at http://"),
    ],
)
def test_nothing_is_triggered_where_nothing_is(
    terminal: Terminal, scope: tuple[str, str], said: str
) -> None:
    words = ("--project", scope[0], "--stage", scope[1], "--service", "any")

    done = terminal.run("trigger", "sequence", "x", *words)

    assert (done.exit_code, said in done.output) == (1, True)
    assert "there are: " in done.output


def test_a_broken_file_of_auth_is_named(tmp_path: Path) -> None:
    (tmp_path / AUTH_FILE).write_text("{broken")

    done = Terminal(tmp_path).run("get", "project")

    assert done.exit_code == 1
    assert f"{AUTH_FILE} is broken: use `firstmate auth` again" in done.output


@pytest.mark.slow
def test_help_lists_our_commands_and_those_of_keptn(terminal: Terminal) -> None:
    listed = terminal.run("--help").output.partition("Commands:")[2].split()

    assert {"serve", "why", "auth", "add-resource", "trigger", "abort"} <= {*listed}


@pytest.mark.slow
def test_runs_lists_a_line_for_each_run(terminal: Terminal) -> None:
    run = terminal.answered()

    lines = [line.split() for line in terminal.run("runs").output.splitlines()]
    (line,) = [one for one in lines if one[0] == str(run["id"])]

    assert line[2:] == [
        *("answered", "sh.keptn.event.remote-task.triggered"),
        *("botkube/production/hello", "succeeded", "pass"),
    ]


@pytest.mark.slow
def test_logs_prints_what_the_task_printed(terminal: Terminal) -> None:
    run = terminal.answered()

    by_event = terminal.run("logs", run["event_id"])

    assert by_event.output == "=== Say Hello ===\nHello World\n"
    assert terminal.run("logs", str(run["id"])).output == by_event.output


@pytest.mark.slow
def test_why_tells_what_was_sent(terminal: Terminal) -> None:
    event_id = terminal.answered()["event_id"]

    told = terminal.run("why", event_id).output

    assert told.startswith(f"{event_id}: answered: the work ended\n")
    assert "  started to keptn: " in told
    assert "  finished to keptn: " in told
    assert "  it came to succeeded pass\n" in told
    assert "  task Say Hello: Task 'Say Hello' finished successfully!\n" in told


@pytest.mark.slow
def test_why_has_json_without_any_body(terminal: Terminal) -> None:
    event_id = terminal.answered()["event_id"]

    told = json.loads(terminal.run("why", event_id, "--json").output)

    assert told["state"] == "answered"
    assert {one["body"] for one in told["messages"]} == {None}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ledger.db", "plane.db"])
def test_a_damaged_database_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no database" * 1000)
    words = ["serve", "."] if name == "plane.db" else ["runs"]
    told = Terminal(tmp_path).run(*words, PORT="0", OPS_PORT="0", PLANE_PORT="0")
    said = "firstmate: a database in DATA_DIR cannot be used: file is not a database\n"
    assert (told.exit_code, told.output) == (1, said)


@pytest.mark.parametrize("command", ["why", "logs"])
def test_a_number_that_no_run_has_is_told(terminal: Terminal, command: str) -> None:
    told = terminal.run(command, "9" * 30)
    assert (told.exit_code, "no run" in told.output) == (1, True)


@pytest.mark.slow
def test_why_says_when_an_event_never_came(terminal: Terminal) -> None:
    told = terminal.run("why", "no-such-event")

    assert told.exit_code == 1
    assert "no run 'no-such-event' here: the event never came to this DATA_DIR" in told.output


def test_reading_without_a_ledger_says_so(tmp_path: Path) -> None:
    told = Terminal(tmp_path).run("runs")

    assert (told.exit_code, "no ledger in DATA_DIR" in told.output) == (1, True)


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    told = Terminal(tmp_path).run("runs", PORT="high", FORWARD_URL="somewhere")

    assert told.exit_code == 1
    assert "PORT: " in told.output
    assert "FORWARD_URL: must be a URL" in told.output


@pytest.mark.slow
def test_the_version_is_told(terminal: Terminal) -> None:
    assert terminal.run("--version").output.startswith("firstmate, version ")


@pytest.mark.slow
def test_a_second_service_hears_who_holds_the_folder(terminal: Terminal) -> None:
    told = terminal.run("serve", ".", PORT="0", OPS_PORT="0", PLANE_PORT="0")

    assert told.exit_code == 1
    assert f"DATA_DIR {terminal.data} is in use by firstmate pid " in told.output
