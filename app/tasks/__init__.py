"""What a task is: one file a kind, each turning a task of the file into an engine's `Work`.

Kinds know the file and the event; they never run anything.
"""
