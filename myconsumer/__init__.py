"""
Pulls tasks from an HTTP endpoint, runs a limited number at once, and drains when it
is stopped: C{twistd consumer}, and the parts that it is made of.
"""

from myconsumer.consumer import ParallelLimitedTaskConsumer
from myconsumer.errors import (
    AlreadyRunningError,
    NotRunningError,
    Reject,
    Release,
    TaskFailedError,
)
from myconsumer.interfaces import (
    IRunningTask,
    ITaskConsumer,
    ITaskHandler,
    ITaskQueue,
    ITaskSource,
)
from myconsumer.polling import PollingTaskSource
from myconsumer.service import ConsumerService
from myconsumer.task import Task

__all__ = [
    "AlreadyRunningError",
    "ConsumerService",
    "IRunningTask",
    "ITaskConsumer",
    "ITaskHandler",
    "ITaskQueue",
    "ITaskSource",
    "NotRunningError",
    "ParallelLimitedTaskConsumer",
    "PollingTaskSource",
    "Reject",
    "Release",
    "Task",
    "TaskFailedError",
]
