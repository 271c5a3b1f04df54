"""
What every command of ours has: one engine of options, and how a daemon starts and ends.
"""
