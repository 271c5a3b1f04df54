"""
The events of the log as JSON: one object a line.

Promise 9: only plain values get into a line, and never an object, whose text might hold
a secret.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from typing import Any

from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

#: The most characters of a text: the message, the value of a field, a traceback.
LONGEST = 16_384

#: The most fields of its own that an event has in a line; further ones are left out.
MOST_FIELDS = 100

#: What has a meaning of its own in a line, or is Twisted's and says nothing more.
_RESERVED = {"time", "level", "logger", "message", "traceback"} | {
    *("format", "isError", "failure", "system", "why")
}

_PLAIN = (bool, int, float, str, type(None))


def asJSON(event: LogEvent) -> str:
    """
    Format an event.

    @param event: Any event.

    @return: A line with its end: an object with C{time}, C{level}, C{logger} and
        C{message}, the event's own fields as far as they are plain, and C{traceback}
        if the event has a failure, or that field.  An event without any text has no
        line.
    """
    message, traceback = formatEvent(event), _traceback(event)
    if not (message or traceback):
        return ""
    line = {
        "time": _time(event),
        "level": getattr(event.get("log_level"), "name", "info"),
        "logger": _logger(event),
        "message": _bounded(message.removesuffix(traceback).rstrip("\n")),
    }
    fields = ((k, v) for k, v in event.items() if _isOwn(k) and _isPlain(v))
    for name, value in islice(fields, MOST_FIELDS):
        line[_bounded(name)] = _bounded(value) if isinstance(value, str) else value
    if traceback:
        line["traceback"] = _bounded(traceback)
    return json.dumps(line) + "\n"


def _time(event: LogEvent) -> str:
    try:
        time = datetime.fromtimestamp(event.get("log_time") or 0, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        # whoever logs may give anything
        time = datetime.fromtimestamp(0, UTC)
    return time.isoformat(timespec="milliseconds")


def _logger(event: LogEvent) -> str:
    name = event.get("log_namespace")
    return _bounded(name) if type(name) is str and name else "-"


def _isOwn(name: Any) -> bool:
    return type(name) is str and not name.startswith("log_") and name not in _RESERVED


def _isPlain(value: Any) -> bool:
    if type(value) is float:
        return isfinite(value)
    if type(value) is int:
        # else it may have more digits than Python writes
        return value.bit_length() <= 64
    return type(value) in _PLAIN


def _bounded(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def _traceback(event: LogEvent) -> str:
    text, failure = event.get("traceback"), event.get("log_failure")
    if isinstance(failure, Failure):
        try:
            return str(failure.getTraceback())
        except Exception:
            return "it cannot be shown"
    return text if isinstance(text, str) else ""
