"""
The Sender Rewriting Scheme: mail that we forward leaves with a reverse-path of ours, since its sender's domain does not
know of us (SPF, RFC 7208 §2.4), and what comes back to that goes on to the sender.

    SRS0=<seal>=<day>=<domain>=<local part>@<our domain>            of an ordinary address
    SRS1=<day and seal>=<domain>=<rest of it>@<our domain>          of the SRS0 or SRS1 address of another forwarder
    SRSK=<seal>=<day>=<token>@<our domain>                          of one that does not fit: it is kept under its token

An SRS1 address leads straight back to the forwarder that was the first, which knows what its SRS0 address stands for,
however many forwarders there are.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from empath.mail.address import MAX_LOCAL, Address, parse_address
from empath.policy.seal import Seals, day_stamp, fits, lasting

_TAG: Final = re.compile(r"SRS([01K])=(.+)", re.IGNORECASE)  # as ours are
_FOREIGN: Final = re.compile(r"SRS([01])([=+-].+)", re.IGNORECASE)


@attrs.frozen(slots=True)
class Kept:
    """
    What an address stands for is kept under this token.
    """

    token: str


@attrs.frozen(slots=True)
class Srs:
    """
    Rewrites to `domain` and back.
    """

    domain: str
    seals: Seals

    def forward(self, sender: Address, now: float) -> Address | None:
        """
        Rewrite a reverse-path; None where it does not fit, and has to be kept.
        """
        if not fits(sender):
            return None
        local = self._again(sender, now) or self._first(sender, now)
        return None if len(local) > MAX_LOCAL else self._address(local)

    def keep(self, sender: Address, now: float) -> tuple[str, Address]:
        """
        Rewrite any reverse-path: tells the token under which its text is to be kept, too.
        """
        token, stamp = self.seals.token(sender.text), day_stamp(now)
        seal = self.seals.seal("srsk", f"{stamp}={token}")
        return token, self._address(f"SRSK={seal}={stamp}={token}")

    def concerns(self, address: Address) -> bool:
        """
        Tell whether an address looks like one of ours.
        """
        return address.domain == self.domain and _TAG.fullmatch(address.local) is not None

    def back(self, address: Address, now: float) -> Address | Kept | None:
        """
        Tell what an address of ours stands for; None if we never made it, or too long ago.
        """
        match = _TAG.fullmatch(address.local) if address.domain == self.domain else None
        if match is None:
            return None
        try:
            match match[1].upper():
                case "0":
                    return self._of_first(match[2], now)
                case "1":
                    return self._of_again(match[2], now)
                case _:
                    return self._of_kept(match[2], now)
        except ValueError:
            return None

    def _address(self, local: str) -> Address:
        return Address(local, self.domain, f"{local}@{self.domain}")

    def _first(self, sender: Address, now: float) -> str:
        text = f"{day_stamp(now)}={sender.domain}={sender.local}"
        return f"SRS0={self.seals.seal('srs0', text)}={text}"

    def _again(self, sender: Address, now: float) -> str:
        """
        Rewrite what is another forwarder's already; "" for what only looks like that.
        """
        match = _FOREIGN.fullmatch(sender.local)
        if match is None:
            return ""
        host, rest = sender.domain, match[2]
        if match[1] == "1":
            _, host, rest = [*rest[1:].split("=", 2), "", ""][:3]
            host = host.lower()
        first = f"SRS0{rest}@{host}"
        if rest[:1] not in ("=", "+", "-") or not _is_address(first):
            return ""
        if host == self.domain and self.back(parse_address(first), now) is None:
            return ""  # not of our making
        stamp = day_stamp(now)
        seal = self.seals.seal("srs1", f"{stamp}={host}={rest}")
        return f"SRS1={stamp}{seal}={host}={rest}"

    def _of_first(self, rest: str, now: float) -> Address | None:
        seal, stamp, domain, local = rest.split("=", 3)
        if not (lasting(stamp, now) and self.seals.fits("srs0", f"{stamp}={domain}={local}", seal)):
            return None
        return parse_address(f"{local}@{domain}")

    def _of_again(self, rest: str, now: float) -> Address | Kept | None:
        """
        Read the address of the first forwarder; were that we, mail came by here twice, and it tells the sender.
        """
        sealed, host, rest = rest.split("=", 2)
        stamp, seal = sealed[:2], sealed[2:]
        if not (lasting(stamp, now) and self.seals.fits("srs1", f"{stamp}={host}={rest}", seal)):
            return None
        found = parse_address(f"SRS0{rest}@{host}")
        return self.back(found, now) if found.domain == self.domain else found

    def _of_kept(self, rest: str, now: float) -> Kept | None:
        seal, stamp, token = rest.split("=", 2)
        if not (lasting(stamp, now) and self.seals.fits("srsk", f"{stamp}={token}", seal)):
            return None
        return Kept(token.upper())


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True
