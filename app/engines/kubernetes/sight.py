"""What a Job, its pod and their events tell, in few words: pure, and small enough for thousands."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from app.engines.contract import OOM_KILLED, RESULT_BYTES, Ended
from app.engines.kubernetes import names
from app.engines.kubernetes.port import Object
from app.outbound import json_object

NOT_FOUND = 127
"""The exit code of what could not be started, as a shell has it."""


Wait = Literal["", "hopeless", "trouble", "room"]
"""What holds a pod up, if anything does; for how long it may, the engine decides."""

_HOPELESS = ("InvalidImageName", "ErrImageNeverPull")
_PULL = ("ErrImagePull", "ImagePullBackOff", "ImageInspectError")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_NEVER_RAN = ("ContainerCannotRun", "StartError", "ContainerStatusUnknown")
_WORTH_TELLING = ("FailedCreate", "FailedMount", "FailedCreatePodSandBox")


@dataclass(frozen=True, slots=True)
class JobSight:
    """A Job, and what the cluster says of its end; the exit code is its pod's to tell.

    At `ends_at`, in seconds since the epoch, the cluster ends it.
    """

    key: str
    ends_at: float
    files: str
    ended: Ended | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class PodSight:
    """A pod: how its container ended, or what it waits for, and in which words.

    `leaving` means that somebody deletes it, so that an end is not its own doing.
    """

    key: str
    name: str
    started: bool
    leaving: bool
    ended: Ended | None
    wait: Wait
    words: str
    gone: bool = False


def job(found: Object) -> JobSight:
    """A Job as it is; conditions count by type and status."""
    metadata, conditions = found["metadata"], _conditions(found, "True")
    created = datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
    ended = Ended(0) if "Complete" in conditions else None
    if failed := conditions.get("Failed"):
        ended = Ended(None, "interrupted", _said(failed))
        if failed.get("reason") == "DeadlineExceeded":
            ended = Ended(None, "timeout", "the cluster ended it at its deadline")
    return JobSight(
        key=metadata["labels"][names.KEY],
        ends_at=created + found["spec"]["activeDeadlineSeconds"],
        files=metadata["labels"].get(names.FILES, ""),
        ended=ended,
    )


def pod(found: Object) -> PodSight:
    """A pod as it is."""
    metadata, status = found["metadata"], found.get("status", {})
    key = metadata["labels"][names.KEY]
    main = _state(status.get("containerStatuses"), names.job(key))
    init = _state(status.get("initContainerStatuses"), "files")
    wait, words = _held_up(found, init.get("waiting") or main.get("waiting", {}))
    return PodSight(
        key=key,
        name=metadata["name"],
        started="running" in main or "terminated" in main,
        leaving="deletionTimestamp" in metadata,
        ended=_end(found, main.get("terminated"), init),
        wait=wait,
        words=words,
    )


def judge(job: JobSight | None, pod: PodSight | None) -> Ended | None:
    """How the work ended; None while it goes on, or while more has to be heard."""
    own = pod.ended if pod else None
    if own and pod and not pod.leaving:
        return own
    told = job.ended if job else None
    if told is None and job and job.gone:
        told = Ended(None, "interrupted", "its Job was deleted from outside")
    if told and own:
        return own if told.passed else replace(told, code=own.code)
    return told


def told(events: list[Object]) -> tuple[Wait, str]:
    """What events say about a Job without a pod, or a pod without a container."""
    for one in reversed(events):
        if one.get("reason") in _WORTH_TELLING:
            words = _said(one)
            return ("room" if "exceeded quota" in words else "trouble"), words
    return "", ""


def warnings(events: list[Object], most: int) -> list[str]:
    """The last warnings among them."""
    return [_said(one) for one in events if one.get("type") == "Warning"][-most:]


def line(text: str) -> str:
    """The cluster's words as one line of bounded length."""
    return " ".join(text.split())[:1000]


def result(ended: Ended, printed: str | None) -> bytes:
    """What stood in the result file: a failed container without one shows its log's tail instead.

    `printed` is None where the log could not be read.

    The node keeps the last 4096 bytes of a larger file: one byte more says that it was larger.
    """
    if json_object(ended.result) is not None:
        return ended.result
    told = ended.result.decode().rstrip()
    if ended.code and (printed is None or printed.rstrip().endswith(told)):
        return b""
    return ended.result + b" " * (len(ended.result) == RESULT_BYTES)


def _end(found: Object, terminated: Object | None, init: Object) -> Ended | None:
    """What ended the container, or the pod as a whole."""
    status, code = found.get("status", {}), terminated["exitCode"] if terminated else None
    if status.get("phase") == "Failed":
        disrupted = _conditions(found, "True").get("DisruptionTarget", {})
        if about := status if "reason" in status else disrupted:
            cause = "timeout" if about["reason"] == "DeadlineExceeded" else "interrupted"
            return Ended(code, cause, _said(about))
        if terminated is None:
            words = init.get("terminated", {}).get("message", "")
            return Ended(None, "create", line(words or "its pod failed without a word"))
    if terminated is None:
        return None
    reason: str = terminated.get("reason", "")
    if reason in _NEVER_RAN:
        return Ended(NOT_FOUND, "start", _said(terminated))
    detail = {"Completed": "", "Error": "", "OOMKilled": OOM_KILLED}.get(reason, reason)
    return Ended(code, "run", detail, terminated.get("message", "").encode())


def _held_up(found: Object, waiting: Object) -> tuple[Wait, str]:
    if (reason := waiting.get("reason")) in (*_HOPELESS, *_PULL, *_CONFIG):
        return ("hopeless" if reason in _HOPELESS else "trouble"), _said(waiting)
    scheduled = _conditions(found, "False").get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        return "room", _said(scheduled)
    return "", ""


def _said(about: Object) -> str:
    return line(f"{about['reason']}: {about.get('message', '')}")


def _state(statuses: list[Object] | None, name: str) -> Object:
    return next((one.get("state", {}) for one in statuses or [] if one["name"] == name), {})


def _conditions(found: Object, status: str) -> dict[str, Object]:
    conditions = found.get("status", {}).get("conditions") or []
    return {one["type"]: one for one in conditions if one["status"] == status}
