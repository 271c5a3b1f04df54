"""
Tests for L{myconsumer.cli.enqueueing.input}.
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer, IReadDescriptor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from myconsumer.cli.enqueueing.input import Input, opened
from myconsumer.cli.running import CommandError


class Keeping(Protocol):
    """
    Keeps what it gets.
    """

    def __init__(self) -> None:
        self.data = b""
        self.came: Deferred[None] = Deferred()
        self.ended: Deferred[BaseException | None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        came, self.came = self.came, Deferred()
        came.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(reason.value)


class InputTests(TestCase):
    """
    Tests for L{Input}.
    """

    timeout = 20

    def read(self, file: FileIO) -> tuple[Any, Keeping]:
        self.addCleanup(file.close)
        protocol = Keeping()
        read = Input(reactor, file, protocol)
        self.addCleanup(read.pauseProducing)
        return read, protocol

    def pipe(self) -> tuple[Any, Keeping, int]:
        end, other = os.pipe()
        return *self.read(FileIO(end)), other

    def test_provides(self) -> None:
        """
        An input provides what the reactor and the protocol want of it.
        """
        read, _ = self.read(FileIO(os.devnull))
        verifyObject(IReadDescriptor, read)
        verifyObject(IPushProducer, read)

    async def test_readsAFile(self) -> None:
        """
        A file is read to its end.
        """
        path = Path(self.mktemp())
        path.write_bytes(os.urandom(200_000))
        read, protocol = self.read(FileIO(path))
        read.resumeProducing()
        self.assertIsInstance(await protocol.ended, ConnectionDone)
        self.assertEqual(protocol.data, path.read_bytes())

    async def test_readsAPipe(self) -> None:
        """
        A pipe is read as something comes, to its end.
        """
        read, protocol, other = self.pipe()
        read.resumeProducing()
        for piece in (b"a", b"b"):
            came = protocol.came
            os.write(other, piece)
            await came
        self.assertEqual(protocol.data, b"ab")
        os.close(other)
        self.assertIsInstance(await protocol.ended, ConnectionDone | ConnectionLost)

    async def test_readsNothingWhilePaused(self) -> None:
        """
        Nothing is read before the protocol asks for it, and nothing after a pause.
        """
        read, protocol, other = self.pipe()
        self.addCleanup(os.close, other)
        os.write(other, b"a")
        await deferLater(reactor, 0.01)
        self.assertEqual(protocol.data, b"")
        came = protocol.came
        read.resumeProducing()
        await came
        read.pauseProducing()
        os.write(other, b"b")
        await deferLater(reactor, 0.01)
        self.assertEqual(protocol.data, b"a")

    async def test_leavesAPipeBlocking(self) -> None:
        """
        A pipe that blocks still does for whoever shares it.
        """
        read, protocol, other = self.pipe()
        read.resumeProducing()
        self.assertTrue(os.get_blocking(read.fileno()))
        os.close(other)
        await protocol.ended

    async def test_endsIfUnreadable(self) -> None:
        """
        An input that cannot be read ends with the reason.
        """
        end, other = os.pipe()
        self.addCleanup(os.close, end)
        read, protocol = self.read(FileIO(other, "w"))
        reason = read.doRead()
        self.assertIsInstance(reason, OSError)
        read.connectionLost(Failure(reason))
        self.assertIs(await protocol.ended, reason)


class OpenedTests(TestCase):
    """
    Tests for L{opened}.
    """

    def test_opensAFile(self) -> None:
        """
        A file is opened, called by its path, and closed.
        """
        path = self.mktemp()
        Path(path).write_text("1")
        with opened(path) as (file, name):
            self.assertEqual((file.read(), name), (b"1", path))
        self.assertTrue(file.closed)

    def test_opensStandardInput(self) -> None:
        """
        A dash stands for standard input, which stays open.
        """
        with opened("-") as (file, name):
            self.assertEqual((file.fileno(), name), (0, "standard input"))
        os.fstat(0)

    def test_namesWhatIsNoFile(self) -> None:
        """
        A path at which there is no file, or something else, is named with the reason.
        """
        for path, reason in (("/none", "No such file"), ("/", "Is a directory")):
            with (
                self.assertRaisesRegex(CommandError, f"{path} cannot.*{reason}"),
                opened(path),
            ):
                pass
