"""
Notifications to systemd, at a socket that stands for it.
"""

from __future__ import annotations

import os
import socket
from tempfile import TemporaryDirectory

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.notification import Notifier


class SendTests(SynchronousTestCase):
    """
    L{Notifier.send}.
    """

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = f"{directory.name}/notify"

    def notifier(self, address: str | None) -> Notifier:
        notifier = Notifier(address, 5.0)
        self.addCleanup(notifier.close)
        return notifier

    def listen(self, name: str) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.bind(name)
        listening.settimeout(5)
        return listening

    def test_sendsAssignments(self) -> None:
        """
        Each notification is one datagram, with a line for each assignment, to a socket
        in the file system or in the abstract namespace.
        """
        for name, address in (
            (self.path, self.path),
            (f"\0{self.path}", f"@{self.path}"),
        ):
            listening = self.listen(name)
            notifier = self.notifier(address)
            notifier.send("READY=1", "STATUS=two\nlines")
            notifier.send("STOPPING=1")
            self.assertEqual(listening.recv(100), b"READY=1\nSTATUS=two lines")
            self.assertEqual(listening.recv(100), b"STOPPING=1")

    def test_sendsAnyText(self) -> None:
        """
        What cannot be encoded, as a path that is no UTF-8, does not keep a notification
        from being sent.
        """
        listening = self.listen(self.path)
        self.notifier(self.path).send("READY=1", "STATUS=from \udcff")
        self.assertEqual(listening.recv(100), b"READY=1\nSTATUS=from ?")

    def test_sendsToNobody(self) -> None:
        """
        Without a socket there is nobody to notify.
        """
        notifier = self.notifier(None)
        notifier.send("READY=1")
        self.assertFalse(notifier.isWanted)
        self.assertIsNone(notifier.watchdog)

    def test_losesWhatCannotBeSent(self) -> None:
        """
        A socket that is not there, is full, or has an address of another kind costs one
        line of the log, until it takes a notification again.
        """
        for address in (self.path, "vsock:2:1234", "@" + "x" * 200):
            notifier = self.notifier(address)
            with capturedLogs() as logs:
                notifier.send("READY=1")
                notifier.send("READY=1")
            [event] = logs
            self.assertIn("systemd cannot be notified: ", formatEvent(event))
            self.assertNotIn("None", formatEvent(event))
        notifier = self.notifier(self.path)
        listening = self.listen(self.path)
        with capturedLogs() as logs:
            for _ in range(5_000):
                notifier.send("STATUS=" + "x" * 1_000)
        self.assertEqual(len(logs), 1)
        listening.recv(2_000)
        notifier.send("READY=1")


class EnvironmentTests(SynchronousTestCase):
    """
    L{Notifier.fromEnvironment}.
    """

    def test_takesItsVariables(self) -> None:
        """
        What is for this process alone is taken out of the environment, and the watchdog
        counts only where it is for this process and a number.
        """
        for more, watchdog in (
            ({}, None),
            ({"WATCHDOG_USEC": "2500000"}, 2.5),
            ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())}, 2.5),
            ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None),
            ({"WATCHDOG_USEC": "soon"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
            ({"WATCHDOG_USEC": ""}, None),
        ):
            environ = {"NOTIFY_SOCKET": "/run/notify", "PATH": "/bin", **more}
            notifier = Notifier.fromEnvironment(environ)
            self.assertTrue(notifier.isWanted)
            self.assertEqual(notifier.watchdog, watchdog, more)
            self.assertEqual(environ, {"PATH": "/bin"})
        self.assertFalse(Notifier.fromEnvironment({"NOTIFY_SOCKET": ""}).isWanted)
