"""
A process that calls a Python callable with one task after the other: both ends of it.
"""
