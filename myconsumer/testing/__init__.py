"""
What tests of handlers and queues are made of: a queue whose requests the test
answers, a handler whose tasks the test ends, a task for a handler that is called
without a service, and time that the test lets pass.
"""

from myconsumer.testing.controlled import NOTHING, ControlledHandler, Handling
from myconsumer.testing.scripted import Cancel, Claim, Request, ScriptedQueue, Settle
from myconsumer.testing.task import FakeTask
from myconsumer.testing.time import passTime

__all__ = [
    "NOTHING",
    "Cancel",
    "Claim",
    "ControlledHandler",
    "FakeTask",
    "Handling",
    "Request",
    "ScriptedQueue",
    "Settle",
    "passTime",
]
