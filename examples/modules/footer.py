"""
A disclaimer below what our own people send.

Only plain text gets it: a message that is one text/plain part, 7bit, 8bit or quoted-printable, in a character set
that can say the footer. All else passes as it came: behind a multipart's last boundary nobody would see the text, HTML
and base64 would have to be taken apart, and a signature (multipart/signed, S/MIME, DKIM) would break.
"""

from __future__ import annotations

from binascii import b2a_qp
from email.message import Message as Fields  # reads a Content-Type with its parameters

from zope.interface import implementer

from empath.modules import IContent, IModule, IServices, Session, Transaction

ASCII_BASED = ("us-ascii", "utf-8", "iso-8859-", "windows-125")


@implementer(IModule)
class Footer:
    """
    Appends `text` to what trusted clients send to at least one recipient who is not in our domains.
    """

    name = "footer"

    def __init__(self, text: str) -> None:
        if not text.strip():
            raise ValueError("text is empty")
        self.text = "\r\n-- \r\n" + "\r\n".join(text.strip().splitlines()) + "\r\n"

    def start(self, services: IServices) -> None:
        """
        Learn which domains are ours.
        """
        self.services = services

    async def data(self, session: Session, transaction: Transaction, content: IContent) -> None:
        """
        Append the footer where it can be read.
        """
        outside = any(not self.services.local(recipient.address) for recipient in transaction.recipients)
        if not (session.trusted and outside):
            return
        footer = encoded(self.text, content)
        if footer is None:
            self.services.count("left alone")
            return
        waiting = content.append(footer)
        if waiting is not None:
            await waiting
        self.services.count("appended")


def encoded(text: str, content: IContent) -> bytes | None:
    """
    Put the text as the message's body is; None for a body that is not plain text, or cannot say it.
    """
    fields = Fields()
    fields["Content-Type"] = content.get("Content-Type") or "text/plain"
    encoding = (content.get("Content-Transfer-Encoding") or "7bit").lower()
    charset = str(fields.get_content_charset("us-ascii"))
    signed = content.get("DKIM-Signature") is not None or content.get("ARC-Seal") is not None
    attached = (content.get("Content-Disposition") or "inline").lower().startswith("attachment")
    if signed or attached or fields.get_content_type() != "text/plain" or not charset.startswith(ASCII_BASED):
        return None
    try:
        raw = text.encode(charset)
    except (LookupError, UnicodeEncodeError):
        return None
    match encoding:
        case "quoted-printable":
            return b2a_qp(raw, istext=True)
        case "8bit":
            return raw
        case "7bit" if raw.isascii():
            return raw
        case _:
            return None
