"""One launch from its Job's creation to its end; who may ask for it, and where, the engine knows.

A failing API ends nothing here: it is asked again until the work's own deadline.
"""

import asyncio
import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from app import boundaries
from app.engines.contract import Ended, Work
from app.engines.kubernetes import inspection, manifest, names, sight
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.mirror import Record
from app.engines.kubernetes.output import Outputs
from app.engines.kubernetes.port import Kind, Object, Rejected, Where
from app.engines.kubernetes.shelf import Shelf
from app.engines.kubernetes.sight import Wait
from app.engines.kubernetes.site import Site
from app.errors import Permanent, Temporary
from app.patience import insist

FIRST_LOOK = 5.0
"""After so long without a running container, the events are asked why; then ever more seldom."""

GONE_SECONDS = 60.0
"""How long to wait until a deleted Job's pods are gone; then they are said to be there still."""

LOOK_SECONDS = 2.0
WARNINGS_TOLD = 3

_MAY_PASS = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
"""A cluster that has just begun may not know our rights yet, and a Job that is there already, whose
reply was lost, will be seen if it is ours."""


@dataclass(slots=True)
class Flight:
    """A launch that somebody waits for; times are the clock's ticks.

    `cancelled` is set from outside; `told` is what events said; what it waits for, if
    anything, is hopeless at `hopeless_at`, and `words` are the cluster's about it.
    """

    key: str
    namespace: str
    record: Record
    graces: Mapping[Wait, float]
    begun: float
    ends_at: float
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    cancelled: bool = False
    ended: Ended | None = None
    told: tuple[Wait, str] = ("", "")
    wait: Wait = ""
    words: str = ""
    hopeless_at: float = math.inf
    looks: int = 0

    def trouble(self, now: float) -> tuple[str, str] | None:
        """The cause and the words for which it must be put down, if there are."""
        self._note(now)
        if self.cancelled:
            return "cancelled", ""
        if now >= self.ends_at:
            return "timeout", self.words
        return ("create", self.words) if now >= self.hopeless_at else None

    def patient_until(self) -> float:
        """When to look again should nothing happen."""
        return min(self.ends_at, self.hopeless_at, self._look_at())

    def is_due_for_a_look(self, now: float) -> bool:
        """Whether its events should be asked for; the next time is twice as late."""
        due = now >= self._look_at()
        self.looks += due
        return due

    def _look_at(self) -> float:
        """Never while a container runs, or the pod itself says why it does not."""
        pod = self.record.pod
        if pod and (pod.started or pod.wait):
            return self.ends_at
        return self.begun + FIRST_LOOK * 2.0**self.looks

    def _note(self, now: float) -> None:
        pod = self.record.pod
        wait, words = (pod.wait, pod.words) if pod and (pod.wait or pod.started) else self.told
        if wait != self.wait:
            self.wait, self.words = wait, words
            self.hopeless_at = now + self.graces.get(wait, 0.0) if wait else math.inf
        elif wait and not words.startswith("ImagePullBackOff"):  # why it failed was said before
            self.words = words


class Pilot:
    """Does to the cluster what one flight needs."""

    def __init__(self, cluster: Cluster, site: Site, outputs: Outputs) -> None:
        self._cluster, self._clock = cluster, cluster.clock
        self._site, self._outputs = site, outputs

    async def create(self, flight: Flight, work: Work, shelf: Shelf) -> None:
        """Make the Job, or see it made; in vain only when the flight is in trouble by then.

        Raises:
            Permanent: the cluster will not have it; the text is its own.
        """
        where, failures, patient_until = Where(Kind.JOB, flight.namespace), 0, None
        while flight.record.job is None and not flight.trouble(self._clock.tick()):
            try:
                parts = await self._shelved(work, shelf) if work.files else None
                boundaries.reached("files shelved")
                body = manifest.job(flight.key, work, self._site, parts)
                made = sight.job(await self._cluster.create(where, body))
                boundaries.reached("job created")
                flight.begun = self._clock.tick()  # it may have waited long for its turn
                flight.record.job = flight.record.job or made
            except (Temporary, Rejected) as error:
                if isinstance(error, Rejected):
                    now = self._clock.tick()
                    patient_until = patient_until or now + flight.graces["trouble"]
                    if error.status not in _MAY_PASS or now > patient_until:
                        raise Permanent(f"the cluster refuses the Job: {error}") from None
                flight.words = str(error)
                failures += 1
                await self._nap(flight, max(error.after or 0.0, self._clock.backoff(failures)))

    async def see_out(self, flight: Flight) -> Ended:
        """Wait for the end and keep what was printed, or put it down when it is in trouble."""
        while flight.ended is None:
            record = flight.record
            ended = sight.judge(record.job, record.pod)
            if ended is None and flight.is_due_for_a_look(self._clock.tick()):
                flight.told = sight.told(await self._events(flight))
            trouble = flight.trouble(self._clock.tick())
            if trouble or (ended and not (record.pod and record.pod.ended)):
                ended = await self._judged_anew(flight)
            if ended:
                boundaries.reached("exit seen")
                flight.ended = await self._concluded(flight, ended)
            elif trouble:
                flight.ended = await self._put_down(flight, *trouble)
            else:
                await self._nap(flight, flight.patient_until() - self._clock.tick())
        return flight.ended

    async def _shelved(self, work: Work, shelf: Shelf) -> manifest.Parts:
        """The task's files where a pod can have them, which takes an image of ours in it."""
        self._site = await inspection.with_image(self._cluster, self._site)
        return await shelf.put(work.files)

    async def _judged_anew(self, flight: Flight) -> Ended | None:
        """How it ended by what the cluster itself says: a watch may be late, or cut off."""
        with contextlib.suppress(Temporary, Rejected):
            for found in await insist(lambda: self._pods(flight), self._clock, GONE_SECONDS):
                flight.record.pod = sight.pod(found)
        return sight.judge(flight.record.job, flight.record.pod)

    async def _concluded(self, flight: Flight, ended: Ended) -> Ended:
        """The end with all that can still be learnt about it."""
        if pod := flight.record.pod:
            is_kept = await self._outputs.keep(flight.key, flight.namespace, pod.name)
            printed = self._outputs.read(flight.key).text() if is_kept else None
            ended = replace(ended, result=sight.result(ended, printed))
        if ended.passed:
            return ended
        warnings = sight.warnings(await self._events(flight), WARNINGS_TOLD)
        events = f"events: {_joined(*warnings)}" if warnings else ""
        return replace(ended, detail=_joined(ended.detail, events))

    async def _put_down(self, flight: Flight, cause: str, words: str) -> Ended:
        """Delete the Job, keep what is printed up to the end, and say whether its pods are gone."""
        if (pod := flight.record.pod) and pod.started:
            await self._outputs.keep(flight.key, flight.namespace, pod.name)
            # What it prints while it is asked to end goes with the pod unless it is followed.
            self._outputs.follow(flight.key, flight.namespace, pod.name)
        left = await self._removed(flight)
        await self._outputs.stop(flight.key)
        last = flight.record.pod
        code = last.ended.code if last and last.ended else None
        return Ended(code, cause, _joined(words, left))

    async def _removed(self, flight: Flight) -> str:
        """Delete the Job and wait until its pods are gone; what is left then, for people."""
        name, ends_at = names.job(flight.key), self._clock.tick() + GONE_SECONDS
        while True:
            try:
                await self._cluster.delete(Where(Kind.JOB, flight.namespace), name)
                pods = await self._pods(flight)
                left = f"its pod {pods[0]['metadata']['name']} is still there" if pods else ""
            except (Temporary, Rejected) as error:
                left = f"its Job {name} may still be there: {error}"
            if not left or self._clock.tick() > ends_at:
                return left
            await self._nap(flight, LOOK_SECONDS)

    async def _pods(self, flight: Flight) -> list[Object]:
        return await self._cluster.all(Where(Kind.POD, flight.namespace, {names.KEY: flight.key}))

    async def _events(self, flight: Flight) -> list[Object]:
        """What the cluster had to say about the pod, or about a Job that has none."""
        subject = flight.record.pod.name if flight.record.pod else names.job(flight.key)
        where = Where(Kind.EVENT, flight.namespace, fields=f"involvedObject.name={subject}")
        with contextlib.suppress(Temporary, Rejected):
            return await self._cluster.all(where)
        return []

    async def _nap(self, flight: Flight, seconds: float) -> None:
        """Until something changes, at most so long."""
        await self._clock.wait(flight.record.changed, max(seconds, 0.0))
        flight.record.changed.clear()


def _joined(*texts: str) -> str:
    return sight.line("; ".join(filter(None, texts)))
