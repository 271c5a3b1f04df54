"""
Tests for what is said of the options of C{twistd consumer}.
"""
