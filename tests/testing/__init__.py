"""
Tests of what is for tests.
"""
