"""Names that are made of what others chose: an event id may be any text, so it is never one."""

import hashlib


def launch_key(event_id: str, place: tuple[int, int]) -> str:
    """The name under which a task is launched: one for ever for (event, action, task)."""
    digest = hashlib.sha256(event_id.encode(errors="surrogatepass")).hexdigest()[:24]
    return f"{digest}-{place[0]:03d}-{place[1]:03d}"
