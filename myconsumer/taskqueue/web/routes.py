"""
The paths of the embedded queue's HTTP API, and what is answered where there is none or
where something is wrong.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from klein import Klein
from twisted.python.failure import Failure
from werkzeug.routing import BaseConverter

from myconsumer.http.serving import paths
from myconsumer.http.serving.answers import Refusal, refused
from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.text import oneLine

_QUEUE = r"[A-Za-z0-9._-]{1,64}"


class _QueueName(BaseConverter):
    regex = _QUEUE


class _Rest(BaseConverter):
    """
    A name that may hold any characters, slashes and line ends too.
    """

    regex = r"[\s\S]+"
    part_isolating = False


def makeApp() -> Klein:
    """
    Make an application without any paths.  In them C{<queue:...>} is the name of a
    queue, and C{<rest:...>} a name that may hold anything.
    """
    app = paths.makeApp(_missing)
    app.url_map.converters.update(queue=_QueueName, rest=_Rest)
    app.handle_errors(StoreError)(_refuseForNow)
    return app


def _refuseForNow(self: Any, request: Any, failure: Failure) -> bytes:
    done = "read" if request.method == b"GET" else "written"
    reason = oneLine(failure.getErrorMessage())
    refusal = Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"the queue cannot be {done} now: {reason}; try again later",
        {b"Retry-After": b"5"},
    )
    return refused(request, refusal)


def _missing(path: str) -> str:
    name = path.split("/")[1] if path.startswith("/") else ""
    if re.fullmatch(_QUEUE, name):
        return (
            f"there is nothing at {oneLine(path)}; a queue has /NAME, /NAME/claim, "
            "/NAME/claim/CLAIM, /NAME/settle, /NAME/failed, /NAME/failed/retry and "
            "/NAME/tasks/ID"
        )
    return (
        f"{oneLine(name, 100)!r} is no name of a queue; it takes 1 to 64 letters, "
        "digits, '.', '_' and '-'"
    )
