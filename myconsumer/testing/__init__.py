"""
What tests of handlers and queues are made of: a queue whose requests the test
answers, a handler whose tasks the test ends, and a clock that the test moves on.
"""
