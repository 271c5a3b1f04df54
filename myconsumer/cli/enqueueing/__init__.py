"""
From lines of input to tasks in a queue: C{myconsumer enqueue}.
"""
