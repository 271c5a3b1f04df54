"""
The options of C{twistd consumer}: the table of them, and what they come to.
"""
