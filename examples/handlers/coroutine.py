"""
A coroutine: it awaits Deferreds, what treq and the rest of Twisted return.

    twistd -n --pidfile= consumer --url URL --limit 20 --python coroutine.longestWord

Payload: {"url": "https://..."}
"""

from __future__ import annotations

import treq

from myconsumer import IRunningTask, Reject, Release


async def longestWord(task: IRunningTask) -> dict[str, str]:
    """
    Find the longest word of a page.

    When the task is cancelled an await raises CancelledError: let it pass.
    """
    response = await treq.get(task.payload["url"])
    if response.code == 404:
        raise Reject("there is no such page")
    if response.code != 200:
        raise Release(f"the answer was {response.code}", delay=30)
    text = await response.text()
    # what follows blocks the reactor, so that no lease is extended meanwhile
    await task.extend(120)
    return {"word": max(text.split(), key=len, default="")}
