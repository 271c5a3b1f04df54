"""
How a run that ends by itself has finished, in the log.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from myconsumer.errors import NotBegunError, RefusalError
from myconsumer.pipeline.parts import Pipeline
from myconsumer.status.words import duration
from myconsumer.text import oneLine

_log = Logger()


def sayFinish(pipeline: Pipeline, seconds: float) -> None:
    """
    Log how a run with C{untilEmpty} has finished, and why.

    @param pipeline: What the run was made of.
    @param seconds: How long it has taken.
    """
    givenUp, period = pipeline.source.givenUp, duration(seconds)
    if givenUp is None:
        _log.info("Nothing is left after {period}", period=period)
        return
    _log.error(
        "Giving up after {period}, since {why}: {reason}",
        period=period,
        why=_why(givenUp, pipeline.claimFailures),
        reason=oneLine(givenUp.getErrorMessage()),
    )


def _why(givenUp: Failure, claimFailures: int) -> str:
    if isinstance(givenUp.value, RefusalError):
        return "claims are refused"
    if isinstance(givenUp.value, NotBegunError):
        return "tasks cannot be begun"
    return f"{claimFailures} claims in a row have failed"
