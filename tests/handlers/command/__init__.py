"""
Tests for L{myconsumer.handlers.command}.
"""
