"""
The macros that a milter can ask for, as far as we know their values: Sendmail's names for what Postfix tells, too.

What Sendmail knows of its own queue is not among them: a milter takes an absent macro as not known.
"""

from __future__ import annotations

import re
from typing import Final

from empath.mail.address import Address
from empath.mail.session import Session, Transaction

_BY_PROXY: Final = "XCLIENT"  # who logged in at a proxy, as Postfix says it
_AES: Final = re.compile(r"(?:AES|CAMELLIA|ARIA)[_-]?(128|256)")


def session_macros(session: Session, hostname: str, client: str, pointer: str) -> dict[str, str]:
    """
    Tell what is known of a session: `hostname` is ours, `client` the client's verified name, or its address in
    brackets, `pointer` what the DNS says its name is.
    """
    known = {
        "j": hostname,
        "v": "empath",
        "_": client if client.startswith("[") else f"{client} [{session.peer}]",
        "{daemon_name}": session.kind,
        "{client_addr}": session.peer,
        "{client_name}": "unknown" if client.startswith("[") else client,
        "{client_port}": str(session.port),
        "{client_ptr}": pointer or "unknown",
    }
    if session.tls:
        known |= {"{tls_version}": session.tls, "{cipher}": session.cipher}
        bits = cipher_bits(session.cipher)
        if bits:
            known["{cipher_bits}"] = bits
    if session.tls_client_subject:
        known["{cert_subject}"] = session.tls_client_subject
    if session.login:
        known |= {"{auth_authen}": session.login, "{auth_type}": session.mechanism or _BY_PROXY}
    return known


def cipher_bits(cipher: str) -> str:
    """
    Tell the length of the key of a cipher suite by its name; "" if the name does not tell.
    """
    found = _AES.search(cipher)
    if found is not None:
        return found[1]
    return "256" if "CHACHA20" in cipher else ""


def mail_macros(transaction: Transaction) -> dict[str, str]:
    """
    Tell what MAIL adds.
    """
    return {"i": transaction.queue_id, **_of_address("mail", transaction.reverse_path, "smtp")}


def rcpt_macros(address: Address, ours: bool) -> dict[str, str]:
    """
    Tell what RCPT adds.
    """
    return _of_address("rcpt", address, "local" if ours else "smtp")


def content_macros(transaction: Transaction, message_id: str | None) -> dict[str, str]:
    """
    Tell what the content adds.
    """
    known = {"{nrcpts}": str(transaction.accepted)}
    if message_id:
        known["{msg_id}"] = message_id
    return known


def _of_address(kind: str, address: Address | None, mailer: str) -> dict[str, str]:
    text, domain = ("", "") if address is None else (address.text, address.domain)
    return {f"{{{kind}_addr}}": text, f"{{{kind}_host}}": domain, f"{{{kind}_mailer}}": mailer}
