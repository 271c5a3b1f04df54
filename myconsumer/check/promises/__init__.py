"""
What the contract promises, a module a chapter.  The docstring of each check is the line
of the report.
"""
