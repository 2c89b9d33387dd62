"""Where events come in: bytes in, `lifecycle.accept`, a status out, and nothing else.

No door waits for the work, reads a config, or knows what a task is.
"""
