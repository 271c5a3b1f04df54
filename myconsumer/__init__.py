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
    IConsumerObserver,
    IRunningTask,
    ITaskConsumer,
    ITaskHandler,
    ITaskQueue,
    ITaskSource,
)
from myconsumer.pipeline.observers import Observer
from myconsumer.polling import PollingTaskSource
from myconsumer.service import ConsumerService
from myconsumer.task import Ending, Request, Task

__all__ = [
    "AlreadyRunningError",
    "ConsumerService",
    "Ending",
    "IConsumerObserver",
    "IRunningTask",
    "ITaskConsumer",
    "ITaskHandler",
    "ITaskQueue",
    "ITaskSource",
    "NotRunningError",
    "Observer",
    "ParallelLimitedTaskConsumer",
    "PollingTaskSource",
    "Reject",
    "Release",
    "Request",
    "Task",
    "TaskFailedError",
]
