"""
The protocols that come with this package: their names and options.
"""

from myconsumer.makers import QueueMaker
from myconsumer.taskqueue.options import KEEP, LISTEN, LOCAL, SYNC

json = QueueMaker(
    "json",
    "the pull contract: tasks are claimed and settled",
    "myconsumer.queues.json",
)
plain = QueueMaker(
    "plain",
    "any URL that returns JSON: nothing is settled",
    "myconsumer.queues.plain",
)
local = QueueMaker(
    "local",
    "the embedded queue, in the same process",
    "myconsumer.taskqueue.embedded",
    LOCAL,
    LISTEN,
    KEEP,
    SYNC,
)
