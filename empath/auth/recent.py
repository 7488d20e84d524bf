"""
What was proved a moment ago: a mail program that opens many sessions pays for one slow check.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from typing import Final

LIFETIME: Final = 30.0  # seconds
MAX_ENTRIES: Final = 1000


class Recent:
    """
    Logins whose password was right within the last `lifetime` seconds. Passwords are not held, but their HMAC under
    `secret`, which must never leave the process; what was wrong is never remembered.
    """

    def __init__(self, secret: bytes, lifetime: float = LIFETIME, max_entries: int = MAX_ENTRIES) -> None:
        self._secret = secret
        self._lifetime = lifetime
        self._max_entries = max_entries
        self._until: OrderedDict[bytes, float] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        return len(self._until)

    def knows(self, login: str, password: str, now: float) -> bool:
        """
        Tell whether this was right a moment ago; `now` in seconds.
        """
        until = self._until.get(self._key(login, password), now)
        return 0 < until - now <= self._lifetime  # a clock may be set back

    def add(self, login: str, password: str, now: float) -> None:
        """
        Remember that this is right; the oldest goes when there are too many.
        """
        key = self._key(login, password)
        self._until.pop(key, None)
        self._until[key] = now + self._lifetime
        if len(self._until) > self._max_entries:
            self._until.popitem(last=False)

    def clear(self) -> None:
        """
        Forget all.
        """
        self._until.clear()

    def _key(self, login: str, password: str) -> bytes:
        return hmac.digest(self._secret, f"{login}\0{password}".encode(), "sha256")
