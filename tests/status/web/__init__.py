"""
Tests of L{myconsumer.status}.
"""
