"""
What the embedded queue takes, in types and in words: for those who ask it, and for what
reads their requests.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

#: The largest payload, in bytes of JSON.  A consumer takes 16 MiB in one answer.
LARGEST_PAYLOAD = 8 * 1024 * 1024

#: The most tasks that one request queues, settles or has tried again.
MOST_TASKS = 10_000

#: The most values in one request: numbers, strings, lists and objects, however deep.
MOST_VALUES = 250_000

#: The longest name of a task or of a claim, in characters.
LONGEST_NAME = 255

#: The longest delay, in seconds: a year.
LONGEST_DELAY = 31_536_000

#: The highest priority; the lowest is its negative.
HIGHEST_PRIORITY = 1000

Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
Delay = Annotated[float, Meta(ge=0, le=LONGEST_DELAY)]
Priority = Annotated[int, Meta(ge=-HIGHEST_PRIORITY, le=HIGHEST_PRIORITY)]

NAME = f"a string of 1 to {LONGEST_NAME} characters"
DELAY = f"a number of seconds from 0 to {LONGEST_DELAY}"
PRIORITY = f"a whole number from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}"


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
