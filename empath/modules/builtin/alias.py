"""
Aliases: mail for an address goes to others.

Fatal at start: a file that cannot be read. Retried by the client (451): an alias that becomes too many addresses, which
the log tells. Ignored: a file that is wrong later; the aliases stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import attrs
from twisted.logger import Logger
from zope.interface import implementer

from empath.modules import (
    Address,
    IModule,
    IServices,
    MaybeVerdict,
    Recipient,
    Session,
    Transaction,
    accept,
    options,
    tempfail,
)
from empath.modules.builtin.alias_map import (
    LOCALHOST,
    Aliases,
    Entry,
    Expansion,
    Key,
    divide,
    read_alias,
    read_key,
)
from empath.modules.files import WatchedFile, each_line

NAME: Final = "alias"
MOST: Final = 1000  # addresses that one may become
TOO_MANY: Final = tempfail("451 4.3.5 the address stands for too many others", "max_addresses")
_SHOWN: Final = 10  # addresses that a record names

_Table = dict[Key, Entry]

log = Logger()


@implementer(IModule)
class Alias:
    """
    Rewrites recipients by what `aliases` and `file` say of them.

    See docs/modules/builtin/alias.md.
    """

    name = NAME

    def __init__(
        self,
        aliases: object = None,
        file: object = "",
        root: object = "",
        delimiter: object = "+",
        keep_detail: object = False,
        max_addresses: object = MOST,
    ) -> None:
        self._table = _read_table(aliases)
        self._path = options.text(file, "file")
        wanted = options.text(root, "root")
        self._root = _read("root", wanted) if wanted else None
        self._delimiter = options.text(delimiter, "delimiter")
        if len(self._delimiter) > 1 or self._delimiter in tuple('@"'):
            raise ValueError(f'delimiter: one sign such as "+", or "" for none, not {self._delimiter!r}')
        self._keep_detail = options.flag(keep_detail, "keep_detail")
        self._most = options.integer(max_addresses, "max_addresses", low=1)
        if not (self._table or self._path or self._root):
            raise ValueError("nothing to do: give aliases, file or root")
        self._file: WatchedFile[Aliases] | None = None
        self._aliases: Aliases

    def start(self, services: IServices) -> None:
        """
        Read the file.
        """
        self._aliases = Aliases(
            self._table,
            partial(_ours, services),
            services.hostname.lower(),
            self._root,
            self._delimiter,
            self._keep_detail,
            self._most,
        )
        if self._path:
            self._file = WatchedFile(self._path, self._merged, services)

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        Rewrite the recipient, or what it was rewritten to before.
        """
        aliases = self._aliases if self._file is None else self._file.value
        becomes = transaction.becomes(recipient)
        expanded = [aliases.expand(each.address) for each in becomes]
        if not any(expanded):
            return None
        return self._rewrite(transaction, recipient, merge(becomes, expanded))

    def _rewrite(self, transaction: Transaction, recipient: Recipient, whole: Expansion) -> MaybeVerdict:
        queue_id, address = transaction.queue_id, recipient.address
        for way in whole.loops:
            log.warn(
                "{queue_id}: to=<{address}> is an alias in a loop: {way}", queue_id=queue_id, address=address, way=way
            )
        if whole.overflow or len(whole.addresses) > self._most:
            log.error(
                "{queue_id}: to=<{address}> becomes more than {most} addresses",
                queue_id=queue_id,
                address=address,
                most=self._most,
            )
            return TOO_MANY
        if whole.refusal is not None:
            return whole.refusal
        if whole.addresses == tuple([each.address for each in transaction.becomes(recipient)]):
            return None  # it is exempt from an alias for all its domain
        transaction.rewrite(recipient, *whole.addresses)
        if not whole.addresses:
            log.info("{queue_id}: to=<{address}> is discarded by an alias", queue_id=queue_id, address=address)
        return accept(_record(whole.addresses))

    def _merged(self, text: str) -> Aliases:
        """
        Read the file's aliases, below those of the configuration.
        """
        return attrs.evolve(self._aliases, table={**read_aliases(text), **self._table})


def merge(becomes: tuple[Recipient, ...], expanded: list[Expansion | None]) -> Expansion:
    """
    Take together what several addresses became; those without an alias stay themselves.
    """
    found: dict[Key, Address] = {}
    for recipient, each in zip(becomes, expanded, strict=True):
        for address in (recipient.address,) if each is None else each.addresses:
            found.setdefault(_exact(address), address)
    some = [each for each in expanded if each is not None]
    refused = [each.refusal for each in some]
    refusal = None if found or None in refused else refused[0]
    loops = tuple([way for each in some for way in each.loops])
    return Expansion(tuple(found.values()), refusal, loops, any(each.overflow for each in some))


def read_aliases(text: str) -> _Table:
    """
    Read a file: "whom: target, target" a line, which goes on in lines that begin with a blank; "#" begins a comment.
    ValueError tells each line that is wrong.
    """
    table: _Table = {}

    def take(line: str) -> None:
        whom, colon, targets = _parted(line)
        if not colon:
            raise ValueError("no colon behind whom the alias is for")
        key = read_key(whom.strip())
        if key in table:
            raise ValueError(f"{whom.strip()} is given twice")
        table[key] = read_alias(targets)

    each_line(_lines(text), take)
    return table


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """
    Give the logical lines with the numbers of their first ones.
    """
    begun, whole = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t" and whole:
            whole = f"{whole} {line.strip()}"
            continue
        if whole:
            yield begun, whole
        begun, whole = number, line.strip()
    if whole:
        yield begun, whole


def _parted(line: str) -> tuple[str, str, str]:
    parts = divide(line, ":", 1)
    return (parts[0], ":", parts[1]) if len(parts) > 1 else (line, "", "")


def _read_table(value: object) -> _Table:
    """
    Read the option `aliases`: a table of a target, or a list of targets, by whom they are for.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError('aliases: a table such as { "info@example.org" = ["a@example.org", "b@example.org"] }')
    table: _Table = {}
    for whom, targets in value.items():
        try:
            key = read_key(str(whom))
        except ValueError as problem:
            raise ValueError(f"aliases: {problem}") from None
        if key in table:
            raise ValueError(f"aliases: {whom} is given twice")
        table[key] = _read(f"aliases: {whom}", targets)
    return table


def _read(key: str, value: object) -> Entry:
    if not isinstance(value, str | list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key}: a target or a list of targets, not {value!r}")
    try:
        return read_alias(value)
    except ValueError as problem:
        raise ValueError(f"{key}: {problem}") from None


def _ours(services: IServices, address: Address) -> bool:
    """
    Tell whether names hold for an address: it is in a domain of ours, or on this host.
    """
    return address.domain in ("", LOCALHOST, services.hostname.lower()) or services.local(address)


def _exact(address: Address) -> Key:
    return address.local, address.domain


def _record(addresses: tuple[Address, ...]) -> str:
    if not addresses:
        return "discarded"
    more = "" if len(addresses) <= _SHOWN else f" and {len(addresses) - _SHOWN} more"
    return f"becomes {', '.join(each.text for each in addresses[:_SHOWN])}{more}"
