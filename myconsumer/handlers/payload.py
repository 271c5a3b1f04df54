"""
Payloads, for whoever takes them as text.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec


def encoded(value: Any) -> bytes:
    """
    @param value: A payload, or a structure that holds one.

    @return: It as JSON.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # JSON can hold half a surrogate pair, and UTF-8 cannot
        return json.dumps(msgspec.to_builtins(value)).encode("ascii")
