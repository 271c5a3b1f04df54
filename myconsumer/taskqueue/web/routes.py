"""
The paths of the embedded queue's HTTP API, and what is answered where there is none or
where something is wrong.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from klein import Klein
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BaseConverter

from myconsumer.taskqueue.store.interface import StoreError
from myconsumer.taskqueue.web.answers import Refusal, refused
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
    app = Klein()
    app.url_map.converters.update(queue=_QueueName, rest=_Rest)
    # these are to be found as they are, not at another address
    app.url_map.merge_slashes = False
    app.handle_errors(Refusal)(_refuse)
    app.handle_errors(StoreError)(_refuseForNow)
    app.handle_errors(HTTPException)(_refusePath)
    return app


def _refuse(self: Any, request: Any, failure: Failure) -> bytes:
    refusal: Any = failure.value
    return refused(request, refusal)


def _refuseForNow(self: Any, request: Any, failure: Failure) -> bytes:
    done = "read" if request.method == b"GET" else "written"
    reason = oneLine(failure.getErrorMessage())
    refusal = Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"the queue cannot be {done} now: {reason}; try again later",
        {b"Retry-After": b"5"},
    )
    return refused(request, refusal)


def _refusePath(self: Any, request: Any, failure: Failure) -> bytes:
    path = unquote(request.path.decode("latin-1"))
    name = path.split("/")[1] if path.startswith("/") else ""
    if isinstance(failure.value, MethodNotAllowed):
        allowed = ", ".join(sorted(failure.value.valid_methods or ()))
        refusal = Refusal(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{oneLine(path)} takes {allowed}, not {request.method.decode()}",
            {b"Allow": allowed.encode()},
        )
    elif re.fullmatch(_QUEUE, name):
        refusal = Refusal(
            HTTPStatus.NOT_FOUND,
            f"there is nothing at {oneLine(path)}; a queue has /NAME, /NAME/claim, "
            "/NAME/claim/CLAIM, /NAME/settle, /NAME/failed, /NAME/failed/retry and "
            "/NAME/tasks/ID",
        )
    else:
        refusal = Refusal(
            HTTPStatus.NOT_FOUND,
            f"{oneLine(name, 100)!r} is no name of a queue; it takes 1 to 64 letters, "
            "digits, '.', '_' and '-'",
        )
    return refused(request, refusal)
