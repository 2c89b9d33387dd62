"""YAML files that people write, read so that every fault has its line; no file's keys live here."""
