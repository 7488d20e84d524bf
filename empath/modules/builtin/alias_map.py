"""
Aliases: what an operator writes of them, and what an address becomes by them. Without I/O.

No text raises but as ValueError, and whatever the aliases are, an expansion ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from empath.mail.address import Address, canonical_domain, parse_address
from empath.mail.reply import Reply
from empath.policy.mailbox import EVERYBODY, local_key, read_mailbox
from empath.policy.verdict import Verdict, refuse

DISCARD: Final = ":discard:"
FAIL: Final = ":fail:"
DEEPEST: Final = 50  # aliases of aliases
LOCALHOST: Final = "localhost"
ADMINISTRATORS: Final = ("root", "postmaster")
MOST_VISITS: Final = 10_000  # aliases on the way, those that discard among them
HERE: Final = ""  # the domain of names that hold in all domains that are ours

Key = tuple[str, str]
"""
(`local_key`, domain): EVERYBODY as the local part for all of a domain, HERE as the domain for a name.
"""

Target = Address | str
"""
Who gets the mail: a mailbox, "@example.org" for the same local part there, or a name for another one in the same
domain.
"""


@attrs.frozen(slots=True)
class Entry:
    """
    What an address becomes: all `targets`. Without any its mail is discarded, or refused with `refusal`.
    """

    targets: tuple[Target, ...] = ()
    refusal: Verdict | None = None


@attrs.frozen(slots=True)
class Expansion:
    """
    What an address became in the end. `loops` are the ways, spelled, that led back to where they had been or too deep;
    `overflow` tells that there would be too many addresses.
    """

    addresses: tuple[Address, ...]
    refusal: Verdict | None = None
    loops: tuple[str, ...] = ()
    overflow: bool = False


@attrs.frozen(slots=True)
class Aliases:
    """
    All aliases. `ours` tells whether an address is in one of our domains, or on this host, whose name is `hostname`.

    `root` gets the mail for root and postmaster of this host that no alias is for. `delimiter` parts the detail from a
    local part ("" for none), which is put behind the targets' local parts if `keep_detail`. `most` is how many
    addresses one may become.
    """

    table: Mapping[Key, Entry]
    ours: Callable[[Address], bool]
    hostname: str
    root: Entry | None = None
    delimiter: str = ""
    keep_detail: bool = False
    most: int = 1000

    def find(self, address: Address) -> tuple[Entry, str] | None:
        """
        Find the alias of an address, and the detail that it does not name: that of the address itself, then without
        its detail, then of the name alone, then of all its domain. <Postmaster> is this host's.
        """
        table = self.table
        local, domain = local_key(address.local), address.domain or self.hostname
        base, detail = self._divided(address.local)
        for place in (domain, HERE) if self.ours(address) else (domain,):
            found = table.get((local, place))
            if found is not None:
                return found, ""
            if base:
                found = table.get((base, place))
                if found is not None:
                    return found, detail
        if self.root is not None and local in ADMINISTRATORS and domain in (self.hostname, LOCALHOST):
            return self.root, ""
        found = table.get((EVERYBODY, domain))
        return None if found is None else (found, "")

    def expand(self, address: Address) -> Expansion | None:
        """
        Tell what an address becomes, aliases of aliases resolved; None if it has none.
        """
        if self.find(address) is None:
            return None
        run = _Run(self)
        run.visit(address)
        refusal = None if run.found or run.discarded else run.refusal
        return Expansion(tuple(run.found.values()), refusal, tuple(run.loops), run.overflow)

    def resolve(self, target: Target, address: Address, detail: str) -> Address:
        """
        Tell who a target is for mail to `address`.
        """
        if isinstance(target, str):
            domain = address.domain or self.hostname
            if target.startswith("@"):
                return moved(address, target[1:])
            target = spelled(target, domain) or address
        if self.keep_detail and detail:
            return spelled(f"{target.local}{self.delimiter}{detail}", target.domain) or target
        return target

    def _divided(self, local: str) -> tuple[str, str]:
        """
        Part the key of a local part from its detail; "" for one without.
        """
        if not self.delimiter or self.delimiter not in local:
            return "", ""
        base, _, detail = local.partition(self.delimiter)
        return local_key(base), detail


class _Run:
    """
    One expansion: `found` are the addresses at its ends, in their order.
    """

    def __init__(self, aliases: Aliases) -> None:
        self.found: dict[Key, Address] = {}
        self.loops: list[str] = []
        self.refusal: Verdict | None = None
        self.discarded = False
        self.overflow = False
        self._aliases = aliases
        self._seen: set[Key] = set()
        self._path: dict[int, Address] = {}  # by the entries that are being followed

    def visit(self, address: Address) -> None:
        """
        Take in what an address becomes, itself if it has no alias.

        An entry is not applied to what it made itself: `a: a, b` and `a: a+inbox` are meant, and any other way back is
        a loop, which is cut there.
        """
        found = self._aliases.find(address)
        if found is None:
            self._take(address)
            return
        entry, detail = found
        if id(entry) in self._path or len(self._path) >= DEEPEST:
            if id(entry) != next(reversed(self._path)):
                self._tell(address)
            self._take(address)
            return
        key = (local_key(address.local), address.domain)
        if key in self._seen:
            return
        self._seen.add(key)
        self._path[id(entry)] = address
        self._follow(address, entry, detail)
        del self._path[id(entry)]

    def _follow(self, address: Address, entry: Entry, detail: str) -> None:
        if entry.refusal is not None:
            self.refusal = self.refusal or entry.refusal
        elif not entry.targets:
            self.discarded = True
        self.overflow = self.overflow or len(self._seen) > MOST_VISITS
        for target in entry.targets:
            if self.overflow:
                return
            self.visit(self._aliases.resolve(target, address, detail))

    def _take(self, address: Address) -> None:
        self.found.setdefault((address.local, address.domain), address)
        self.overflow = self.overflow or len(self.found) > self._aliases.most

    def _tell(self, address: Address) -> None:
        way = [each.text for each in self._path.values()]
        shown = way if len(way) <= 10 else [*way[:5], "…", *way[-4:]]
        self.loops.append(" → ".join([*shown, address.text]))


def read_alias(value: str | Iterable[str]) -> Entry:
    """
    Read what an address becomes: targets in a list, or in one text with commas between; ":discard:" or ":fail: text"
    alone. ValueError for anything else.
    """
    parts = divide(value, ",") if isinstance(value, str) else list(value)
    texts = [part.strip() for part in parts]
    if texts and texts[0].startswith(FAIL):
        return Entry(refusal=_refusal(value if isinstance(value, str) else ", ".join(texts)))
    if texts == [DISCARD]:
        return Entry()
    if not texts or "" in texts:
        raise ValueError(f'targets, or "{DISCARD}", or "{FAIL} text", not {value!r}')
    return Entry(tuple(read_target(text) for text in texts))


def read_target(text: str) -> Target:
    """
    Read a target; ValueError if it is none.
    """
    if text.startswith(":"):
        raise ValueError(f"{text!r} stands alone, or is none of {DISCARD} and {FAIL}")
    if text.startswith("@"):
        return f"@{canonical_domain(text[1:])}"
    if text.startswith('"') or "@" in text:
        local, _, domain = text.rpartition("@")
        return parse_address(f"{local}@{canonical_domain(domain)}", utf8=True)
    if text.startswith(("/", "|")):  # local parts as any other, but never what is meant by them
        raise ValueError(f"{text!r} is a file or a program, to which nothing is delivered; {DISCARD} discards")
    if spelled(text, "example.org") is None or text != parse_address(f"{text}@example.org", utf8=True).local:
        raise ValueError(f"no name: {text!r}")
    return text


def read_key(text: str) -> Key:
    """
    Read whom an alias is for: "user@example.org", "@example.org" for all others there, or a name, which holds in all
    domains that are ours. ValueError if it is none of these.
    """
    if text.startswith("@"):
        return EVERYBODY, canonical_domain(text[1:])
    if text.startswith('"') or "@" in text:
        return read_mailbox(text)
    return local_key(parse_address(f"{text}@example.org", utf8=True).local), HERE


def divide(text: str, separator: str, most: int = -1) -> list[str]:
    """
    Part a text at a separator that is in no quoted string and no address literal, at most so often.
    """
    if '"' not in text and "[" not in text:
        return text.split(separator, most)
    parts: list[str] = []
    begin = at = 0
    closing = ""
    while at < len(text):
        letter = text[at]
        if letter == "\\" and closing == '"':
            at += 1
        elif closing:
            closing = "" if letter == closing else closing
        elif letter in '"[':
            closing = '"' if letter == '"' else "]"
        elif letter == separator and len(parts) != most:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    return [*parts, text[begin:]]


def spelled(local: str, domain: str) -> Address | None:
    """
    Make a mailbox of a local part, quoted if it has to be; None if it is none in any case.
    """
    quoted = local.replace("\\", "\\\\").replace('"', '\\"')
    for text in (local, f'"{quoted}"'):
        try:
            address = parse_address(f"{text}@{domain}", utf8=True)
        except ValueError:
            continue
        if address.local == local and address.domain == domain:
            return address
    return None


def moved(address: Address, domain: str) -> Address:
    """
    Give the same local part in another domain.
    """
    local = address.text.rpartition("@")[0] if address.domain else address.text
    return parse_address(f"{local}@{domain}", utf8=True)


def _refusal(text: str) -> Verdict:
    """
    Read ":fail: text", or ":fail: 550 5.7.1 text".
    """
    said = text.strip().removeprefix(FAIL).strip()
    if not said or not said.isprintable() or not said.isascii():
        raise ValueError(f'"{FAIL}" needs a text in ASCII, which the client is told')
    code = said.partition(" ")[0]
    if len(code) != len("550") or not code.isdigit():
        return refuse(f"550 5.1.1 {said}", "alias")
    reply = Reply.of(said)
    return refuse(said if reply.enhanced else f"{code} {code[0]}.1.1 {reply.lines[0]}", "alias")
