"""
C{myconsumer enqueue}: lines of JSON become tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import FileIO
from typing import Annotated, Any

from msgspec import Meta
from twisted.internet.defer import CancelledError

from myconsumer.cli.enqueueing.batches import Batches
from myconsumer.cli.enqueueing.input import Input, opened
from myconsumer.cli.enqueueing.lines import Reader, payloadReader, taskReader
from myconsumer.cli.enqueueing.progress import progressOf
from myconsumer.cli.enqueueing.sending import Sending
from myconsumer.cli.options import QueueOptions, checked, unknown
from myconsumer.cli.queue import queueOf
from myconsumer.cli.running import CommandError
from myconsumer.command.resolving import Refused
from myconsumer.errors import QueueError
from myconsumer.fields import Delay, Priority, takes
from myconsumer.taskqueue.limits import MOST_TASKS

_BATCH = f"a whole number from 1 to {MOST_TASKS}"


class Options(QueueOptions):
    """
    What C{myconsumer enqueue} takes.
    """

    synopsis = "URL [FILE] [options]"
    longdesc = (
        "Each line of FILE, or of standard input, is the payload of a task, in JSON. "
        "With --tasks it is a task: an object with the payload in 'payload', and "
        "with 'id', 'delay' and 'priority' if it is to have them. Lines without text "
        "are skipped."
    )
    optParameters: list[list[Any]] = [  # noqa: RUF012 - its type is Twisted's
        ["delay", None, None, "seconds by which each task is put off",
         checked("--delay", Delay, takes(Delay))],
        ["priority", None, None, "priority of each task; the highest goes first",
         checked("--priority", Priority, takes(Priority))],
        ["id-field", None, None, "field of the payload that holds the task's id"],
        ["batch", None, 1000, "how many tasks to send at once, at most",
         checked("--batch", Annotated[int, Meta(ge=1, le=MOST_TASKS)], _BATCH)],
        ["retry", None, 60.0, "seconds for which to try again when the queue fails",
         checked("--retry", Delay, takes(Delay))],
    ]  # fmt: skip
    optFlags = [  # noqa: RUF012
        ["tasks", None, "each line is a task, not only its payload"]
    ]

    def takeArguments(self, arguments: Sequence[str]) -> None:
        """
        Take the path of the file.
        """
        if arguments[1:]:
            raise unknown(arguments[1:])
        self["file"] = arguments[0] if arguments else "-"

    def postOptions(self) -> None:
        """
        Check what options say of each other.
        """
        super().postOptions()
        for name in ("delay", "priority", "id-field"):
            if self["tasks"] and self[name] is not None:
                raise Refused(
                    f"--tasks and --{name} exclude each other: a task has its own"
                )


async def enqueue(
    reactor: Any, options: Mapping[str, Any], write: Callable[[str], object]
) -> int:
    """
    Queue the tasks, and print how many there were.

    @param reactor: The reactor.
    @param options: The L{Options}.
    @param write: Writes a line.

    @return: The exit status.

    @raise CommandError: They are not all queued.
    """
    with opened(options["file"]) as (file, name):
        batches = Batches(reactor, _reader(options), name, options["batch"])
        async with queueOf(reactor, options) as queue:
            sending = Sending(queue, reactor, options["retry"])
            Input(reactor, file, batches)
            try:
                await _sendAll(file, batches, sending)
            except (CommandError, QueueError) as error:
                raise CommandError(f"{error}; {sending.accountBefore()}") from None
            except CancelledError:
                raise CommandError(f"stopped; {sending.accountBefore()}") from None
            finally:
                batches.stop()
    write(sending.account())
    return 0


def _reader(options: Mapping[str, Any]) -> Reader:
    if options["tasks"]:
        return taskReader()
    return payloadReader(
        options["delay"] or 0, options["priority"] or 0, options["id-field"]
    )


async def _sendAll(file: FileIO, batches: Batches, sending: Sending) -> None:
    with progressOf(file) as progress:
        while (batch := await batches.next()) is not None:
            await sending.send(batch)
            progress.add(batch)
