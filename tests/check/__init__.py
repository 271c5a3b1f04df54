"""
Tests for L{myconsumer.check}.
"""
