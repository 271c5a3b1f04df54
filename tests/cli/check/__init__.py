"""
Tests for L{myconsumer.cli.check}.
"""
