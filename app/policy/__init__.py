"""The operator's policy: what tasks may ask for, by rules for all projects and for single ones.

It is applied while a run is planned; nothing here plans, launches or answers.
"""
