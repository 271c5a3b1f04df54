"""
A reload of a command's options, in this process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from myconsumer.command.notification import Notifier
from myconsumer.command.reload import Reload
from myconsumer.command.supervision import Supervision
from myconsumer.taskqueue.tap import Options


class Recorder(Notifier):
    """
    Keeps what it is to send.
    """

    def __init__(self) -> None:
        super().__init__("/run/notify")
        self.sent: list[str] = []

    def send(self, *assignments: str) -> None:
        self.sent += [each.partition("=")[0] for each in assignments]


class ReloadTests(SynchronousTestCase):
    """
    L{Reload}.
    """

    def setUp(self) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TASKQUEUE_")}
        self.patch(os, "environ", clean)
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.file = self.directory / "c.toml"
        self.token = self.directory / "token"
        self.token.write_text("0ne")
        self.used: list[Mapping[str, Any]] = []
        self.refused: Exception | None = None
        self.notifier = Recorder()

    def use(self, values: Mapping[str, Any]) -> None:
        if self.refused is not None:
            raise self.refused
        self.used.append(values)

    def make(self, text: str, *words: str) -> Reload:
        self.file.write_text(text)
        self.options = Options()
        self.options.parseOptions(
            [f"--db={self.directory}/q.sqlite", f"--config={self.file}", *words]
        )
        supervision = Supervision(
            Clock(), self.notifier, str, lambda: None, lambda: 0.0
        )
        return Reload(self.options, self.use, supervision)

    def said(self, reload: Reload, level: Any) -> list[str]:
        """
        Reload, and give what was logged at a level.
        """
        with capturedLogs() as logs:
            reload()
        return [formatEvent(event) for event in logs if event["log_level"] == level]

    def test_usesLiveChanges(self) -> None:
        """
        What can take effect at once does, and the rest is named with a warning.
        """
        reload = self.make("keep = '1d'\nlog-keep = 3\n")
        self.file.write_text("keep = '2d'\nlog-keep = 4\n")
        with capturedLogs() as logs:
            reload()
        self.assertEqual(self.used, [{"log-keep": 4}])
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in logs],
            [
                (LogLevel.info, f"Reloaded {self.file}: log-keep 3 -> 4"),
                (
                    LogLevel.warn,
                    "Changes that take effect after a restart only: keep 1d -> 2d",
                ),
            ],
        )

    def test_changesNothing(self) -> None:
        """
        Where anything is wrong, in the file or for who is to use it, nothing is changed
        and one line says why, without what may be a secret.
        """
        reload = self.make("log-keep = 3\n")
        for text, refused, said in (
            ("log-keep = -1\n", None, "takes a whole number from 0"),
            ("log-keep = 4\n", ValueError("no room"), "no room"),
            ("log-keep = 4\n", ValueError("http://me:s3cret@h/"), "why is not shown"),
        ):
            self.file.write_text(text)
            self.refused = refused
            [line] = self.said(reload, LogLevel.error)
            self.assertIn("the old settings stay in use", line)
            self.assertIn(said, line)
            self.assertNotIn("s3cret", line)
        self.assertEqual(self.options["log-keep"], 3)
        self.refused = None
        [line] = self.said(reload, LogLevel.info)
        self.assertIn("log-keep 3 -> 4", line)

    def test_readsTheToken(self) -> None:
        """
        The token is read again, whatever the file's times say; one that is missing
        leaves the last one in use.
        """
        reload = self.make("", f"--token-file={self.token}")
        token = self.options["token-file"]
        times = self.token.stat()
        self.token.write_text("tw0")
        os.utime(self.token, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertIn("Another token is in use now", self.said(reload, LogLevel.info))
        self.assertEqual(token.current(), b"tw0")
        self.assertEqual(len(self.said(reload, LogLevel.info)), 1)
        self.token.unlink()
        [line] = self.said(reload, LogLevel.error)
        self.assertIn("the last good token is in use", line)

    def test_tellsSystemd(self) -> None:
        """
        systemd is told of the begin and of the end, also where a reload is refused or
        fails.
        """
        reload = self.make("log-keep = 3\n")
        self.file.write_text("log-keep = 4\n")
        for refused in (None, ValueError("no"), ZeroDivisionError("a bug")):
            self.refused = refused
            self.file.write_text(f"log-keep = {5 if refused is None else 6}\n")
            self.notifier.sent.clear()
            if isinstance(refused, ZeroDivisionError):
                self.assertRaises(ZeroDivisionError, reload)
            else:
                reload()
            self.assertEqual(
                self.notifier.sent, ["RELOADING", "MONOTONIC_USEC", "READY"]
            )
