"""
A consumer inside an application of one's own:

    python examples/endpoint.py 8080
    TASKS_URL=http://127.0.0.1:8080 twistd -ny examples/composed.tac

The application has two parts: a timer that logs the progress, and the consumer.
twistd stops both at once, and ends when both have stopped: the consumer only after it
has drained.  What the handler needs until then is a child of the consumer.
"""

import os
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import Logger

from myconsumer import ConsumerService, Reject, Task
from myconsumer.handlers.python import PythonHandler
from myconsumer.http import makeClient, parseURL
from myconsumer.queues.json import JSONQueue

LIMIT = 4


class Squares(Service):
    """
    Stands for what a handler needs, such as a pool of database connections.
    """

    log = Logger()

    def __init__(self) -> None:
        self.known: dict[int, int] = {}

    def stopService(self) -> None:
        super().stopService()
        self.log.info("{count} squares are known", count=len(self.known))

    async def add(self, task: Task) -> dict[str, Any]:
        """
        The handler.
        """
        number = task.payload["number"]
        if not isinstance(number, int):
            raise Reject(f"{number!r} is not a whole number")
        await deferLater(reactor, 0.5)
        self.known[number] = number**2
        return {"square": self.known[number]}

    def report(self) -> None:
        self.log.info("{count} squares so far", count=len(self.known))


squares = Squares()
url = parseURL(os.environ.get("TASKS_URL", "http://127.0.0.1:8080"))
queue = JSONQueue(makeClient(reactor, connections=4), url)
consumer = ConsumerService(queue, PythonHandler(squares.add), LIMIT, drain=10)
squares.setServiceParent(consumer)

application = Application("squares")
consumer.setServiceParent(application)
TimerService(10, squares.report).setServiceParent(application)
