"""One round: a service is killed where it hurts, started again, and everything is counted.

Which rounds are played is decided in `test_matrix.py` and `soak.py`.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.killing import Kill
from tests.crash.peers import TASK, NatsPeer, Peer, PlanePeer, StrictPeer
from tests.crash.sea import CARGO, LASTS, Sea
from tests.crash.service import Service
from tests.kube.client import KubeHost
from tests.strict.client import StrictKeptn

PATIENCE = 30.0
"""Seconds after which a task that is still open counts as lost."""

OUTSIDE = ("second delivery", "job running")
"""Kills from outside, while a job is held up: after its event came again, or just so."""

BOUNDARIES: dict[str, tuple[Kill, ...]] = {
    "schema half made": (Kill("schema half made"),),
    "accept committed": (Kill("accept committed"),),
    "plan committed": (Kill("plan committed"),),
    "intent committed": (Kill("intent committed", "started"), Kill("intent committed", "finished")),
    "sent": (Kill("sent", "started"), Kill("sent", "finished")),
    "reply received": (Kill("reply received", "started"), Kill("reply received", "finished")),
    "launch committed": (Kill("launch committed"), Kill("launch committed", nth=2)),
    "files written": (Kill("files written"), Kill("files written", nth=2)),
    "forked": (Kill("forked"), Kill("forked", nth=2)),
    "child ended": (Kill("child ended"), Kill("child ended", nth=2)),
    "exit seen": (Kill("exit seen"), Kill("exit seen", nth=2)),
    "container created": (Kill("container created"), Kill("container created", nth=2)),
    "container started": (Kill("container started"), Kill("container started", nth=2)),
    "container found": (Kill("container found"),),
    "files shelved": (Kill("files shelved"), Kill("files shelved", nth=2)),
    "job made": (Kill("job made"), Kill("job made", nth=2)),
    "job created": (Kill("job created"), Kill("job created", nth=2)),
    "job found": (Kill("job found"),),
    "second delivery": (Kill("second delivery"),),
    "job running": (Kill("job running"), Kill("job running", nth=2)),
}
"""Every boundary with the passings of it that one sequence has."""

IN_CONTAINERS = ("container created", "container started", "container found")
"""Boundaries that only the container engine has; the first two are reached in its stand-in."""

IN_PROCESSES = ("files written", "forked", "child ended")
"""Boundaries that the supervisor has, which a cluster does without."""

IN_CLUSTERS = ("files shelved", "job made", "job created", "job found")
"""Boundaries that only the engine `kubernetes` has; the second is reached in the double's API."""

BEFORE = {
    "container found": (Kill("job running", children=True),),
    "job found": (Kill("job running"),),
}
"""What has to happen first for a boundary to be reached at all."""


@dataclass(frozen=True)
class Mode:
    """How Keptn misbehaves: by which rules (see `tests.strict.faults`), and how often it delivers.

    It counts `surplus` answers twice that were sent once. Where it is `mute`, what is doubtful
    stays so, and answers may have to be sent twice. With an `outage`, what lies between it and the
    service is killed too, each time that a service has begun.
    """

    name: str
    rules: tuple[dict[str, Any], ...] = ()
    deliveries: int = 1
    surplus: int = 0
    mute: bool = False
    outage: bool = False
    transports: tuple[str, ...] = ("sidecar", "api", "poll", "nats")


def _once(mode: str, *kinds: str, **more: Any) -> tuple[dict[str, Any], ...]:
    """Rules that spoil the first answer of each kind."""
    return tuple({"mode": mode, "kind_of_event": kind, **more} for kind in kinds)


BOTH = ("started", "finished")
SIDECAR = ("sidecar",)
MUTE: dict[str, Any] = {"mode": "404", "where": "lookup", "times": None}
NATS = ("nats", "jetstream")
MODES = (
    Mode("clean", transports=("sidecar", "jetstream", "api", "nats")),
    Mode("started taken, reply dropped", _once("accept_drop_reply", "started")),
    Mode("finished taken, reply dropped", _once("accept_drop_reply", "finished")),
    Mode("started lost after 200", _once("lose_200", "started"), transports=SIDECAR),
    Mode("finished lost after 200", _once("lose_200", "finished"), transports=SIDECAR),
    Mode("both lost after 200", _once("lose_200", *BOTH), transports=SIDECAR),
    Mode("500 after accepting", _once("500_after_accept", *BOTH)),
    Mode("500 before accepting", _once("500_before_accept", *BOTH)),
    Mode("slow", _once("slow", *BOTH, seconds=1.0)),
    Mode("connections refused", _once("refuse", *BOTH, seconds=1.0)),
    Mode("401 once", _once("401", *BOTH)),
    Mode("429 with Retry-After", _once("429", *BOTH, seconds=1.0)),
    Mode("triggered delivered twice", deliveries=2, transports=("sidecar", "jetstream", "api")),
    Mode("nats-server killed", outage=True, transports=("jetstream", *NATS)),
    Mode("nothing can be asked of a stream", (MUTE,), mute=True, transports=("jetstream",)),
    Mode("reordered", _once("reorder", *BOTH, seconds=0.7)),
    Mode("started counted twice", _once("duplicate", "started"), surplus=1, transports=SIDECAR),
    Mode("finished counted twice", _once("duplicate", "finished"), surplus=1),
    Mode("nothing can be asked", (*_once("accept_drop_reply", "started"), MUTE), mute=True),
)
PLANE = Mode("clean", transports=("plane",))
SLOWEST = Mode("slower than a sender may wait", _once("slow", *BOTH, seconds=6.0))


@dataclass(frozen=True)
class Round:
    """A sequence whose service is killed, perhaps often.

    `transport` is sidecar, api, poll, nats, jetstream or plane; `engine` process, container or
    kubernetes, and in a cluster there is `weather`, see `tests.kube.weather`.
    """

    kills: tuple[Kill, ...]
    mode: Mode
    transport: str
    engine: str = "process"
    weather: str = ""

    def __str__(self) -> str:
        kills = " then ".join(map(str, self.kills))
        weather = f" in {self.weather}" * bool(self.weather)
        return f"{kills} - {self.mode.name} - {self.transport} - {self.engine}{weather}"


@dataclass(frozen=True)
class Result:
    """What a round came to; `lost` to `leaks` must be 0.

    `orphans` are Jobs that run on when all is answered, `leaks` planted secrets where none may be.

    `interrupted` says that the answer told of a task that the crash took along; in a `doubtful`
    round nothing could be asked, so that answers may have come twice.
    """

    round: Round
    kills: int
    lost: int
    doubled: int
    launched_twice: int
    doubtful: int
    interrupted: bool
    seconds: float
    note: str
    orphans: int = 0
    leaks: int = 0

    @property
    def survived(self) -> bool:
        """Whether nothing was lost and nothing done twice."""
        harm = self.lost, self.doubled, self.launched_twice, self.orphans, self.leaks
        return not any(harm)


def play(played: Round, keptn: StrictKeptn, channel: str, host: KubeHost) -> Result:
    """Play a round from an empty folder to the last look; others may share channel and host."""
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as name:
        sea = Sea(host, played.weather) if played.engine == "kubernetes" else None
        service = Service(Path(name), played.engine, channel, sea.cluster if sea else None)
        try:
            result = _Stage(played, keptn, service).play()
            return sea.judge(result, service.traces()) if sea else result
        finally:
            service.close()
            if sea:
                sea.cluster.close()


class _Stage:
    """Everything of one round."""

    def __init__(self, played: Round, keptn: StrictKeptn, service: Service) -> None:
        self._begun = time.monotonic()
        self._round = played
        self._service = service
        self._files = [service.folder / "first", service.folder / "second"]
        self._kills = 0
        self._triggered = False
        self._peer = self._meet(keptn)

    def _meet(self, keptn: StrictKeptn) -> Peer:
        more = CARGO if self._round.engine == "kubernetes" else ""
        config, mode = _config(self._files, more), self._round.mode
        if self._round.transport == "plane":
            return PlanePeer(self._service, config)
        kind = NatsPeer if self._round.transport in NATS else StrictPeer
        peer = kind(keptn, self._service, config, self._round.transport)
        peer.deliveries = mode.deliveries
        keptn.faults(*({**rule, "project": peer.project} for rule in mode.rules))
        return peer

    def play(self) -> Result:
        try:
            return self._play()
        finally:
            self._peer.close()

    def _play(self) -> Result:
        for kill in self._round.kills:
            if kill.at in OUTSIDE:
                self._live_into_job(kill)
            else:
                self._live_to_boundary(kill)
            if self._service.alive:
                break
            self._kills += 1
        else:
            self._start()
        patience = PATIENCE + LASTS.get(self._round.weather, 0.0)
        ended = self._peer.await_end(patience) and self._service.await_quiet(patience)
        return self._judge(ended=ended, doubtful=self._service.doubtful())

    def _start(self, kill: Kill | None = None, holding: Path | None = None) -> None:
        """Start the service, and the sequence as soon as there is somebody to do it.

        A job that was held up over the crash goes on when the new service had time to find it.
        """
        if self._service.start(kill) and not self._triggered:
            self._triggered = True
            self._peer.trigger()
        if self._round.mode.outage:
            self._peer.disturb()
        held = [file for file in map(_hold, self._files) if file.exists() and file != holding]
        until = time.monotonic() + (PATIENCE if kill and kill.at in BEFORE else 0.5)
        while held and self._service.alive and time.monotonic() < until:
            time.sleep(0.02)
        if self._service.alive:
            for file in held:
                file.unlink()

    def _live_to_boundary(self, kill: Kill) -> None:
        self._start(kill)
        while self._service.alive and not self._has_ended():
            pass

    def _live_into_job(self, kill: Kill) -> None:
        file = self._files[kill.nth - 1]
        _hold(file).touch()
        self._start(holding=_hold(file))
        while not (_lines(file) or self._has_ended()):
            pass
        if kill.at == "second delivery":
            self._peer.deliver_again()
        self._service.kill(children=kill.children)

    def _has_ended(self) -> bool:
        """Whether there is nothing left to be killed in; takes a moment to say no."""
        return self._peer.await_end(0.02) and self._service.await_quiet(0.02)

    def _judge(self, *, ended: bool, doubtful: int) -> Result:
        mode, verdict = self._round.mode, self._peer.verdict()
        in_order = ended and verdict.complete and verdict.started == verdict.finished
        doubled = max(verdict.started, verdict.finished) - 1 + verdict.late - mode.surplus
        lines = [_lines(file) for file in self._files]
        return Result(
            round=self._round,
            kills=self._kills,
            lost=(not in_order) + len(verdict.violations) + self._lost_outcomes(verdict.message),
            doubled=0 if mode.mute else max(0, doubled),
            launched_twice=sum(max(0, number - 1) for number in lines),
            doubtful=doubtful,
            interrupted="was interrupted" in verdict.message,
            seconds=time.monotonic() - self._begun,
            note=f"ended: {ended}, lines: {lines}, {verdict}\n{self._service.log()}",
        )

    def _lost_outcomes(self, message: str) -> int:
        """Tasks that did not run though nothing came between, or ran to an end that is not told."""
        # A container goes on when all that watched it is killed.
        gone = self._round.engine == "process" and any(one.children for one in self._round.kills)
        lost = 0
        for number, file in enumerate(self._files):
            has_run, has_ended = _lines(file) > 0, self._service.has_saved_exit(number)
            if f"Task '{file.name}' was interrupted" in message:
                return lost + (has_ended or (has_run and not gone))
            lost += not has_run
        return lost


def _config(files: list[Path], more: str) -> str:
    """A job config whose tasks each write one line into their file, and may be held up."""
    tasks = "".join(
        f"""
      - name: {file.name}
        image: box:1
        cmd: [/bin/sh, -c]
        args: ["echo x >> {file}; while [ -e {_hold(file)} ]; do sleep 0.02; done"]{more}"""
        for file in files
    )
    return f"""
apiVersion: v2
actions:
  - name: two tasks
    events: [{{name: {TASK}.triggered}}]
    tasks: {tasks}
"""


def _hold(file: Path) -> Path:
    return file.with_suffix(".hold")


def _lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0
