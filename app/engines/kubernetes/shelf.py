"""A task's files as ConfigMaps: packed, made when needed, removed when unused.

How a pod gets them out again stands in `manifest`, and in `unpack`, which reads them.
"""

import asyncio
import base64
import contextlib
import hashlib
import io
import tarfile
from collections.abc import Collection, Mapping
from datetime import datetime

from app.engines.kubernetes import names
from app.engines.kubernetes.client import Cluster
from app.engines.kubernetes.manifest import Parts
from app.engines.kubernetes.port import Kind, Object, Taken, Where

PART_BYTES = 765 * 1024
"""In base64 just below the one MiB that a ConfigMap may hold, and that is sent in one piece."""

UNUSED_SECONDS = 86400.0
FRESH_SECONDS = 3600.0
"""For so long a ConfigMap that was there is taken to be there still."""


class Shelf:
    """Who uses what since when; nothing needs to be remembered over a restart."""

    def __init__(self, cluster: Cluster, namespace: str, managed_by: str) -> None:
        self._cluster, self._clock, self._managed_by = cluster, cluster.clock, managed_by
        labels = {names.MANAGED_BY: managed_by, names.FILES: ""}
        self._where = Where(Kind.CONFIG_MAP, namespace, labels)
        self._began = self._clock.now()
        self._used: dict[str, float] = {}
        self._changing = asyncio.Lock()

    async def put(self, files: Mapping[str, bytes]) -> Parts:
        """Have the files there.

        Raises:
            Temporary: they may or may not be there.
        """
        archive = await asyncio.to_thread(_packed, files)
        digest = hashlib.sha256(archive).hexdigest()
        made, label = _config_maps(archive, digest, self._where, self._managed_by), digest[:32]
        async with self._changing:
            if self._used.get(label, 0.0) < self._clock.now() - FRESH_SECONDS:
                for body in made:
                    with contextlib.suppress(Taken):  # what has the same hash has the same content
                        await self._cluster.create(self._where, body)
                self._used[label] = self._clock.now()
        return Parts(digest, tuple(body["metadata"]["name"] for body in made))

    async def sweep(self, in_use: Collection[str]) -> None:
        """Remove what neither a Job in the cluster nor anybody today has used."""
        async with self._changing:
            for found in await self._cluster.all(self._where):
                label = found["metadata"]["labels"][names.FILES]
                if label not in in_use and self._is_old(label, found):
                    self._used.pop(label, None)
                    await self._cluster.delete(self._where, found["metadata"]["name"])

    def _is_old(self, label: str, found: Object) -> bool:
        made = datetime.fromisoformat(found["metadata"]["creationTimestamp"]).timestamp()
        last = max(made, self._used.get(label, self._began))
        return last < self._clock.now() - UNUSED_SECONDS


def _packed(files: Mapping[str, bytes]) -> bytes:
    """The archive: the same files are the same bytes, whoever packs them, and when."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def _config_maps(archive: bytes, digest: str, where: Where, managed_by: str) -> list[Object]:
    """The objects that hold an archive, in order; two installations never share one."""
    name = hashlib.sha256(f"{managed_by}/{digest}".encode()).hexdigest()[:40]
    labels = {names.MANAGED_BY: managed_by, names.FILES: digest[:32]}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"firstmate-{name}-{start // PART_BYTES}",
                "namespace": where.namespace,
                "labels": labels,
            },
            "immutable": True,
            "binaryData": {"part": base64.b64encode(archive[start:][:PART_BYTES]).decode()},
        }
        for start in range(0, len(archive), PART_BYTES)
    ]
