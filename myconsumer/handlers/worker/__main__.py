"""
A worker process.  The consumer runs it as C{python -m myconsumer.handlers.worker NAME},
tells it what to do on descriptor 3 and hears what came of it on 4, so that the callable
may do with standard input and output what it likes.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from myconsumer.handlers.worker.child import Child
from myconsumer.handlers.worker.messages import ANSWERS, ORDERS


def main() -> int:
    """
    Be a worker.

    @return: The exit status.
    """
    # Ctrl-C reaches all processes of the terminal, and the consumer drains then
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for descriptor in (ORDERS, ANSWERS):
        os.set_inheritable(descriptor, False)
    with suppress(AttributeError):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return Child(ORDERS, ANSWERS).run(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
