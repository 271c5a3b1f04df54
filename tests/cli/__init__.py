"""
Tests for L{myconsumer.cli}.
"""
