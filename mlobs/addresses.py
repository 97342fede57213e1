"""Addresses of databases and servers as they may be shown: without what could be a secret. Knows nothing else of the package."""

from __future__ import annotations

from urllib.parse import unquote

HIDDEN = "***"
SHORTEST = 4
"""Shorter pieces are left in the words of others: they would be found everywhere, and are no secret worth the name."""


def shown(url: str) -> str:
    """The address with its user, place and database; its password, and what its query sets, are stars.

    >>> shown("postgresql+psycopg://ann:s3cret@db/app?sslmode=require&password=s3cret")
    'postgresql+psycopg://ann:***@db/app?sslmode=***&password=***'
    >>> shown("https://t0ken@dbc-1.example"), shown("sqlite:///data/history.db")
    ('https://***@dbc-1.example', 'sqlite:///data/history.db')
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return url
    login, at, place = _parts(rest)
    place, asked, query = place.partition("?")
    user, colon, _ = login.partition(":")
    said = f"{user}:{HIDDEN}@" if colon else f"{HIDDEN}@" if at and scheme.startswith("http") else f"{user}{at}"
    sets = "&".join(f"{part.partition('=')[0]}={HIDDEN}" for part in query.split("&")) if query else ""
    return f"{scheme}://{said}{place}{asked}{sets}"


def without_secrets(said: str, url: str) -> str:
    """What a driver or a server said, with every secret part of the address replaced by stars.

    >>> without_secrets("failed to resolve host 'word@db'", "postgresql+psycopg://ann:pass@word@db/app")
    "failed to resolve host '***@db'"
    """
    _, _, rest = url.partition("://")
    login, _, place = _parts(rest)
    password = login.partition(":")[2] if ":" in login else login
    query = place.partition("?")[2]
    pieces = {password, *password.split("@"), *(part.partition("=")[2] for part in query.split("&"))}
    for piece in sorted(pieces | {unquote(piece) for piece in pieces}, key=len, reverse=True):
        if len(piece) >= SHORTEST:
            said = said.replace(piece, HIDDEN)
    return said


def sign_in_password(url: str) -> bool:
    """Whether the password holds an @ as it stands, of which databases and drivers make a part of the server's name.

    >>> sign_in_password("postgresql://ann:p@ss@db/app"), sign_in_password("postgresql://ann:p%40ss@db/app")
    (True, False)
    """
    return "@" in _parts(url.partition("://")[2])[0]


def _parts(rest: str) -> tuple[str, str, str]:
    """(login, @, place) of what follows `://`: a password may hold an @, the name of a server can't; a file has no login."""
    return ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
