"""
The seam of what is kept beside mail.
"""

from __future__ import annotations

from collections.abc import Awaitable

from zope.interface import Interface


class IStorage(Interface):
    """
    What a module, or a part of the service, keeps: texts by key, durable across restarts where the spool is. Each sees
    only its own.
    Keys are at most 1,000 characters, values 64 KiB: ValueError beyond.
    """

    def get(key: str) -> Awaitable[str | None]:
        """
        Give the value, None if there is none or it has expired.
        """

    def put(key: str, value: str, expires: float | None = None) -> Awaitable[None]:
        """
        Store a value, until `expires` (seconds since the epoch); fires when it is on stable storage.
        """

    def delete(key: str) -> Awaitable[None]:
        """
        Forget a key; harmless if there is none.
        """

    def keys(prefix: str = "", limit: int = 1000) -> Awaitable[list[str]]:
        """
        List the first keys, in their order, that begin with `prefix` and have not expired.
        """

    def items(after: str = "", limit: int = 1000) -> Awaitable[list[tuple[str, str]]]:
        """
        Give the first keys behind `after`, in their order, that have not expired, each with its value: page by page,
        all there is.
        """
