"""
What can be done with a task: one module for each kind of handler.
"""
