"""
Content on the wire: what is encoded and decoded again is the same in any division, and decoding agrees with a slow
reading of RFC 5321 §4.5.2 line by line.

The first byte tells whether bare newlines are normalised.
"""

from __future__ import annotations

import re
from typing import Final

from empath.smtp.content import DotDecoder, DotEncoder
from empath.smtp.events import Content, ContentChunk, ContentEnded, HeaderBlock
from empath.smtp.incoming import IncomingContent
from fuzz.divisions import divisions

TOKENS: Final = (
    b".",
    b"..",
    b"\r\n.\r\n",
    b"\r\n..\r\n",
    b"\r\n.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\x00",
    b"\xff",
    b"Received: x\r\n",
    b"x" * 1000,
)
_BARE: Final = re.compile(rb"\r\n|\r|\n")


def encoded(parts: list[bytes]) -> bytes:
    """
    Encode pieces.
    """
    encoder = DotEncoder()
    return b"".join([encoder.encode(part) for part in parts]) + encoder.finish()


def decoded(parts: list[bytes], normalize: bool) -> tuple[bytes, bool, bool, bytes]:
    """
    Decode pieces: the content, whether it ended, whether a bare newline was seen, and what followed.
    """
    decoder = DotDecoder(normalize)
    content = rest = b""
    for part in parts:
        if decoder.ended:
            rest += part
            continue
        content += decoder.decode(part)
        rest += decoder.rest
    return content, decoder.ended, decoder.bare_newline, rest


def slowly(wire: bytes) -> tuple[bytes, bool, bytes]:
    """
    Decode line by line, ignoring bare newlines: the content, whether it ended, and what followed.
    """
    lines: list[bytes] = []
    while (end := wire.find(b"\r\n")) >= 0:
        line, wire = wire[:end], wire[end + 2 :]
        if line == b".":
            return b"".join(lines), True, wire
        lines.append(line.removeprefix(b".") + b"\r\n")
    return b"".join(lines), False, b""


def gathered(parts: list[bytes]) -> tuple[HeaderBlock | None, bytes, ContentEnded | None]:
    """
    Let content come in as a session does.
    """
    incoming = IncomingContent(normalize=True)
    events: list[Content] = []
    for part in parts:
        if incoming.ended:
            break
        events += incoming.receive(part)
    body = b"".join(event.data for event in events if isinstance(event, ContentChunk))
    header = [event for event in events if isinstance(event, HeaderBlock)]
    ended = [event for event in events if isinstance(event, ContentEnded)]
    assert len(header) <= 1 and len(ended) <= 1
    return (header[0] if header else None), body, (ended[0] if ended else None)


def check_round_trip(content: bytes) -> None:
    """
    What is sent arrives, with a line end at its end.
    """
    whole = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
    wires = {encoded(parts) for parts in divisions(content)}
    assert len(wires) == 1, f"the encoder depends on the division: {wires}"
    wire = wires.pop()
    assert wire.find(b"\r\n.\r\n") in (-1, len(wire) - 5), "the content ends early"
    assert slowly(wire) == (whole, True, b""), "encoded wrongly"
    assert decoded([wire + b"QUIT\r\n"], normalize=False) == (whole, True, False, b"QUIT\r\n")


def one_input(data: bytes) -> None:
    """
    Encode the input as content, its line ends straightened, and decode it as it is.
    """
    normalize = bool(data) and bool((data[0] ^ 0x30) & 1)
    raw = data[1:]
    check_round_trip(_BARE.sub(b"\r\n", raw))
    results = [decoded(parts, normalize) for parts in divisions(raw)]
    for other in results[1:]:
        spoiled = other[2] and results[0][2] and not normalize  # then nobody wants the content
        assert other == results[0] or (spoiled and (other[1], other[3]) == (results[0][1], results[0][3])), f"{other}"
    content, ended, bare, rest = results[0]
    expected, expected_end, expected_rest = slowly(raw)
    assert (ended, rest) == (expected_end, expected_rest), "ends elsewhere"
    if ended and not bare:
        assert content == expected, f"{content!r}, not {expected!r}"
    if ended and normalize:
        assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    taken = [gathered(parts) for parts in divisions(raw)]
    ends = [each for each in taken if each[2] is not None]
    assert len(ends) in (0, len(taken)) and all(each == ends[0] for each in ends), f"{taken}"
