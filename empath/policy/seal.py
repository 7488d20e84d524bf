"""
Short seals for addresses that come back to us: who cannot make one can send to no such address, and none lasts.
And what may stand in such an address beside its seal.

All of it survives a host on the way that changes the case of letters.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from hashlib import sha256
from typing import Final

import attrs

from empath.mail.address import Address

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # base32: no letter looks like another one in lower case
DAY: Final = 86400.0
LASTS: Final = 21  # days for which an address can be used: longer than anybody tries to deliver
_TURN: Final = 1024  # days after which stamps begin anew
_SEAL: Final = 8  # characters, 40 bits: each guess takes a command
TOKEN: Final = 16  # characters, 80 bits: no two texts share one
LENGTH: Final = 2 + _SEAL
_FITTING: Final = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*")  # no %, !, quotes
_HOST: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


def fits(address: Address) -> bool:
    """
    Tell whether an address may be a part of another one's local part, as hosts on the way take it.
    """
    return address.text.isascii() and fits_local(address.local) and _HOST.fullmatch(address.domain) is not None


def fits_local(local: str) -> bool:
    """
    Tell the same of a local part.
    """
    return _FITTING.fullmatch(local) is not None


def day_stamp(now: float) -> str:
    """
    Write the day of a time in seconds since the epoch, as SRS does: two characters that come again after 1,024 days.
    """
    day = int(now / DAY) % _TURN
    return ALPHABET[day >> 5] + ALPHABET[day & 31]


def lasting(stamp: str, now: float) -> bool:
    """
    Tell whether a stamp was written in the last days, or by a clock that is a day before ours.
    """
    stamp = stamp.upper()
    if len(stamp) != 2 or stamp[0] not in ALPHABET or stamp[1] not in ALPHABET:
        return False
    day = ALPHABET.index(stamp[0]) << 5 | ALPHABET.index(stamp[1])
    return (int(now / DAY) + 1 - day) % _TURN <= LASTS + 1


@attrs.frozen(slots=True)
class Seals:
    """
    Makes seals with the first of `secrets`, and knows those of all. What is sealed for one `use` fits no other.
    """

    secrets: tuple[str, ...] = attrs.field(repr=False)

    def seal(self, use: str, text: str) -> str:
        """
        Give the seal of a text, in which the case of letters does not count.
        """
        return _digest(self.secrets[0], use, text)[:_SEAL]

    def fits(self, use: str, text: str, seal: str) -> bool:
        """
        Tell whether a seal is one that we made of a text.
        """
        claimed = seal.upper().encode()
        found = [hmac.compare_digest(_digest(each, use, text)[:_SEAL].encode(), claimed) for each in self.secrets]
        return any(found)

    def token(self, text: str) -> str:
        """
        Give what stands for a text that has to be kept, always the same; its case does count.
        """
        return b32encode(hmac.digest(self.secrets[0].encode(), f"token\0{text}".encode(), sha256))[:TOKEN].decode()


def _digest(secret: str, use: str, text: str) -> str:
    return b32encode(hmac.digest(secret.encode(), f"{use}\0{text.lower()}".encode(), sha256)).decode()
