"""
What is known of a running service: the listeners to its events.
"""
