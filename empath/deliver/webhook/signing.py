"""
Signatures of requests, as Standard Webhooks 1.0.0 has them (standardwebhooks.com): HMAC-SHA256 over id, time and body.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from typing import Final

from empath.net.web_body import Body

_PREFIX: Final = "whsec_"


def key_of(secret: str) -> bytes:
    """
    Read a secret: "whsec_" and the key in base64, or a text that is the key itself.
    """
    if secret.startswith(_PREFIX):
        try:
            return b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


async def signature(key: bytes, identity: str, timestamp: int, body: Body) -> str:
    """
    Sign a request: reads the body once to its end.
    """
    mac = hmac.new(key, f"{identity}.{timestamp}.".encode(), "sha256")
    reader = body.open()
    try:
        while piece := await reader.read():
            mac.update(piece)
    finally:
        reader.close()
    return f"v1,{b64encode(mac.digest()).decode('ascii')}"
