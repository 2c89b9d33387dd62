"""Rates, latencies and sizes, each beside a baseline of the same run; no test stands here."""
