"""The jobconfig: the file that says which jobs an event starts. Pure; nothing here does I/O."""
