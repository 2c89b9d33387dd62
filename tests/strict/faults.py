"""How Keptn misbehaves on demand: rules, used up in order, and what each does to one exchange.

Which requests exist and what they mean is not known here; an `Answer` is all that a rule can spoil.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import HTMLResponse, JSONResponse, Response

LOOKUPS = ("execution", "datastore")
PLACES = {*LOOKUPS, "lookup", "any", "event", "triggered", "sequence", "resource", "log"}
PLACES |= {"metadata", "auth", "project", "control", "uniform"}
BEFORE = {"400", "401", "403", "404", "429", "500", "503"}
BEFORE |= {"500_before_accept", "drop_request", "refuse", "413_of_a_proxy"}
"""Modes in which the message is neither taken nor is the sender told that it was."""


def error(status: int, message: str) -> JSONResponse:
    """§3: the error body that is the same everywhere."""
    return JSONResponse({"code": status, "message": message}, status)


_INSTEAD: dict[str, Callable[[], Response | None]] = {
    "accept_drop_reply": lambda: None,
    "500_after_accept": lambda: error(500, "told to answer 500 after accepting"),
    "garbage": lambda: Response("<html>not what was asked for", media_type="text/html"),
    "empty": lambda: JSONResponse({}),
    "no_events": lambda: JSONResponse({"events": []}),
}
MODES = BEFORE | _INSTEAD.keys() | {"lose_200", "reorder", "slow", "duplicate"}


def nothing() -> None:
    """What a look-up publishes."""


@dataclass
class Answer:
    """One reply, what publishing the message means, and what a promise to publish it means."""

    reply: Response
    publish: Callable[[], None] = nothing
    promise: Callable[[], None] = nothing


@dataclass
class Rule:
    """`times` exchanges (None: all) on route `where` go wrong in the way of `mode`."""

    mode: str
    where: str = "event"
    kind_of_event: str = "any"
    times: int | None = 1
    seconds: float | None = None
    project: str = ""
    path: str = ""

    def matches(self, exchange: "Exchange") -> bool:
        """Whether the rule is meant for this exchange."""
        places = LOOKUPS if self.where == "lookup" else (self.where,)
        return (
            self.times != 0
            and (exchange.route in places or self.where == "any")
            and self.kind_of_event in ("any", exchange.kind)
            and self.project in ("", exchange.project)
            and exchange.path.endswith(self.path)
        )


@dataclass(frozen=True)
class Exchange:
    """What a rule can look at; `path` is still escaped."""

    route: str
    kind: str
    project: str
    path: str


class Faults:
    """The rules in force, and the messages that wait behind another one."""

    def __init__(self, refuse: Callable[[float], None]) -> None:
        self.rules: list[Rule] = []
        self._refuse = refuse
        self._waiting: list[Callable[[], None]] = []

    def clear(self) -> None:
        """Behave from now on; what still waited is lost."""
        self.rules, self._waiting = [], []

    def rule_for(self, exchange: Exchange) -> Rule | None:
        """The first rule that matches, one use of it spent."""
        for rule in self.rules:
            if rule.matches(exchange):
                if rule.times:
                    rule.times -= 1
                return rule
        return None

    async def settle(self, rule: Rule | None, answer: Answer) -> Response | None:
        """Publish and reply as the rule says; None closes the connection without a reply."""
        mode, seconds = (rule.mode, rule.seconds) if rule else ("", None)
        if mode == "413_of_a_proxy":
            return HTMLResponse("<html>Request Entity Too Large", 413)
        if mode in BEFORE:
            return self._turn_away(mode, seconds)
        answer.promise()
        if mode == "reorder":
            self._waiting.append(answer.publish)
            asyncio.get_running_loop().call_later(seconds or 1.0, self._catch_up)
        elif mode != "lose_200":
            for _ in range(2 if mode == "duplicate" else 1):
                self._publish(answer.publish)
        if mode == "slow":
            await asyncio.sleep(seconds or 6.0)
        return _INSTEAD[mode]() if mode in _INSTEAD else answer.reply

    def _turn_away(self, mode: str, seconds: float | None) -> Response | None:
        if mode == "refuse":
            self._refuse(seconds or 2.0)
        if mode in ("refuse", "drop_request"):
            return None
        reply = error(int(mode[:3]), f"told to answer {mode}")
        if mode == "429":
            reply.headers["Retry-After"] = f"{seconds or 1:g}"
        return reply

    def _publish(self, publish: Callable[[], None]) -> None:
        publish()
        if publish is not nothing:
            self._catch_up()

    def _catch_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for publish in waiting:
            publish()
