"""
URLs: what C{--url} takes, and URLs that need no work for each request.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import quote

from hyperlink import URL

_HOST = re.compile(r"[A-Za-z0-9_.-]+")
_NO_HOST_NAME = "its host is no name that can be looked up: letters, digits, '-', '.'"


class FixedURL(URL):
    """
    A URL whose parts are all encoded: its text is worked out once, not for each
    request.
    """

    _text: str | None = None

    @classmethod
    def of(cls, url: URL) -> FixedURL:
        """
        Make a L{FixedURL}.

        @param url: The URL, as L{parseURL} returns it.
        """
        return cls(
            url.scheme,
            url.host,
            url.path,
            url.query,
            url.fragment,
            url.port,
            url.rooted,
            url.userinfo,
            url.uses_netloc,
        )

    def to_uri(self) -> FixedURL:
        """
        See C{URL.to_uri}.
        """
        return self

    def to_text(self, with_password: bool = False) -> str:
        """
        See C{URL.to_text}.
        """
        if self._text is None:
            self._text = super().to_text()
        return self._text


def parseURL(text: str) -> URL:
    """
    Check what is given with C{--url}.

    @param text: The text.  White space around it is ignored: a file or a secret may end
        with a line end.

    @return: The URL, all in ASCII.

    @raise ValueError: C{text} is unfit; the error says why and never quotes C{text}.
    """
    text = text.strip()
    if not text.isprintable():
        raise ValueError("it holds a line end or another control character")
    try:
        url = URL.from_text(text)
        url = url.replace(scheme=url.scheme.lower())
    except ValueError:
        raise ValueError("it is no URL") from None
    if url.scheme not in ("http", "https"):
        raise ValueError("it does not begin with http:// or https://")
    if url.userinfo:
        raise ValueError(
            "it holds a user name or password; put a token into a file and name that "
            "with --token-file"
        )
    if not url.host:
        raise ValueError("it names no host")
    if url.fragment:
        raise ValueError("it has a part after '#', which is never sent")
    if not 0 < (url.port or 0) < 65536:
        raise ValueError("its port is not from 1 to 65535")
    return _encoded(url)


def below(url: URL, *names: str) -> FixedURL:
    """
    Extend the path of a URL; the query stays.

    @param url: The URL; slashes at the end of its path do not count.
    @param names: The further segments of the path, which may hold any characters.
    """
    path = list(url.path)
    while path and not path[-1]:
        path.pop()
    path += [quote(name, safe="") for name in names]
    return FixedURL.of(url.replace(path=path, rooted=True))


def withoutSecrets(url: URL) -> str:
    """
    @return: A URL for the log, without what may be a secret.
    """
    return url.replace(userinfo="", query=(), fragment="").to_text()


def _encoded(url: URL) -> URL:
    host = url.host
    if ":" in host:
        try:
            IPv6Address(host)
        except ValueError:
            raise ValueError("its host is no IPv6 address") from None
        # the encoding of names has no room for these
        return url.replace(host="h").to_uri().replace(host=host)
    try:
        encoded = url.to_uri()
    except ValueError:
        raise ValueError(_NO_HOST_NAME) from None
    if not _HOST.fullmatch(encoded.host):
        raise ValueError(_NO_HOST_NAME)
    return encoded
