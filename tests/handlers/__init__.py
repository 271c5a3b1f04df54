"""
Tests of the handlers.
"""
