"""
Tests for L{myconsumer.queues}.
"""
