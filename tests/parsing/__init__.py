"""
Tests of L{myconsumer.parsing}.
"""
