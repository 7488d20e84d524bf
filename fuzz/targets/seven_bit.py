"""
Conversion to 7 bits: any message is converted, or refused with a reason; the same in any division. What comes out is
7-bit and is not converted again, and no leaf that Python's email package finds in a clean message is changed.
"""

from __future__ import annotations

import re
from email import message_from_bytes
from typing import Final

from empath.mail.seven_bit import Converter, Encoding, NotConvertible, Survey
from fuzz.divisions import divisions

TOKENS: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b"MIME-Version: 1.0\r\n",
    b"Content-Type: text/plain; charset=utf-8\r\n",
    b"Content-Type: image/png\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b'Content-Type: multipart/digest; boundary="b1"\r\n',
    b"Content-Type: multipart/signed; boundary=c\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: message/partial\r\n",
    b"Content-Transfer-Encoding: 8bit\r\n",
    b"Content-Transfer-Encoding: binary\r\n",
    b"Content-Transfer-Encoding: 7bit\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"; boundary=",
    b"boundary*0=",
    b'"\\"',
    b"\r\n--b\r\n",
    b"\r\n--b--\r\n",
    b"--b1 \t\r\n",
    b"--b1--",
    b"--c--\r\n",
    b"\xff",
    b"\xc3\xbc",
    b"\x00",
    b"\r",
    b"\n",
    b" \r\n",
    b"x" * 1000,
)
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_LABEL: Final = re.compile(rb"(?i)encoding[ \t]*:")


def converted(parts: list[bytes], plan: tuple[Encoding, ...] = ()) -> bytes | str:
    """
    Convert a message, or tell why it cannot be done.
    """
    converter = Converter(plan)
    try:
        return b"".join([converter.feed(part) for part in parts]) + converter.finish()
    except NotConvertible as error:
        assert error.reason, "refused without a reason"
        return error.reason


def surveyed(parts: list[bytes]) -> tuple[Encoding, ...] | str:
    """
    Look through a message.
    """
    survey = Survey()
    try:
        for part in parts:
            survey.feed(part)
        return survey.finish()
    except NotConvertible as error:
        return error.reason


def check_meaning(before: bytes, after: bytes) -> None:
    """
    The leaves of the message are what they were.
    """
    texts = [
        [part.get_payload(decode=True) for part in message_from_bytes(content).walk() if not part.is_multipart()]
        for content in (before, after)
    ]
    assert texts[0] == texts[1], f"{texts[0]} became {texts[1]}"


def one_input(data: bytes) -> None:
    """
    Convert the input as it is, and as an 8-bit text message.
    """
    results = [converted(parts) for parts in divisions(data)]
    assert all(result == results[0] for result in results), f"depends on the division: {results}"
    plans = [surveyed(parts) for parts in divisions(data)]
    assert all(plan == plans[0] for plan in plans), f"depends on the division: {plans}"
    whole, plan = results[0], plans[0]
    if isinstance(whole, str) or isinstance(plan, str):
        assert whole == plan, "the survey comes to another end"
        return
    assert converted([data], plan) == whole, "the plan changes what is sent"
    assert whole.isascii() and b"\0" not in whole and not _BARE.search(whole), "not 7-bit"
    assert converted([whole]) == whole, "converted twice"
    if data.isascii() and not _LABEL.search(data) and all(one is Encoding.NONE for one in plan):
        assert whole == data, "a 7-bit message was changed"
    text = b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + data
    became = converted([text])
    assert isinstance(became, bytes), "a leaf was refused"
    check_meaning(text, became)
