"""
The paths of a server of ours, and what is answered where there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from klein import Klein
from twisted.python.failure import Failure
from twisted.web.http import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from myconsumer.http.serving.answers import Refusal, refused
from myconsumer.text import oneLine


def makeApp(missing: Callable[[str], str]) -> Klein:
    """
    Make an application without any paths.

    @param missing: Words, for the client, what is wrong with a path, percent-decoded,
        at which there is nothing.
    """
    app = Klein()
    # paths are to be found as they are, not at another address
    app.url_map.merge_slashes = False

    def refusePath(self: Any, request: Any, failure: Failure) -> bytes:
        path = unquote(request.path.decode("latin-1"))
        if isinstance(failure.value, MethodNotAllowed):
            return refused(request, _otherMethod(request, path, failure.value))
        return refused(request, Refusal(HTTPStatus.NOT_FOUND, missing(path)))

    app.handle_errors(Refusal)(_refuse)
    app.handle_errors(HTTPException)(refusePath)
    return app


def _refuse(self: Any, request: Any, failure: Failure) -> bytes:
    refusal: Any = failure.value
    return refused(request, refusal)


def _otherMethod(request: Request, path: str, error: MethodNotAllowed) -> Refusal:
    allowed = ", ".join(sorted(error.valid_methods or ()))
    return Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"{oneLine(path)} takes {allowed}, not {request.method.decode()}",
        {b"Allow": allowed.encode()},
    )
