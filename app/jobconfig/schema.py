"""What a jobconfig may say: apiVersion v2 as job-executor 0.3.0 reads it, as frozen values.

Strict keys and yaml.v2's conversions; nothing here reads YAML or words an error.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from app.jobconfig.scalars import Scalar


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The pattern of an event name as an RE2 object: Go's syntax, in linear time.

    Raises:
        ValueError: it is no regular expression.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ValueError(error.args[0].decode(errors="replace")) from None


def _scalar(convert: Callable[[Scalar], Any]) -> BeforeValidator:
    """The conversion of a scalar; whatever else stands there is left for pydantic to refuse."""
    return BeforeValidator(lambda node: convert(node) if isinstance(node, Scalar) else node)


def _whole(scalar: Scalar) -> Any:
    value = scalar.value
    return int(value) if isinstance(value, float) and abs(value) < _LIMIT_64 else value


def _pattern(name: str) -> str:
    compiled(name)
    return name


_LIMIT_32, _LIMIT_64 = 1 << 31, 1 << 63
Text = Annotated[str, _scalar(lambda scalar: "" if scalar.value is None else scalar.text)]
Flag = Annotated[bool, Field(strict=True), _scalar(lambda scalar: scalar.value)]
Int32 = Annotated[int, Field(strict=True, ge=-_LIMIT_32, lt=_LIMIT_32), _scalar(_whole)]
Int64 = Annotated[int, Field(strict=True, ge=-_LIMIT_64, lt=_LIMIT_64), _scalar(_whole)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, node: Any) -> Any:
        if not isinstance(node, dict):
            return {} if _is_null(node) else node
        known = {field.alias for field in cls.model_fields.values()}
        return {key: node[key] for key in node if key not in known or not _is_null(node[key])}


def _is_null(node: Any) -> bool:
    return isinstance(node, Scalar) and node.value is None


class JsonPath(_Part):
    """A condition on the event; an empty property is none."""

    property: Text = ""
    match: Text = ""


class EventFilter(_Part):
    """One entry of `events`: a regular expression found anywhere in the type, and a condition."""

    name: Annotated[Text, AfterValidator(_pattern)] = ""
    jsonpath: JsonPath = JsonPath()


class Env(_Part):
    """One entry of `env`; `value_from` is string, event (`value` is a path then) or secret."""

    name: Text = ""
    value: Text = ""
    value_from: Text = ""
    as_: Text = Field(default="", alias="as")


class Quantities(_Part):
    """Kubernetes quantities such as 50m and 128Mi."""

    cpu: Text = ""
    memory: Text = ""


class Resources(_Part):
    """What a task may take and what it asks for; present but empty, it drops all defaults."""

    limits: Quantities = Quantities()
    requests: Quantities = Quantities()


class Capabilities(_Part):
    """Linux capabilities."""

    add: tuple[Text, ...] = ()
    drop: tuple[Text, ...] = ()


class SeccompProfile(_Part):
    """Which system calls are allowed."""

    type: Text | None = None
    localhost_profile: Text | None = None


class SecurityContext(_Part):
    """Kubernetes' security context of a container; null leaves a field to the service's default."""

    capabilities: Capabilities | None = None
    privileged: Flag | None = None
    run_as_user: Int64 | None = None
    run_as_group: Int64 | None = None
    run_as_non_root: Flag | None = None
    read_only_root_filesystem: Flag | None = None
    allow_privilege_escalation: Flag | None = None
    proc_mount: Text | None = None
    seccomp_profile: SeccompProfile | None = None


class Task(_Part):
    """One job.

    `max_poll_duration` is in seconds: null asks for the default of 300, 0 leaves no time at all, as
    in job-executor. `ttl_seconds_after_finished` is in seconds too.
    """

    name: Text = ""
    files: tuple[Text, ...] = ()
    image: Text = ""
    image_pull_policy: Text = ""
    cmd: tuple[Text, ...] = ()
    args: tuple[Text, ...] = ()
    env: tuple[Env, ...] = ()
    resources: Resources | None = None
    working_dir: Text = ""
    max_poll_duration: Int64 | None = None
    namespace: Text = ""
    ttl_seconds_after_finished: Int32 | None = None
    security_context: SecurityContext = SecurityContext()
    service_account: Text | None = None
    annotations: dict[str, Text] = {}


class Action(_Part):
    """What to do for which events; a silent one answers nothing."""

    name: Text = ""
    events: tuple[EventFilter, ...] = ()
    silent: Flag = False
    tasks: tuple[Task, ...] = ()


class JobConfig(_Part):
    """A whole file."""

    api_version: Text = ""
    actions: tuple[Action, ...] = ()


def homes() -> dict[str, str]:
    """Every key that may stand in a file, with the names of the parts that have it."""
    found: dict[str, str] = {}
    for part in _Part.__subclasses__():
        for name, field in part.model_fields.items():
            key = field.alias or name
            found[key] = f"{found[key]}, {part.__name__}" if key in found else part.__name__
    return found
