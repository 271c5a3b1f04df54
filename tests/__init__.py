"""
Tests for L{myconsumer}.
"""
