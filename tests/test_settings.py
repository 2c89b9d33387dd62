"""The environment: what it may say, and which variable is named when it says something wrong."""

from pathlib import Path
from typing import Any

import pytest

from app import settings
from app.errors import Permanent
from app.outbound import NotSent
from app.settings import Settings

TOKEN = "planted"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set by whoever runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def refusal(**given: Any) -> str:
    """The one line with which these settings are refused."""
    with pytest.raises(Permanent) as caught:
        settings.check(settings.load(**given))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def accepted(**given: Any) -> Settings:
    found = settings.load(**given)
    settings.check(found)
    return found


def test_nothing_needs_to_be_set() -> None:
    found = accepted()
    assert (found.port, found.ops_port, found.plane_port) == (8080, 9090, 8088)
    assert (found.source, found.drain_seconds, found.max_event_bytes) == ("firstmate", 20, 2 << 20)
    assert not found.connected
    assert found.data_dir == Path("~/.local/share/firstmate").expanduser()


def test_the_environment_is_read_by_upper_case_names_and_empty_is_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAX_RUNNING", "3")
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("SOURCE", "")
    found = settings.load()
    assert (found.slots("process"), found.port, found.source) == (3, 8080, "firstmate")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("OPS_PORT", "-1"),
        ("MAX_RUNNING", "many"),
        ("MAX_RUNNING", "-1"),
        ("DRAIN_SECONDS", "-1"),
        ("MAX_EVENT_BYTES", "10"),
        ("KEEP_IDS_DAYS", "7"),
        ("RUNNER", "docker"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("KEPTN_DISTRIBUTOR_URL", "localhost:8081"),
        ("KEPTN_API_ENDPOINT", "ftp://keptn/api"),
        ("FORWARD_URL", "http://"),
        ("TASK_STARTED_WAIT_DURATION", "10"),
        ("TASK_STARTED_WAIT_DURATION", "ten minutes"),
    ],
)
def test_a_wrong_value_names_its_variable_and_never_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    line = refusal()
    assert line.startswith(f"wrong settings: {name}: ")


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("RUNNER", "x")
    line = refusal()
    assert "PORT: " in line
    assert "RUNNER: " in line


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ({"keptn_distributor_url": "http://localhost:8081/"}, "http://localhost:8081"),
        ({"keptn_api_endpoint": "https://keptn/api/", "keptn_api_token": TOKEN}, ""),
    ],
)
def test_a_keptn_url_connects(given: dict[str, Any], base: str) -> None:
    found = accepted(**given)
    assert found.connected
    assert found.keptn_distributor_url == base


def test_an_open_door_needs_a_token() -> None:
    for host in ("0.0.0.0", "::", "10.0.0.5", "example.org"):
        assert refusal(door_host=host) == (
            f"DOOR_HOST {host} is open to others: set DOOR_TOKEN, or use 127.0.0.1"
        )
        accepted(door_host=host, door_token=TOKEN)
    for host in ("127.0.0.1", "127.1.2.3", "localhost", "::1"):
        accepted(door_host=host)


@pytest.mark.parametrize("host", ["127.0.0.1.evil.example", "127.evil.example", "localhost.evil"])
def test_a_name_that_only_looks_like_loopback_is_open_to_others(host: str) -> None:
    assert not settings.is_loopback(host)


def test_in_a_cluster_a_keptn_must_be_named() -> None:
    line = refusal(kubernetes_service_host="10.0.0.1")
    assert "set KEPTN_DISTRIBUTOR_URL or KEPTN_API_ENDPOINT" in line
    accepted(kubernetes_service_host="10.0.0.1", keptn_distributor_url="http://localhost:8081")


def test_an_api_needs_a_token() -> None:
    assert "KEPTN_API_TOKEN or KEPTN_API_TOKEN_FILE" in refusal(keptn_api_endpoint="http://k/api")


def test_nats_alone_has_no_job_config() -> None:
    line = refusal(eventbroker="nats://keptn-nats")
    assert "set KEPTN_API_ENDPOINT (in Keptn's namespace http://api-gateway-nginx/api) or" in line
    beside = {"eventbroker": "nats://a, tls://user:word@b:4222"}
    accepted(**beside, keptn_distributor_url="http://localhost:8081")
    accepted(**beside, keptn_api_endpoint="http://k/api", keptn_api_token=TOKEN)


@pytest.mark.parametrize("url", ["planted", "http://planted", "nats://", "nats://a,planted"])
def test_the_url_of_a_broker_that_is_none_is_not_repeated(url: str) -> None:
    line = refusal(eventbroker=url)
    assert line == "wrong settings: EVENTBROKER: must be a URL such as nats://host:4222"


def test_a_token_file_is_read_again_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    given = {"keptn_api_endpoint": "http://k/api", "keptn_api_token": "other"}
    file.write_text("zero")
    found = accepted(**given, keptn_api_token_file=file)
    for text in ("one\n", "  two  "):
        file.write_text(text)
        assert found.api_token() == text.strip()


@pytest.mark.parametrize("content", [None, b"\xff", b"two\nlines", "tök".encode()])
def test_a_token_that_cannot_be_sent_names_its_file(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"good")
    given = {"keptn_api_endpoint": "http://k/api", "keptn_api_token_file": file}
    running = accepted(**given)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NotSent, match=f"^KEPTN_API_TOKEN_FILE {file} "):
        running.api_token()
    assert refusal(**given).startswith(f"KEPTN_API_TOKEN_FILE {file} ")


def test_a_place_for_secrets_has_to_be_there(tmp_path: Path) -> None:
    assert refusal(secrets_path=tmp_path / "none") == f"SECRETS_PATH {tmp_path}/none is not there"


def test_a_home_that_nobody_has_is_told() -> None:
    assert refusal(data_dir="~nobody-has-this-name/x").startswith("wrong settings: DATA_DIR: ")


def test_slots_have_a_sensible_default() -> None:
    assert settings.load().slots("process") >= 8
    assert settings.load().slots("container") == 16
    assert settings.load(max_running=1).slots("container") == 1


@pytest.mark.parametrize(
    ("text", "tasks"), [("", set()), ("a", {"a"}), (" a , b,, ", {"a", "b"}), ("*", {"*"})]
)
def test_owned_tasks_are_a_comma_list(text: str, tasks: set[str]) -> None:
    assert settings.load(owned_tasks=text).owned == tasks


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600), ("90s", 90), ("1h30m", 5400), ("1.5s500ms", 2)]
)
def test_durations_are_written_as_in_go(text: str, seconds: float) -> None:
    assert settings.load(task_started_wait_duration=text).start_timeout == seconds


def test_tokens_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_TOKEN", TOKEN)
    monkeypatch.setenv("KEPTN_API_TOKEN", TOKEN)
    assert TOKEN not in repr(settings.load())
    monkeypatch.setenv("KEPTN_API_ENDPOINT", f"nonsense {TOKEN}")
    assert TOKEN not in refusal()


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        settings.load().port = 5  # type: ignore[misc]
