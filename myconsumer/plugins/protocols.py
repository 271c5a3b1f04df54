"""
The protocols that come with this package: names only.
"""

from myconsumer.makers import QueueMaker

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
