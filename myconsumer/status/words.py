"""
Numbers and durations as people say them.
"""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """
    @return: A number with thousands separated, and a noun that fits it.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def duration(seconds: float) -> str:
    """
    @return: A duration in the one or two units that suit it, such as C{0.3 s},
        C{48 s}, C{5 min} or C{1 h 4 min}.
    """
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
