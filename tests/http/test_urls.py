"""
Tests for L{myconsumer.http.urls}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI

from myconsumer.http.urls import FixedURL, below, parseURL


class ParseURLTests(SynchronousTestCase):
    """
    Tests for L{parseURL}.
    """

    def test_takesAbsoluteURLs(self) -> None:
        """
        An absolute URL is taken, encoded where needed, and without white space around
        it.
        """
        for text, expected in {
            "http://host": "http://host",
            "https://host:8443/a/b/?k=v&l": "https://host:8443/a/b/?k=v&l",
            "HTTP://Host/Q": "http://host/Q",
            "http://127.0.0.1:8080/q": "http://127.0.0.1:8080/q",
            "http://[::1]:8080/q": "http://[::1]:8080/q",
            "http://münchen.example/ä b?ü=ö": (
                "http://xn--mnchen-3ya.example/%C3%A4%20b?%C3%BC=%C3%B6"
            ),
            "http://host/a%2Fb": "http://host/a%2Fb",
            " http://host/q\r\n": "http://host/q",
        }.items():
            self.assertEqual(parseURL(text).to_text(), expected)

    def test_refusesOtherText(self) -> None:
        """
        What is no absolute URL of HTTP is refused with a reason.
        """
        for text, reason in {
            "": "begin",
            "host": "begin",
            "host:8080/q": "begin",
            "/q": "begin",
            "ftp://host/": "begin",
            "http:///q": "host",
            "http:host": "host",
            "http://host:x/": "URL",
            "http://host:0/": "port",
            "http://host:65536/": "port",
            "http://host/#part": "#",
            "http://a b/": "host",
            "http://my_host/": "host",
            "http://../": "host",
            "http://[::g]/": "URL",
            "http://" + "a" * 300: "host",
            "http://host\\q": "host",
            "http://host/\nq": "line end",
            "http://host/q\tr": "control character",
        }.items():
            with self.assertRaises(ValueError, msg=text) as caught:
                parseURL(text)
            self.assertIn(reason, str(caught.exception), text)

    def test_refusesPasswords(self) -> None:
        """
        A user name or password is refused without being shown.
        """
        for text in ("http://user:s3cret@host/", "http://s3cret@host/"):
            with self.assertRaises(ValueError) as caught:
                parseURL(text)
            self.assertIn("password", str(caught.exception))
            self.assertNotIn("s3cret", str(caught.exception))

    @settings(deadline=None)
    @given(st.text() | st.text().map("http://".__add__))
    def test_takesOrRefusesAnyText(self, text: str) -> None:
        """
        Any text is refused with L{ValueError}, or gives a URL that can be requested.
        """
        try:
            url = FixedURL.of(parseURL(text))
        except ValueError:
            return
        encoded = url.to_text().encode("ascii")
        self.assertNotRegex(encoded, rb"[\x00-\x20\x7f]")
        uri = URI.fromBytes(encoded)
        self.assertEqual(uri.host.decode(), url.host)
        self.assertEqual(uri.port, url.port)


class BelowTests(SynchronousTestCase):
    """
    Tests for L{below} and L{FixedURL}.
    """

    def test_extendsPath(self) -> None:
        """
        A segment is added to the path, slashes at its end do not count, the query
        stays.
        """
        for text, expected in {
            "http://host": "http://host/claim",
            "http://host/": "http://host/claim",
            "http://host/q": "http://host/q/claim",
            "http://host/q//": "http://host/q/claim",
            "http://host/q/?k=v": "http://host/q/claim?k=v",
            "http://[::1]:8080?k=v": "http://[::1]:8080/claim?k=v",
        }.items():
            self.assertEqual(below(parseURL(text), "claim").to_text(), expected)

    def test_encodesNames(self) -> None:
        """
        Names are percent-encoded.
        """
        url = below(parseURL("http://host/q"), "claim", "a/b?c#d %ü")
        self.assertEqual(url.to_text(), "http://host/q/claim/a%2Fb%3Fc%23d%20%25%C3%BC")

    def test_remembersText(self) -> None:
        """
        A L{FixedURL} works out its text once, and is its own URI.
        """
        url = below(parseURL("http://[::1]/q"), "claim")
        self.assertIs(url.to_uri(), url)
        self.assertIs(url.to_text(), url.to_text())
