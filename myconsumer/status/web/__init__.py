"""
The state over HTTP: metrics, probes, a page for people, and what steers.
"""
