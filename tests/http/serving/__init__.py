"""
Tests for L{myconsumer.http.serving}.
"""
