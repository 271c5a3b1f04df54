"""
All checks, in their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import myconsumer.check.promises.cancelling as cancelling
import myconsumer.check.promises.claiming as claiming
import myconsumer.check.promises.leasing as leasing
import myconsumer.check.promises.payloads as payloads
import myconsumer.check.promises.refusing as refusing
import myconsumer.check.promises.settling as settling
import myconsumer.check.promises.waking as waking
from myconsumer.check.player import Check

#: What is looked at.
CHECKS: Sequence[Check] = (
    *claiming.CHECKS,
    *payloads.CHECKS,
    *waking.CHECKS,
    *leasing.CHECKS,
    *settling.CHECKS,
    *cancelling.CHECKS,
    *refusing.CHECKS,
    *refusing.LAST,
)


def sentence(check: Check) -> str:
    """
    @return: What holds where a check finds nothing.
    """
    text = " ".join((check.__doc__ or "").split()).removesuffix(".")
    # a word in capitals stays
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def named(parts: Sequence[str]) -> Sequence[Check]:
    """
    Choose checks.

    @param parts: Parts of their sentences.

    @return: Those whose sentence holds one of these; all, where there are none.

    @raise ValueError: A part is in no sentence; the text is that part.
    """
    for part in parts:
        if not any(part in sentence(check) for check in CHECKS):
            raise ValueError(part)
    return [
        check
        for check in CHECKS
        if not parts or any(part in sentence(check) for part in parts)
    ]
