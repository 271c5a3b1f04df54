"""
Where the embedded queue keeps its tasks: one SQLite file, and its one writer.
"""
