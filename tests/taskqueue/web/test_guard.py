"""
Tests for L{myconsumer.taskqueue.web.guard}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from myconsumer.taskqueue.web.answers import Refused
from myconsumer.taskqueue.web.guard import Guard
from myconsumer.tokenfile import TokenFile

HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})


def refusal(guard: Guard, **headers: str | list[str]) -> Refused | None:
    """
    @return: Why a request with these headers is not done; L{None}: it is.
    """
    found = Headers()
    for name, value in headers.items():
        values = [value] if isinstance(value, str) else value
        found.setRawHeaders(name.replace("_", "-"), values)
    try:
        guard.check(found)
    except Refused as refused:
        return refused
    return None


class HostTests(SynchronousTestCase):
    """
    By which names it may be called.
    """

    def setUp(self) -> None:
        """
        Make a guard of the loopback interface.
        """
        self.guard = Guard(None)
        self.guard.hosts = HERE

    def test_own(self) -> None:
        """
        Its own names are fine with any port and in any case.
        """
        for host in ("localhost", "LOCALHOST:8321", "127.0.0.1:1", "[::1]", "[::1]:80"):
            self.assertIsNone(refusal(self.guard, Host=host), host)

    def test_foreign(self) -> None:
        """
        A name of somebody else's that leads here, or what is no name, is refused, with
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

    def test_elsewhere(self) -> None:
        """
        On any other interface nobody knows by what names it is called.
        """
        self.guard.hosts = None
        self.assertIsNone(refusal(self.guard, Host="queue.example:8321"))

    def test_none(self) -> None:
        """
        HTTP/1.0 has no such header; browsers do not speak it.
        """
        self.assertIsNone(refusal(self.guard))

    def test_several(self) -> None:
        """
        Two such headers may each be read by somebody else, and are refused.
        """
        refused = refusal(self.guard, Host=["localhost", "localhost"])
        assert refused is not None
        self.assertEqual(refused.code, 400)


class OriginTests(SynchronousTestCase):
    """
    What web pages may do.
    """

    def test_own(self) -> None:
        """
        A page from the very same origin may, and so may what is no page at all.
        """
        for headers in (
            {},
            {"Origin": "http://h:8321", "Sec_Fetch_Site": "same-origin"},
            {"Origin": "HTTP://H:8321"},
            {"Sec_Fetch_Site": "none"},
        ):
            self.assertIsNone(refusal(Guard(None), Host="h:8321", **headers), headers)

    def test_defaultPorts(self) -> None:
        """
        A port that goes without saying may be said on either side.
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

    def test_foreign(self) -> None:
        """
        Any other may not, the one on another port of the same host among them.
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

    def test_noHost(self) -> None:
        """
        Without a Host there is no origin that could be the same.
        """
        for origin in ("http://h", "null", "http://"):
            self.assertIsNotNone(refusal(Guard(None), Origin=origin))


class TokenTests(SynchronousTestCase):
    """
    What the right token is.
    """

    def setUp(self) -> None:
        """
        Make a guard that has a token.
        """
        self.path = self.mktemp()
        self.write(b"s3cret\n")
        self.guard = Guard(TokenFile(self.path))

    def write(self, content: bytes) -> None:
        """
        Replace the file.
        """
        with open(self.path + ".new", "wb") as file:
            file.write(content)
        os.replace(self.path + ".new", self.path)

    def test_right(self) -> None:
        """
        It is taken; the name of the scheme has no case.
        """
        for value in ("Bearer s3cret", "bearer s3cret", "BEARER  s3cret"):
            self.assertIsNone(refusal(self.guard, Authorization=value), value)

    def test_wrong(self) -> None:
        """
        Anything else is answered 401, with how to do it right and without what it is.
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

    def test_replaced(self) -> None:
        """
        A new token is known at once, and the old one is no longer taken.
        """
        self.assertIsNone(refusal(self.guard, Authorization="Bearer s3cret"))
        self.write(b"another")
        self.assertIsNotNone(refusal(self.guard, Authorization="Bearer s3cret"))
        self.assertIsNone(refusal(self.guard, Authorization="Bearer another"))

    def test_gone(self) -> None:
        """
        A file that is gone leaves the token in use; where none was ever read nobody is
        let in.
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

    def test_foreignFirst(self) -> None:
        """
        The token does not help a web page of somebody else's.
        """
        refused = refusal(
            self.guard, Host="h", Origin="null", Authorization="Bearer s3cret"
        )
        assert refused is not None
        self.assertEqual(refused.code, 403)
