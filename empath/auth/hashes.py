"""
Verifiers: what is kept of a password so that it can be checked, in the forms that others write, too.

argon2 (PHC strings), bcrypt and sha512-crypt (crypt(3)) check passwords that come in the clear; a SCRAM verifier
(RFC 5803) does that as well. What a line asks for is bounded when it is read: a verifier costs memory and time on every
login, and whoever made the file may have mistyped a number.

Every check blocks, some for a second: only in a thread.
"""

from __future__ import annotations

import binascii
import random
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, assert_never

import attrs
import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from passlib.hash import sha512_crypt

from empath.smtp.scram import SCHEME as SCRAM_SCHEME
from empath.smtp.scram import ScramVerifier, make_verifier, parse_verifier, print_verifier

MAX_MEMORY: Final = 512 * 1024  # KiB
MAX_WORK: Final = 4 * 1024 * 1024  # KiB times passes
MAX_LANES: Final = 64
MAX_COST: Final = 16  # of bcrypt: 2**16 rounds take seconds
MAX_ROUNDS: Final = 1_000_000  # of sha512-crypt
MIN_SALT: Final = 8  # octets of argon2's salt
MAX_VERIFIER: Final = 1024  # characters
BCRYPT_OCTETS: Final = 72  # more of a password bcrypt does not look at
BCRYPT_COST: Final = 12
SCRAM_ITERATIONS: Final = 65536
SCRAM_SALT: Final = 16  # octets

_NUMBER: Final = r"(0|[1-9][0-9]{0,9})"
_ARGON2: Final = re.compile(
    rf"\$(argon2(?:id|i|d))\$(?:v=(?:16|19)\$)?m={_NUMBER},t={_NUMBER},p={_NUMBER}\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)
_BCRYPT: Final = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")


class Kind(Enum):
    """
    How a password is kept; the values are what `hash --scheme` takes.
    """

    ARGON2 = "argon2"
    BCRYPT = "bcrypt"
    SHA512_CRYPT = "sha512-crypt"
    SCRAM = "scram"


@attrs.frozen(slots=True)
class Verifier:
    """
    One verifier as it stands in the file; `cost` is the part that says what checking it takes, the same for verifiers
    that take equally long. `scram` is None where SCRAM cannot use it.
    """

    kind: Kind
    cost: str
    text: str = attrs.field(repr=False)
    scram: ScramVerifier | None = None

    def accepts(self, password: str) -> bool:
        """
        Tell whether this is the password. Blocks. argon2's HashingError: there is no memory for it now.
        """
        if self.scram is not None:
            return self.scram.accepts(password)
        return _ACCEPTS[self.kind](self.text, password)


def read_verifier(text: str) -> Verifier:
    """
    Read a verifier; ValueError says why it is none, or costs too much.
    """
    if len(text) > MAX_VERIFIER or not text.isascii():
        raise ValueError(f"a verifier is ASCII, and no longer than {MAX_VERIFIER} characters")
    for prefix, read in _READERS.items():
        if text.startswith(prefix):
            return read(text)
    raise ValueError("no verifier: argon2, bcrypt, sha512-crypt and SCRAM-SHA-256 are known")


def make(kind: Kind, password: str, chance: random.Random) -> str:
    """
    Make a verifier, of the cost that is recommended today; ValueError for a password that it cannot hold. Blocks.
    `chance` must be cryptographic (`random.SystemRandom`).
    """
    match kind:
        case Kind.ARGON2:
            return PasswordHasher().hash(password)
        case Kind.BCRYPT:
            secret = password.encode()
            if len(secret) > BCRYPT_OCTETS:
                raise ValueError(f"bcrypt looks at the first {BCRYPT_OCTETS} octets of a password only")
            return bcrypt.hashpw(secret, bcrypt.gensalt(BCRYPT_COST)).decode()
        case Kind.SHA512_CRYPT:
            return sha512_crypt.hash(password)
        case Kind.SCRAM:
            return print_verifier(make_verifier(password, chance.randbytes(SCRAM_SALT), SCRAM_ITERATIONS))
        case _ as never:
            assert_never(never)


def _read_argon2(text: str) -> Verifier:
    """
    Read argon2's PHC string; what its library would find wrong on the first login is found here.
    """
    match = _ARGON2.fullmatch(text)
    if match is None:
        raise ValueError("no argon2 verifier")
    memory, passes, lanes = (int(number) for number in match.group(2, 3, 4))
    salt, made = _octets(match[5]), _octets(match[6])
    if not passes or not lanes or memory < 8 * lanes or salt < MIN_SALT or made < MIN_SALT:
        raise ValueError("no argon2 verifier: memory, passes, lanes, salt or hash are less than it needs")
    cost = f"m={memory},t={passes},p={lanes}"
    if memory > MAX_MEMORY or memory * passes > MAX_WORK or lanes > MAX_LANES:
        most = f"m={MAX_MEMORY}, p={MAX_LANES}, m×t={MAX_WORK}"
        raise ValueError(f"argon2 with {cost} costs too much; allowed are {most}")
    return Verifier(Kind.ARGON2, f"{match[1]} {cost}", text)


def _octets(text: str) -> int:
    """
    Count the octets of base64 without padding; ValueError for anything but the one way to write them.
    """
    try:
        value = b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("no argon2 verifier: no base64") from error
    if b64encode(value).decode().rstrip("=") != text:
        raise ValueError("no argon2 verifier: no base64")
    return len(value)


def _read_bcrypt(text: str) -> Verifier:
    """
    Read bcrypt's form of crypt(3), $2a$, $2b$ or $2y$.
    """
    match = _BCRYPT.fullmatch(text)
    if match is None:
        raise ValueError("no bcrypt verifier")
    cost = int(match[1])
    if not 4 <= cost <= MAX_COST:
        raise ValueError(f"bcrypt of cost {cost}; allowed are 4 to {MAX_COST}")
    return Verifier(Kind.BCRYPT, match[1], text)


def _read_sha512_crypt(text: str) -> Verifier:
    """
    Read $6$[rounds=…$]salt$hash.
    """
    try:
        found = sha512_crypt.from_string(text)
    except ValueError as error:
        raise ValueError(f"no sha512-crypt verifier: {error}") from error
    rounds = int(found.rounds)
    if not found.checksum:
        raise ValueError("no sha512-crypt verifier: there is no hash in it")
    if rounds > MAX_ROUNDS:
        raise ValueError(f"sha512-crypt of {rounds} rounds; at most {MAX_ROUNDS} are allowed")
    return Verifier(Kind.SHA512_CRYPT, str(rounds), text)


def _read_scram(text: str) -> Verifier:
    """
    Read a SCRAM verifier (RFC 5803).
    """
    scram = parse_verifier(text)
    return Verifier(Kind.SCRAM, f"{scram.iterations} {len(scram.salt)}", text, scram)


def _argon2_accepts(text: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(text, password)
    except VerifyMismatchError:
        return False


def _bcrypt_accepts(text: str, password: str) -> bool:
    return bcrypt.checkpw(password.encode()[:BCRYPT_OCTETS], text.encode())


def _sha512_crypt_accepts(text: str, password: str) -> bool:
    return bool(sha512_crypt.verify(password, text))


_ACCEPTS: Final[Mapping[Kind, Callable[[str, str], bool]]] = {
    Kind.ARGON2: _argon2_accepts,
    Kind.BCRYPT: _bcrypt_accepts,
    Kind.SHA512_CRYPT: _sha512_crypt_accepts,
}
_READERS: Final[Mapping[str, Callable[[str], Verifier]]] = {
    "$argon2": _read_argon2,
    "$2": _read_bcrypt,
    "$6$": _read_sha512_crypt,
    SCRAM_SCHEME: _read_scram,
}
