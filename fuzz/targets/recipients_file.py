"""
The file of recipients: any text gives mailboxes, which read again are the same, or a ValueError that names the first
wrong lines.
"""

from __future__ import annotations

import re
from typing import Final

from empath.mail.address import Address, canonical_domain
from empath.policy.mailbox import EVERYBODY, local_key
from empath.policy.relay import read_recipients, relay_policy

TOKENS: Final = (
    b"bob@example.org\n",
    b'"a b"@example.org\n',
    b"# comment\n",
    b"@",
    b"@example.org\n",
    b'"',
    b"\\",
    b"[192.0.2.1]",
    b"\r\n",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\xc2\x85",
    "\u2028".encode(),
    "bücher.example".encode(),
    b"xn--",
    b".",
    b"\x00",
    b" ",
    b"\t",
    b"BOB@EXAMPLE.ORG.\n",
)
_LINE: Final = re.compile(r"line ([0-9]+): ")


def one_input(data: bytes) -> None:
    """
    Read one file.
    """
    text = data.decode("utf-8", "replace")
    try:
        recipients = read_recipients(text)
    except ValueError as trouble:
        lines = str(trouble).removesuffix("\nand perhaps more").split("\n")
        numbers = [int(match[1]) for line in lines if (match := _LINE.match(line))]
        assert len(numbers) == len(lines), f"not a line for each problem: {trouble}"
        assert numbers == sorted(set(numbers)), f"{numbers}"
        return
    written = "\n".join(f"{quoted(local)}@{domain}" for local, domain in recipients)
    assert fits(recipients) is False or read_recipients(written) == recipients, "changes when it is read again"
    policy = relay_policy((), {domain for _, domain in recipients if not domain.startswith("[")}, recipients)
    for local, domain in recipients:
        assert local == local_key(local) and domain == canonical_domain(domain)
        if domain in policy.domains and not set(local) & set("%!@"):
            written = local.upper() if local_key(local.upper()) == local else local  # not so for "ı", which is no "i"
            assert policy.judge(False, Address(written, domain, "")) is None, f"{local}@{domain} is refused"


def quoted(local: str) -> str:
    """
    Write a local part in quotes; everybody's as nothing.
    """
    if local == EVERYBODY:
        return ""
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def fits(recipients: frozenset[tuple[str, str]]) -> bool:
    """
    Tell whether all local parts are short enough to be quoted.
    """
    return all(len(quoted(local)) <= 64 for local, _ in recipients)
