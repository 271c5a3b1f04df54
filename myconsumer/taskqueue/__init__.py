"""
The embedded queue: tasks in a SQLite file, handed out over HTTP by the pull contract.
"""
