"""Where a Syncthing is asked: its address and its API key.

- The key is in a box of its own, so that no repr, log line or error can show it.
- lyts talks to Syncthing over the loopback interface or a Unix socket. Whoever has the key
  can read and write files as the person; over a network it would also travel. So any other
  address is refused, unless the person has said so in as many words, and then it must be
  HTTPS. Pure.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from sync.syncthing.errors import BadAddress


class Key:
    """An API key. `reveal` is called in the one place that writes it into a request."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Key(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("an API key is not pickled")


class Address(NamedTuple):
    """Where: `url` without a slash at its end; `socket` is the path of a Unix socket, None for TCP."""

    url: str
    socket: str | None = None
    remote: bool = False
    """Not on this machine's loopback interface, by the person's own word."""

    def __str__(self) -> str:
        return f"unix://{self.socket}" if self.socket is not None else self.url


def read_address(given: str, *, remote_allowed: bool = False) -> Address:
    """An address as a person or a config.xml writes it.

    `http://127.0.0.1:8384`, `https://[::1]:8384`, `127.0.0.1:8384`, `unix:///run/st.sock`, `/run/st.sock`.

    Raises:
        BadAddress: it is none, or leads off this machine without `remote_allowed`, or without HTTPS.
    """
    text = given.strip()
    if text.startswith("/"):
        return Address("http://localhost", text)
    if text.startswith("unix://"):
        path = text.removeprefix("unix://")
        if not path.startswith("/"):
            raise BadAddress(given, "after unix:// comes a whole path, as in unix:///run/syncthing.sock")
        return Address("http://localhost", path)
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise BadAddress(given, str(exc)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadAddress(given, "it should look like http://127.0.0.1:8384")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadAddress("...", "no user, password or question belongs into it; the API key is given apart")
    where = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme}://{where}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
    if is_loopback(host):
        return Address(url)
    if not remote_allowed:
        raise BadAddress(
            given,
            "it is not on this machine. lyts asks Syncthing over 127.0.0.1 only, as whoever has its API key "
            "can read all your files (use --remote if you are sure)",
        )
    if parts.scheme != "https":
        raise BadAddress(given, "over a network the API key goes through https only")
    return Address(url, None, True)


def is_loopback(host: str) -> bool:
    """Whether a host name or number is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def dialled(listening: str, *, tls: bool) -> str:
    """The address at which to reach what listens at `listening`, as the GUI's in config.xml: `0.0.0.0:8384`, `:8384`.

    Raises `BadAddress`.
    """
    if listening.startswith(("/", "unix://")):
        return listening
    bare = listening.partition("://")[2] or listening
    host, colon, port = bare.rpartition(":")
    if not colon or not port.isdigit():
        raise BadAddress(listening, "there is no port in it")
    # Listening everywhere, loopback is among it.
    if host in ("", "0.0.0.0", "[::]", "::"):
        host = "127.0.0.1" if host in ("", "0.0.0.0") else "[::1]"
    return f"{'https' if tls else 'http'}://{host}:{port}"
