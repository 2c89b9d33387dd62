"""Keptn's language both ways: what comes in is parsed once, what goes out is built and bounded.

Pure functions of bytes and values; nothing in this room does I/O or asks the time.
"""
