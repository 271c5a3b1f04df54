"""
Commands that are run for tasks: C{--exec}.
"""
