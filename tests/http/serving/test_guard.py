"""
Tests for L{myconsumer.http.serving.guard}.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from myconsumer.http.serving.answers import Refusal
from myconsumer.http.serving.guard import Guard
from myconsumer.tokenfile import TokenFile

HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})


def refusal(guard: Guard, **headers: str | list[str]) -> Refusal | None:
    """
    @return: Why a request with these headers is not done; L{None}: it is.
    """
    found = Headers()
    for name, value in headers.items():
        values = [value] if isinstance(value, str) else value
        found.setRawHeaders(name.replace("_", "-"), values)
    try:
        guard.check(found)
    except Refusal as refused:
        return refused
    return None


class HostTests(SynchronousTestCase):
    """
    By which names it may be called.
    """

    def setUp(self) -> None:
        self.guard = Guard(None)
        self.guard.hosts = HERE

    def test_takesOwnNames(self) -> None:
        """
        The guard's own names are taken with any port and in any case.
        """
        for host in ("localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]", "[::1]:80"):
            self.assertIsNone(refusal(self.guard, Host=host), host)

    def test_refusesForeignNames(self) -> None:
        """
        A name of somebody else's that leads here, or what is no name, is refused with
        the names that are taken.
        """
        for host in (
            "evil.example",
            "127.0.0.1.evil.example:8321",
            "localhost.",
            "evil@localhost",
            "localhost:8321:8321",
            "[::1]evil",
            "::1",
            "",
            "localhost, evil.example",
        ):
            refused = refusal(self.guard, Host=host)
            assert refused is not None, host
            self.assertEqual(refused.code, 421)
            self.assertIn(repr(host), str(refused))
            self.assertIn("127.0.0.1, [::1], localhost", str(refused))

    def test_takesAnyNameElsewhere(self) -> None:
        """
        On an interface other than loopback any name is taken.
        """
        self.guard.hosts = None
        self.assertIsNone(refusal(self.guard, Host="queue.example:8321"))

    def test_takesNoHost(self) -> None:
        """
        A request of HTTP/1.0 has no Host header, and is taken; browsers do not speak
        it.
        """
        self.assertIsNone(refusal(self.guard))

    def test_refusesTwoHosts(self) -> None:
        """
        Two Host headers may be read differently by two programs, and are refused.
        """
        refused = refusal(self.guard, Host=["localhost", "localhost"])
        assert refused is not None
        self.assertEqual(refused.code, 400)


class OriginTests(SynchronousTestCase):
    """
    What web pages may do.
    """

    def test_takesOwnOrigin(self) -> None:
        """
        A page of the very same origin is taken, and so is what is no page at all.
        """
        for headers in (
            {},
            {"Origin": "http://h:8321", "Sec_Fetch_Site": "same-origin"},
            {"Origin": "HTTP://H:8321"},
            {"Sec_Fetch_Site": "none"},
        ):
            self.assertIsNone(refusal(Guard(None), Host="h:8321", **headers), headers)

    def test_takesDefaultPorts(self) -> None:
        """
        A default port may be named or left out on either side.
        """
        for origin, host in (
            ("http://h", "h"),
            ("http://h", "h:80"),
            ("http://h:80", "h"),
            ("https://h", "h:443"),
            ("https://h", "h"),
        ):
            self.assertIsNone(refusal(Guard(None), Host=host, Origin=origin))
        refused = refusal(Guard(None), Host="h:443", Origin="http://h")
        self.assertIsNotNone(refused)

    def test_refusesForeignOrigin(self) -> None:
        """
        A page of any other origin is refused, one on another port of the same host too.
        """
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "http://h:8322"},
            {"Origin": "http://h"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": ["http://h:8321", "http://evil.example"]},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
            {"Origin": "http://h:8321", "Sec_Fetch_Site": "cross-site"},
        ):
            refused = refusal(Guard(None), Host="h:8321", **headers)
            assert refused is not None, headers
            self.assertEqual(refused.code, 403)

    def test_refusesOriginWithoutHost(self) -> None:
        """
        Without a Host header no origin is the same.
        """
        for origin in ("http://h", "null", "http://"):
            self.assertIsNotNone(refusal(Guard(None), Origin=origin))


class TokenTests(SynchronousTestCase):
    """
    What the right token is.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.write(b"s3cret\n")
        self.guard = Guard(TokenFile(self.path))

    def write(self, content: bytes) -> None:
        with open(self.path + ".new", "wb") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)

    def test_takesToken(self) -> None:
        """
        The right token is taken; the name of the scheme has no case.
        """
        for value in ("Bearer s3cret", "bearer s3cret", "BEARER  s3cret"):
            self.assertIsNone(refusal(self.guard, Authorization=value), value)

    def test_refusesOtherTokens(self) -> None:
        """
        Any other token is answered 401, with how to send one and without the right one.
        """
        for value in (
            [],
            "",
            "s3cret",
            "Basic s3cret",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer S3CRET",
            "Bearer \xfc",
        ):
            refused = refusal(self.guard, Authorization=value)
            assert refused is not None, value
            self.assertEqual(refused.code, 401)
            self.assertEqual(refused.headers, {b"WWW-Authenticate": b"Bearer"})
            self.assertNotIn("s3c", str(refused))

    def test_logsThatNoTokenCanBeRead(self) -> None:
        """
        Where no token was ever read requests are answered 503, and the log says why,
        once a minute, with their number.
        """
        clock = Clock()
        guard = Guard(TokenFile("/no/such/token"), clock)
        with capturedLogs() as logs:
            for seconds in (0, 1, 58, 2):
                clock.advance(seconds)
                refused = refusal(guard, Authorization="Bearer s3cret")
                assert refused is not None
                self.assertEqual(refused.code, 503)
        self.assertEqual([event["count"] for event in logs], [1, 3])
        line = formatEvent(logs[0])
        self.assertIn("the token file '/no/such/token' cannot be read: No such", line)

    def test_followsFile(self) -> None:
        """
        A new token in the file counts at once, and the old one no longer.
        """
        self.assertIsNone(refusal(self.guard, Authorization="Bearer s3cret"))
        self.write(b"another")
        self.assertIsNotNone(refusal(self.guard, Authorization="Bearer s3cret"))
        self.assertIsNone(refusal(self.guard, Authorization="Bearer another"))

    def test_keepsTokenOfLostFile(self) -> None:
        """
        A file that is gone leaves its last token in use; where none was ever read
        nobody is let in.
        """
        self.assertIsNone(refusal(self.guard, Authorization="Bearer s3cret"))
        os.remove(self.path)
        self.assertIsNone(refusal(self.guard, Authorization="Bearer s3cret"))
        fresh = Guard(TokenFile(self.path))
        for value in ("Bearer s3cret", "Bearer ", []):
            refused = refusal(fresh, Authorization=value)
            assert refused is not None
            self.assertEqual(refused.code, 503)
            self.assertNotIn(self.path, str(refused))

    def test_refusesForeignOriginWithToken(self) -> None:
        """
        The right token does not help a web page of another origin.
        """
        refused = refusal(
            self.guard, Host="h", Origin="null", Authorization="Bearer s3cret"
        )
        assert refused is not None
        self.assertEqual(refused.code, 403)
