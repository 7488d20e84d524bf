"""
The rules of the module `headers`: when each applies, and what a template makes of a session and a transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from string import Formatter
from typing import Final

import attrs

from empath.mail.header import field
from empath.modules import IContent, Session, Transaction, options

MOST_OCTETS: Final = 400  # of all that a session brings into one value: with the rest of it a line takes 998
FIELDS: Final = (
    "queue_id",
    "peer",
    "login",
    "name",
    "listener",
    "kind",
    "protocol",
    "tls",
    "reverse_path",
    "hostname",
)
_NAME: Final = re.compile(r"[!-9;-~]+")
_METADATA: Final = re.compile(r"metadata\[([^\[\]]+)\]")

Anything = Callable[[str], bool]


class Change(Enum):
    """
    What a rule does: one field more at the end or on top, none or one instead of all of the name, another name.
    """

    ADD = "add"
    PREPEND = "prepend"
    REPLACE = "replace"
    REMOVE = "remove"
    RENAME = "rename"


@attrs.frozen(slots=True)
class Template:
    """
    Texts, and what stands between them: names of FIELDS, or keys of metadata.
    """

    parts: tuple[tuple[str, str, str], ...]  # a text, the field behind it or "", the key of metadata or ""
    room: int  # octets for each of what is filled in

    def render(self, session: Session, transaction: Transaction, hostname: str, ascii_only: bool = False) -> str:
        """
        Fill in. Whatever is no printable character becomes "?": a peer's text ends no line, whatever it is.
        """
        return "".join(
            [
                text
                + (_tame(_looked_up(name, key, session, transaction, hostname), self.room, ascii_only) if name else "")
                for text, name, key in self.parts
            ]
        )

    def longest(self) -> str:
        """
        Fill in what makes it as long as it can be.
        """
        return "".join([text + ("x" * self.room if name else "") for text, name, _ in self.parts])


@attrs.frozen(slots=True)
class Condition:
    """
    When a rule applies: all that is not None must be so.
    """

    listener: Anything | None = None
    kind: Anything | None = None
    login: Anything | None = None
    trusted: bool | None = None
    present: bool | None = None
    metadata: tuple[tuple[str, Anything], ...] = ()

    def met(self, session: Session, transaction: Transaction, content: IContent, name: str) -> bool:
        """
        Tell whether it is so, of a rule about fields of this name.
        """
        return (
            (self.listener is None or self.listener(session.listener))
            and (self.kind is None or self.kind(session.kind))
            and (self.login is None or self.login(session.login))
            and (self.trusted is None or self.trusted == session.trusted)
            and all(key in transaction.metadata and like(transaction.metadata[key]) for key, like in self.metadata)
            and (self.present is None or self.present == (content.get(name) is not None))
        )


@attrs.frozen(slots=True)
class Rule:
    """
    One rule about fields called `name`; `value` is what `add`, `prepend` and `replace` write, `to` the new name.
    """

    change: Change
    name: str
    value: Template
    to: str
    when: Condition


def read_rule(rule: object) -> Rule:
    """
    Make a rule of a table of options; ValueError tells what is wrong.
    """
    if not isinstance(rule, dict):
        raise ValueError("a rule is a table: { action = …, field = … }")
    if unknown := rule.keys() - {"action", "field", "value", "to", "when"}:
        raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}; allowed: action, field, value, to, when")
    change = Change(options.choice(rule.get("action"), [change.value for change in Change], "action"))
    name = _field_name(rule.get("field"), "field")
    writes = change in (Change.ADD, Change.PREPEND, Change.REPLACE)
    for key, needed in (("value", writes), ("to", change is Change.RENAME)):
        if (key in rule) != needed:
            raise ValueError(f"{key}: {'needed' if needed else 'of no use'} with {change.value}")
    to = _field_name(rule["to"], "to") if change is Change.RENAME else ""
    value = read_template(options.text(rule.get("value", ""), "value"))
    if writes:
        field(name, value.longest())  # what is no value now never will be one
    return Rule(change, name, value, to, read_condition(rule.get("when", {})))


def read_template(text: str) -> Template:
    """
    Read a text with {queue_id}, {metadata[customer]} and the like, "{{" and "}}" for braces.
    """
    parts: list[tuple[str, str, str]] = []
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as problem:
        raise ValueError(f"value: {problem}; a brace is written twice") from None
    for literal, name, form, conversion in parsed:
        key = _METADATA.fullmatch(name or "")
        if name is not None and (form or conversion or not (key or name in FIELDS)):
            allowed = ", ".join(f"{{{known}}}" for known in FIELDS)
            raise ValueError(f"value: {{{name}}} stands for nothing; allowed: {allowed}, {{metadata[key]}}")
        parts.append((literal, "metadata" if key else name or "", key[1] if key else ""))
    return Template(tuple(parts), MOST_OCTETS // max(1, sum(1 for part in parts if part[1])))


def read_condition(when: object) -> Condition:
    """
    Read the table of conditions.
    """
    if not isinstance(when, dict):
        raise ValueError('when: a table such as { login = true, metadata = { key = "pattern" } }')
    if unknown := when.keys() - {each.name for each in attrs.fields(Condition)}:
        raise ValueError(f"when: unknown: {', '.join(sorted(map(str, unknown)))}")
    metadata = when.get("metadata", {})
    if not isinstance(metadata, dict):
        raise ValueError("when.metadata: a table of keys and patterns")
    return Condition(
        listener=_names(when, "listener"),
        kind=_names(when, "kind"),
        login=_login(when),
        trusted=_flag(when, "trusted"),
        present=_flag(when, "present"),
        metadata=tuple([(key, options.names(like, f"when.metadata.{key}")) for key, like in metadata.items()]),
    )


def _login(when: Mapping[str, object]) -> Anything | None:
    """
    Read what a login must be like: true is any, false none.
    """
    match when.get("login"):
        case True:
            return bool
        case False:
            return lambda login: not login
        case _:
            return _names(when, "login")


def _names(when: Mapping[str, object], key: str) -> Anything | None:
    return options.names(when[key], f"when.{key}") if key in when else None


def _flag(when: Mapping[str, object], key: str) -> bool | None:
    return options.flag(when[key], f"when.{key}") if key in when else None


def _field_name(name: object, key: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{key}: the name of a header field (RFC 5322 §2.2), not {name!a:.60}")
    return name


def _looked_up(name: str, key: str, session: Session, transaction: Transaction, hostname: str) -> str:
    match name:
        case "metadata":
            return transaction.metadata.get(key, "")
        case "queue_id":
            return transaction.queue_id
        case "reverse_path":
            return "" if transaction.reverse_path is None else transaction.reverse_path.text
        case "hostname":
            return hostname
        case _:
            return str(getattr(session, name))


def _tame(text: str, room: int, ascii_only: bool) -> str:
    """
    Make a text fit into a line of a header field, whoever wrote it.
    """
    if not text.isprintable() or (ascii_only and not text.isascii()):
        text = "".join([c if c.isprintable() and (c.isascii() or not ascii_only) else "?" for c in text])
    return text if len(text) * 4 <= room else text.encode()[:room].decode("utf-8", "ignore")
