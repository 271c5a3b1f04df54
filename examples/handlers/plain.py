"""
A plain function.  Nothing else happens while it runs, so this is for what takes
milliseconds.

    twistd -n --pidfile= consumer --url URL --limit 4 --python plain.countWords

Payload: {"text": "some words"}
"""

from __future__ import annotations

from myconsumer import Reject, Task


def countWords(task: Task) -> dict[str, int]:
    """
    Count words.  What is returned is the result.
    """
    text = task.payload.get("text")
    if not isinstance(text, str):
        # a retry would not help: the task is never delivered again
        raise Reject("the payload has no text")
    return {"words": len(text.split())}
