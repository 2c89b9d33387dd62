"""The tests: one folder a subject; what plays the other side is a program of its own."""
