"""
Tests for L{myconsumer.cli.enqueueing}.
"""
