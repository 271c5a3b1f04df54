"""
Tests for L{myconsumer.taskqueue.web}.
"""
