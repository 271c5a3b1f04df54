"""
The C{myconsumer} command: for producers and operators of a queue over HTTP.
"""
