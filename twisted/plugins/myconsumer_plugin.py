"""
The commands that this package adds to C{twistd}.
"""

from twisted.application.service import ServiceMaker

consumer = ServiceMaker(
    "myconsumer",
    "myconsumer.tap",
    "Pull tasks from an HTTP endpoint and run a limited number at once.",
    "consumer",
)

taskqueue = ServiceMaker(
    "myconsumer task queue",
    "myconsumer.taskqueue.tap",
    "Serve queues of tasks over HTTP from a SQLite file.",
    "taskqueue",
)
