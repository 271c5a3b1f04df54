"""
How long to wait after a failure before the retry, and what is logged of it.

Promise 4: no fault makes the service spin, or keeps it from trying again within
L{LONGEST} seconds, unless the queue asks for more.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from myconsumer.errors import QueueError, RefusalError

#: The longest wait before a retry, unless the endpoint asks for more, in seconds.
LONGEST = 30.0

#: The seconds between two lines of the log about the same fault.
QUIET = 60.0

#: The seconds between two lines of the log about the same refusal, or about whatever
#: else lasts until somebody acts.
QUIET_LASTING = 3600.0

#: The seconds for which an empty L{Budget} is filled before it is used again.
REFILL = 10.0

#: The bytes that a L{BoundedLog} lets through each minute, and at once.
BYTES_PER_MINUTE, BURST = 3_000, 12_000

#: The bytes of a line beside its fields, and of a traceback, as a rule.
_LINE, _TRACEBACK = 150, 1_500

#: Takes the number of failures before this one, returns the seconds to wait.
Policy = Callable[[int], float]

#: 0.5 s, doubled with each failure up to 29 s; jitter adds up to 1 s.
faultPolicy: Policy = backoffPolicy(0.5, LONGEST - 1.0, 2.0)


class Retry:
    """
    Counts the failures in a row of one kind of request.

    @ivar failures: The number of failures since the last success.
    """

    _log = Logger()

    failures = 0

    def __init__(
        self, what: str, clock: IReactorTime, policy: Policy = faultPolicy
    ) -> None:
        """
        @param what: What is tried, as a log line begins: a plural with a capital.
        @param clock: Measures the time between lines of the log.
        @param policy: Says how long to wait after a fault.
        """
        self._what = what
        self._clock = clock
        self._policy = policy
        # Until when the same text is not logged again.
        self._quietUntil: dict[str, float] = {}
        # Whether a failure was logged since the last success.
        self._isLogged = False
        self._boundedLog = BoundedLog(self._log, clock)

    def failed(self, failure: Failure, isLast: bool = False) -> float:
        """
        Count and log a failed request.

        @param isLast: Whether there is no retry, and somebody else logs that.

        @return: The seconds to wait before the retry.
        """
        error = failure.value
        if isinstance(error, RefusalError):
            delay = LONGEST
        else:
            asked = getattr(error, "retryAfter", None) or 0.0
            delay = max(asked, self._policy(self.failures))
        self.failures += 1
        if not isLast:
            self._say(failure, delay)
        return delay

    def succeeded(self) -> None:
        """
        Note that a request has succeeded.  That is logged where the last line was about
        a failure: nobody is to take that line for how things are.
        """
        if self.failures == 0:
            return
        if self._isLogged:
            self._isLogged = False
            self._sayThatItIsOver()
        if self.failures > 2:
            self._quietUntil.clear()
        soon = self._clock.seconds() + QUIET
        for text, until in self._quietUntil.items():
            self._quietUntil[text] = min(until, soon)
        self.failures = 0

    def _sayThatItIsOver(self) -> None:
        what, failures = self._what, self.failures
        if failures == 1:
            self._log.info("{what} work again, after a failure", what=what)
            return
        self._log.info(
            "{what} work again, after {failures} failures",
            what=what,
            failures=failures,
        )

    def _say(self, failure: Failure, delay: float) -> None:
        """
        Log a failure, but not the same one again and again: a refusal once an hour
        while it lasts, and a fault once a minute.
        """
        now = self._clock.seconds()
        text = str(failure.value)
        refused = isinstance(failure.value, RefusalError)
        if now < self._quietUntil.get(text, now):
            return
        if len(self._quietUntil) > 16:
            self._quietUntil.clear()
        self._quietUntil[text] = now + (QUIET_LASTING if refused else QUIET)
        if not isinstance(failure.value, QueueError):
            self._isLogged |= self._boundedLog.failure(
                "{what} failed unexpectedly", failure, what=self._what
            )
            return
        log = self._boundedLog.error if refused else self._boundedLog.warn
        self._isLogged |= log(
            "{what} fail, next try in {delay:.1f} s: {reason}",
            what=self._what,
            delay=delay,
            reason=text,
        )


class Quiet:
    """
    Counts one kind of event, and says when to log it: at once, and then at most once
    every L{QUIET} seconds.
    """

    _quietUntil = -inf
    _count = 0

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: Measures the time between lines of the log.
        """
        self._clock = clock

    def count(self) -> int:
        """
        Count an event.

        @return: If it is time for a line, the number of events since the last line;
            else 0.
        """
        self._count += 1
        now = self._clock.seconds()
        if now < self._quietUntil:
            return 0
        self._quietUntil = now + QUIET
        count, self._count = self._count, 0
        return count


class Budget:
    """
    Bounds how many bytes are logged of what comes in any number: a token bucket, which
    is full at first.  Once it is empty nothing is logged until it holds the bytes of
    L{REFILL} seconds, so that what is left out can be counted in one line.
    """

    _isEmpty = False
    _omitted = 0

    def __init__(
        self, clock: IReactorTime, bytesPerMinute: float, burst: float
    ) -> None:
        """
        @param clock: Measures the time.
        @param bytesPerMinute: The bytes that may be logged in a minute, in the long
            run.
        @param burst: The bytes that may be logged at once, after a quiet time.
        """
        self._clock = clock
        self._rate = bytesPerMinute / 60
        self._burst = burst
        self._enough = min(burst, self._rate * REFILL)
        self._at = clock.seconds()
        self._left = burst

    def take(self, size: int) -> bool:
        """
        Ask for room for one line.

        @param size: The bytes of the line; one that is longer than the burst takes a
            full bucket.

        @return: Whether it may be logged; if not it is counted as omitted.
        """
        needed = min(size, self._burst)
        isAllowed = self.allows(needed)
        if isAllowed:
            self.spend(needed)
        return isAllowed

    def allows(self, size: float = 1) -> bool:
        """
        Ask for room for a line that is not made yet; L{spend} says how long it is.

        @param size: The bytes that there must be room for.

        @return: Whether it may be logged; if not it is counted as omitted.
        """
        now = self._clock.seconds()
        passed = max(0.0, now - self._at)
        self._left = min(self._burst, self._left + passed * self._rate)
        self._at = now
        self._isEmpty = self._left < (
            max(size, self._enough) if self._isEmpty else size
        )
        self._omitted += self._isEmpty
        return not self._isEmpty

    def spend(self, size: float) -> None:
        """
        Note that a line was logged.

        @param size: Its bytes, which may be more than there is room for: that is made
            up for later.
        """
        self._left -= size

    def omitted(self) -> int:
        """
        To be asked after a line was allowed, and when nothing more comes.

        @return: How many lines were omitted since this was last asked.
        """
        count, self._omitted = self._omitted, 0
        return count


class BoundedLog:
    """
    Logs lines that any number of tasks or requests may bring about, within a
    L{Budget}.  Each method returns whether it has logged; how many lines were omitted
    is said before the next one that is not.
    """

    def __init__(
        self,
        log: Logger,
        clock: IReactorTime,
        bytesPerMinute: float = BYTES_PER_MINUTE,
        burst: float = BURST,
    ) -> None:
        """
        @param log: Where the lines go.
        @param clock: Measures the time.
        @param bytesPerMinute: See L{Budget}.
        @param burst: See L{Budget}.
        """
        self._log = log
        self._budget = Budget(clock, bytesPerMinute, burst)

    def emit(self, level: Any, format: str, **fields: Any) -> bool:
        """
        Log a line.
        """
        isAllowed = self._isAllowed(_LINE, fields)
        if isAllowed:
            self._log.emit(level, format, **fields)
        return isAllowed

    def warn(self, format: str, **fields: Any) -> bool:
        """
        Log a warning.
        """
        return self.emit(LogLevel.warn, format, **fields)

    def error(self, format: str, **fields: Any) -> bool:
        """
        Log an error.
        """
        return self.emit(LogLevel.error, format, **fields)

    def failure(
        self, format: str, failure: Failure | None = None, **fields: Any
    ) -> bool:
        """
        Log an exception with its traceback.

        @param failure: The exception; C{None}: the one that is handled now.
        """
        isAllowed = self._isAllowed(_TRACEBACK, fields)
        if isAllowed:
            self._log.failure(format, failure, **fields)
        return isAllowed

    def close(self) -> None:
        """
        Say how many lines were omitted since that was last said.
        """
        if count := self._budget.omitted():
            self._log.warn(
                "{count} lines were not logged, since there were too many", count=count
            )

    def _isAllowed(self, size: int, fields: dict[str, Any]) -> bool:
        isAllowed = self._budget.take(size + sum(len(str(x)) for x in fields.values()))
        if isAllowed:
            self.close()
        return isAllowed
