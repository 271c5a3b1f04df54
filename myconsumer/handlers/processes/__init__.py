"""
Worker processes, each of which calls a Python callable with one task after the other:
C{--run-in process}.
"""
