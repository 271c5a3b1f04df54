"""
Where servers listen.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from myconsumer.errors import RefusalError
from myconsumer.http.serving.listening import Listening, PortProbe, asEndpoint, listen
from myconsumer.interfaces import IProbed

HERE = "tcp:0:interface=127.0.0.1"


class ListeningCase(TestCase):
    """
    Listens on ports of this machine, until the test ends.
    """

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def listen(self, description: str) -> Listening:
        listening = listen(serverFromString(self.reactor, description), Factory())
        self.addCleanup(listening.port.stopListening)
        return listening


class ListenTests(ListeningCase):
    """
    L{listen}.
    """

    def test_tellsOthersFromThisMachine(self) -> None:
        """
        An address of the loopback interface has names by which it may be called; others
        may be called by any.
        """
        here = self.listen(HERE)
        self.assertTrue(here.isLoopback)
        self.assertIn("localhost", here.hosts or ())
        self.assertRegex(here.url, r"^http://127\.0\.0\.1:[0-9]+$")
        everywhere = self.listen("tcp:0:interface=0.0.0.0")
        self.assertFalse(everywhere.isLoopback)
        self.assertIsNone(everywhere.hosts)

    def test_takesASocketInTheFileSystem(self) -> None:
        """
        A socket in the file system has no host.
        """
        listening = self.listen(f"unix:{self.mktemp()}")
        self.assertEqual((listening.host, listening.hosts), (None, None))
        self.assertFalse(listening.isLoopback)

    def test_saysWhyNot(self) -> None:
        """
        A port that is taken is a line that says so.
        """
        address: Any = self.listen(HERE).port.getHost()
        taken = serverFromString(
            self.reactor, f"tcp:{address.port}:interface=127.0.0.1"
        )
        error = self.assertRaises(ValueError, listen, taken, Factory())
        self.assertRegex(str(error), "^it cannot listen: .* in use")


class ProbeTests(ListeningCase):
    """
    L{PortProbe}.
    """

    def probe(self, description: str) -> PortProbe:
        return PortProbe("the port", serverFromString(self.reactor, description))

    async def test_tellsWhetherItCanBeHad(self) -> None:
        """
        A port that is free can be had, and is free afterwards; one that is taken is
        refused with the reason.
        """
        address: Any = self.listen(HERE).port.getHost()
        taken = self.probe(f"tcp:{address.port}:interface=127.0.0.1")
        free = self.probe(HERE)
        verifyObject(IProbed, free)
        self.assertEqual(await free.probe(), "can be had")
        with self.assertRaisesRegex(RefusalError, "in use"):
            await taken.probe()
        await taken.close()


class OptionTests(ListeningCase):
    """
    L{asEndpoint}.
    """

    def test_takesEndpoints(self) -> None:
        """
        What Twisted takes for the description of an endpoint is taken as it is, and a
        port alone is answered with what was probably meant.
        """
        self.assertEqual(asEndpoint(HERE), HERE)
        for wrong, said in (
            ("8322", "did you mean tcp:8322:interface=127.0.0.1?"),
            ("", ""),
            ("tcp:x", ""),
            ("nothing:1", ""),
        ):
            error = self.assertRaises(ValueError, asEndpoint, wrong)
            self.assertIn(said, str(error))
