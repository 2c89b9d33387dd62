"""What is said to a cluster and heard from it; how it is said, only `client` knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.errors import Permanent, Temporary

Object = dict[str, Any]
"""A Kubernetes object as its JSON is."""


class Rejected(Permanent):
    """The cluster understood and will not; the text is its own."""

    after: float | None = None
    """Nothing is said of when to try again."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Missing(Rejected):
    """There is no such object."""


class Taken(Rejected):
    """An object of that name is there."""


class Expired(Temporary):
    """The version is too old to go on from: list again."""


class Kind(StrEnum):
    """The kinds of objects that we deal with, as paths below a namespace, if they are in one."""

    JOB = "/apis/batch/v1/namespaces/{}/jobs"
    POD = "/api/v1/namespaces/{}/pods"
    EVENT = "/api/v1/namespaces/{}/events"
    CONFIG_MAP = "/api/v1/namespaces/{}/configmaps"
    ACCESS_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Where:
    """A kind in a namespace, or what label and field selectors leave of it.

    A label with an empty value only has to be there.
    """

    kind: Kind
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    fields: str = ""
