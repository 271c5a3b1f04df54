"""
The protocols in which tasks are pulled, one module each.
"""
