"""
The file of aliases: any text gives aliases or a ValueError that names wrong lines, and whatever they are every address
becomes something, in the end and within the limit.
"""

from __future__ import annotations

from typing import Final

from empath.mail.address import Address, parse_address
from empath.modules.builtin.alias import read_aliases
from empath.modules.builtin.alias_map import Aliases
from empath.policy.mailbox import EVERYBODY

TOKENS: Final = (
    b"a: b\n",
    b"a@example.org: b, c@example.com\n",
    b"@example.org: @example.net\n",
    b"@example.net: @example.org\n",
    b"c: :discard:\n",
    b"d: :fail: 550 5.7.1 no\n",
    b"a: a+x\n",
    b"b: a",
    b":",
    b",",
    b"+",
    b"@",
    b'"',
    b"\\",
    b"[",
    b"]",
    b"[IPv6:::1]",
    b":fail:",
    b":discard:",
    b" ",
    b"\n ",
    b"\t",
    b"\r\n",
    b"#",
    "bücher.example".encode(),
    b"\x00",
)
MOST: Final = 20
_OURS: Final = ("", "example.org", "example.net")


def one_input(data: bytes) -> None:
    """
    Read one file, and send to everybody in it.
    """
    try:
        table = read_aliases(data.decode("utf-8", "replace"))
    except ValueError as trouble:
        assert str(trouble).startswith("line "), f"no line: {trouble}"
        return
    for keep_detail in (False, True):
        aliases = Aliases(table, ours, "mx.example.org", None, "+", keep_detail, MOST)
        for local, domain in table:
            name = "x+y" if local == EVERYBODY else local
            expand(aliases, Address(name, domain or "example.org", f"{quoted(name)}@{domain or 'example.org'}"))


def expand(aliases: Aliases, address: Address) -> None:
    """
    Expand one address, and hold what comes against what is promised.
    """
    expansion = aliases.expand(address)
    assert expansion is not None, f"{address} has no alias"
    found = expansion.addresses
    assert len(found) <= MOST or expansion.overflow, f"{address} becomes {len(found)}"
    assert len({(each.local, each.domain) for each in found}) == len(found), f"{address} becomes one twice"
    assert expansion.refusal is None or not found, f"{address} is refused, and is not"
    for each in found:
        if each != address:
            assert parse_address(each.text, utf8=True) == each, f"{address} becomes {each}, which is read otherwise"


def ours(address: Address) -> bool:
    """
    Tell whether names hold for an address.
    """
    return address.domain in _OURS


def quoted(local: str) -> str:
    """
    Write a local part in quotes.
    """
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
