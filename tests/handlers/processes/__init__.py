"""
Tests for L{myconsumer.handlers.processes}.
"""
