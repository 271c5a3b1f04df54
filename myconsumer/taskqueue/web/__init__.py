"""
The embedded queue over HTTP: the pull contract, and what producers and operators ask.
"""
