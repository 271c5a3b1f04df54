"""
What the embedded queue takes: the limits that producers and the HTTP API share.
"""

from __future__ import annotations

from msgspec import Raw, Struct

from myconsumer.fields import Delay, Name, Priority

#: The largest payload, in bytes of JSON.  A consumer takes 16 MiB in one answer.
LARGEST_PAYLOAD = 8 * 1024 * 1024

#: The most tasks that one request queues, settles or retries.
MOST_TASKS = 10_000

#: The most values in one request: numbers, strings, lists and objects, however deep.
MOST_VALUES = 250_000


class ProducedTask(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """
    A task as producers send it.

    @ivar payload: The payload, as it came.
    @ivar id: The producer's name for it, if it has one.
    @ivar delay: The seconds before it is delivered.
    @ivar priority: Those with the highest are delivered first.
    """

    payload: Raw
    id: Name | int | None = None
    delay: Delay = 0
    priority: Priority = 0
