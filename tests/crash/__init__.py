"""The crash matrix: the real service, killed with -9 at every named boundary, must lose nothing.

`matrix.py` plays a round, `test_matrix.py` each boundary x mode once, `soak.py` as many as asked.
"""
