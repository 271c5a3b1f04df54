"""
Whether an endpoint keeps the pull contract: plays a producer and a consumer, and
tells line by line what holds and what does not.
"""

from myconsumer.check.command import Options, check

__all__ = ["Options", "check"]
