"""A task's files as one archive, cut into ConfigMaps; `unpack` is what reads them again."""

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from app.engines.kubernetes import names
from app.engines.kubernetes.port import Object
from app.errors import Permanent

PART_BYTES = 765 * 1024
"""In base64 just below the one MiB that a ConfigMap may hold, and that is sent in one piece."""

LARGEST = 20 * 1024 * 1024


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive: the same files are the same bytes, whoever packs them, and when.

    Raises:
        Permanent: they are too large, telling how large; or a path leaves the folder, or is none.
    """
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or not name.isprintable():
            raise Permanent(f"file {name!r} leaves the task's folder: use a relative path")
    size = sum(map(len, files.values()))
    if size > LARGEST:
        raise Permanent(
            f"files: {size / 2**20:.1f} MiB in all, a task in the cluster can have"
            f" {LARGEST // 2**20} MiB: name fewer, or bring them in the image"
        )
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def config_maps(archive: bytes, namespace: str, managed_by: str) -> list[Object]:
    """The objects that hold an archive, in order; two installations never share one."""
    digest = hashlib.sha256(archive).hexdigest()
    name = hashlib.sha256(f"{managed_by}/{digest}".encode()).hexdigest()[:40]
    labels = {names.MANAGED_BY: managed_by, names.FILES: digest[:32]}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"firstmate-{name}-{start // PART_BYTES}",
                "namespace": namespace,
                "labels": labels,
            },
            "immutable": True,
            "binaryData": {"part": base64.b64encode(archive[start:][:PART_BYTES]).decode()},
        }
        for start in range(0, len(archive), PART_BYTES)
    ]
