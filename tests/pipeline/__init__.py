"""
Tests of L{myconsumer.pipeline}.
"""
