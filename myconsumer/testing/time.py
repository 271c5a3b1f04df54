"""
Time that passes when a test says so.
"""

from __future__ import annotations

from math import inf

from twisted.internet.task import Clock

#: More rounds of delayed calls than this without time to pass: something spins.
MOST_ROUNDS = 1000


def passTime(clock: Clock, seconds: float) -> None:
    """
    Move a clock on, and stop at each delayed call on the way, so that each is made
    at the time for which it is due.

    @param clock: The clock.
    @param seconds: The seconds to move it on by, 0 or more.

    @raise AssertionError: Delayed calls bring forth others, again and again, that
        are due at once.
    """
    end = clock.seconds() + seconds
    while (due := _nextDue(clock)) <= end:
        delay = max(0, due - clock.seconds())
        clock.callLater(delay, _watch, clock, MOST_ROUNDS)
        clock.advance(delay)
    clock.advance(max(0, end - clock.seconds()))


def _nextDue(clock: Clock) -> float:
    return min((call.getTime() for call in clock.getDelayedCalls()), default=inf)


def _watch(clock: Clock, roundsLeft: int) -> None:
    """
    Come last in each round of the delayed calls that are due now.
    """
    if _nextDue(clock) > clock.seconds():
        return
    if not roundsLeft:
        raise AssertionError(f"it spins: {clock.getDelayedCalls()[0]}")
    clock.callLater(0, _watch, clock, roundsLeft - 1)
