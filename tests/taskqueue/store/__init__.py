"""
Tests for L{myconsumer.taskqueue.store}.
"""
