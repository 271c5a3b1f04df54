"""
Tests for L{myconsumer.command}.
"""
