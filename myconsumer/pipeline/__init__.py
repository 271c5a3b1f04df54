"""
One run of the service, in the order of a task's way: claimed, run, settled.
"""
