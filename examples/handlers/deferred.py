"""
A function that returns a Deferred: the task is done when that fires.  Up to --limit of
them wait side by side.

    twistd -n --pidfile= consumer --url URL --limit 20 --python deferred.measure

Payload: {"url": "https://..."}
"""

from __future__ import annotations

from typing import Any

import treq
from twisted.internet.defer import Deferred

from myconsumer import Task


def measure(task: Task) -> Deferred[dict[str, Any]]:
    """
    Measure a page.
    """
    page = treq.get(task.payload["url"]).addCallback(treq.content)
    return page.addCallback(lambda content: {"bytes": len(content)})
