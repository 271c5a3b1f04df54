"""
How a check may end.  Each exception's text is the end of a line of the report.
"""

from __future__ import annotations


class Broken(Exception):
    """
    The contract is not kept: what was seen, and what is wanted.
    """


class Unanswered(Broken):
    """
    A request got no whole answer.
    """


class Rejected(Broken):
    """
    A claim was refused, or failed.

    @ivar code: HTTP's status code.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Skipped(Exception):
    """
    This cannot be checked here, and need not hold: why.
    """


class Noted(Exception):
    """
    The contract allows what was seen, and it has a cost.
    """


class NoProducer(Skipped):
    """
    Tasks cannot be queued.
    """


class Slow(Exception):
    """
    Answers took so long that nothing follows from them.  Trying again may help.
    """


class Foreign(Exception):
    """
    A task came that the check did not queue: it has to end.
    """


def expect(holds: object, seen: str, wanted: str) -> None:
    """
    Judge what was seen.

    @param holds: Whether it is as it should be.
    @param seen: What was seen, for the report.
    @param wanted: What the contract wants, for the report.

    @raise Broken: It is not as it should be.
    """
    if not holds:
        raise Broken(f"{seen}; wanted: {wanted}")
