"""
The protocols in which tasks are pulled, one module each.
"""

from myconsumer.queues.makers import QueueMaker, queueMakers

__all__ = ["QueueMaker", "queueMakers"]
