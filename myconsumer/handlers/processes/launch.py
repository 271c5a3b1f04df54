"""
How a worker process is started.

Promise 9: no secret of the consumer's is in a worker process's environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IProcessProtocol

from myconsumer.handlers.processes.messages import ANSWERS, ORDERS

# The session comes first: it keeps off what is sent to the consumer's process group,
# as Ctrl-C is.
_START = "; ".join(
    (
        "import os, sys",
        "os.setsid()",
        "sys.path.append(sys.argv[1])",
        "from myconsumer.handlers.processes.inside import main",
        "sys.exit(main(sys.argv[2]))",
    )
)

# the folder that has the package myconsumer
_ROOT = str(Path(__file__).parents[3])


def launch(protocol: IProcessProtocol, reactor: Any, name: str) -> None:
    """
    Start a worker process, which leads a session of its own.  It imports what it is
    made of from the standard library and from where that is installed, whatever the
    current folder holds.

    @param protocol: The protocol of the process.
    @param reactor: Runs the process.
    @param name: The callable.

    @raise OSError: It cannot be started.
    """
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("CONSUMER_")
    }
    reactor.spawnProcess(
        protocol,
        sys.executable,
        [sys.executable, "-P", "-c", _START, _ROOT, name],
        env=environment,
        childFDs={0: "w", 1: "r", 2: "r", ORDERS: "w", ANSWERS: "r"},
    )
