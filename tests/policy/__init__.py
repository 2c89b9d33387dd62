"""The operator's policy: its rules, its file, and what becomes of a plan that it forbids."""
