"""
Variable envelope return paths: a reverse-path that names the recipient, so that a bounce tells whom it is about,
however it is written.

    <sender>+<recipient's local part>=<recipient's domain>=<day and seal>@<sender's domain>
    <sender>+=<token>=<day and seal>@<sender's domain>          of a recipient that does not fit: kept under its token
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from empath.mail.address import MAX_LOCAL, Address, parse_address
from empath.policy.seal import LENGTH, TOKEN, Seals, day_stamp, fits, fits_local, lasting
from empath.policy.srs import Kept

_KEPT: Final = len("=") + TOKEN + len("=") + LENGTH  # octets behind the delimiter for a recipient that is kept


@attrs.frozen(slots=True)
class About:
    """
    Whom an address came from and is about.
    """

    sender: Address
    recipient: Address | Kept


@attrs.frozen(slots=True)
class Verp:
    """
    Names recipients behind `delimiter` for senders in `domains`.
    """

    domains: frozenset[str]
    seals: Seals
    delimiter: str = "+"

    def concerns(self, sender: Address) -> bool:
        """
        Tell whether mail of a sender is to name its recipients: he is ours, and leaves room for any of them.
        """
        if sender.domain not in self.domains:
            return False
        room = MAX_LOCAL - len(self.delimiter) - _KEPT
        return len(sender.local) <= room and fits_local(sender.local)

    def name(self, sender: Address, recipient: Address, now: float) -> Address | None:
        """
        Name a recipient; None where it does not fit, and has to be kept.
        """
        if not fits(recipient):
            return None
        whom = f"{recipient.local}={recipient.domain}"
        return self._address(sender, whom, self._sealed("verp", sender.local, sender.domain, whom, now))

    def keep(self, sender: Address, recipient: Address, now: float) -> tuple[str, Address] | None:
        """
        Name any recipient: tells the token under which its text is to be kept, too. None where the sender leaves no
        room for that.
        """
        token = self.seals.token(recipient.text)
        sealed = self._sealed("verpk", sender.local, sender.domain, token, now)
        address = self._address(sender, f"={token}", sealed)
        return None if address is None else (token, address)

    def read(self, address: Address, now: float) -> About | None:
        """
        Tell what an address of ours stands for; None if we never made it, or too long ago.
        """
        head, equals, sealed = address.local.rpartition("=")
        if not equals or len(sealed) != LENGTH or address.domain not in self.domains or not lasting(sealed[:2], now):
            return None
        for use, local, whom in self._readings(head):
            if self.seals.fits(use, f"{sealed[:2]}={local}@{address.domain}={whom}", sealed[2:]):
                return _about(use, local, address.domain, whom)
        return None

    def _readings(self, head: str) -> Iterator[tuple[str, str, str]]:
        """
        Divide into sender and recipient, in each way: delimiters may stand in both.
        """
        first, _, last = head.rpartition("=")
        if first.endswith(self.delimiter):
            yield "verpk", first.removesuffix(self.delimiter), last.upper()
        at = head.find(self.delimiter)
        while at >= 0:
            yield "verp", head[:at], head[at + len(self.delimiter) :]
            at = head.find(self.delimiter, at + 1)

    def _sealed(self, use: str, local: str, domain: str, whom: str, now: float) -> str:
        stamp = day_stamp(now)
        return stamp + self.seals.seal(use, f"{stamp}={local}@{domain}={whom}")

    def _address(self, sender: Address, whom: str, sealed: str) -> Address | None:
        local = f"{sender.local}{self.delimiter}{whom}={sealed}"
        if len(local) > MAX_LOCAL or not fits_local(local):
            return None
        return Address(local, sender.domain, f"{local}@{sender.domain}")


def _about(use: str, local: str, domain: str, whom: str) -> About | None:
    try:
        sender = parse_address(f"{local}@{domain}")
        if use == "verpk":
            return About(sender, Kept(whom))
        name, _, host = whom.rpartition("=")
        return About(sender, parse_address(f"{name}@{host}"))
    except ValueError:
        return None
