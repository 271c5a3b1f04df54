"""
Payloads, for whoever takes them as text.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec


def encoded(payload: Any) -> bytes:
    """
    @return: A payload as JSON.
    """
    try:
        return msgspec.json.encode(payload)
    except UnicodeEncodeError:
        # JSON can hold half a surrogate pair, and UTF-8 cannot
        return json.dumps(payload).encode("ascii")
