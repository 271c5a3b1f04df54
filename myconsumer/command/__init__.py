"""
What every command of ours has: options of one kind, and the manners of a daemon.
"""
