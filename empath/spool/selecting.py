"""
What an operator selects, found in SQLite: row by row in the order of the keys, so many at a time that nobody waits.

Few indexes serve this, as each costs messages something: those of logins, of what is not scheduled, and of domains, for
mail that stays (`empath.spool.listing`). Ignored, but told: a delivery that was damaged.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import attrs
from twisted.logger import Logger

from empath.errors import SpoolError
from empath.mail.message import Delivery, Status
from empath.mail.origin import Origin, Source
from empath.mail.queue_id import queue_id_at
from empath.policy.selection import Key, Page, Selection
from empath.spool import rows
from empath.spool.listing import LISTED

SCANNED: Final = 1000  # rows looked at for one page: some ten milliseconds at the most
PLAIN: Final = 10_000  # rows looked at where only their plain columns are judged: no more than that
SKEW: Final = 3600.0  # seconds by which a queue id may be younger than its message
BEYOND: Final = "\U0010ffff"  # sorts behind every domain

_COLUMNS: Final = """
    SELECT d.queue_id, d.domain, d.received, d.status, d.attempts, d.next_attempt, d.priority, d.last_error,
        d.recipients, d.held_since"""
_WANTED: Final = {  # by the attribute that says what it has to be; what reads the message or JSON comes last
    "queue_id": "d.queue_id = :wanted_queue_id",
    "status": "d.status = :wanted_status",
    "domain": "d.domain = :wanted_domain",
    "held_for": "d.status = 'held' AND d.last_error = :wanted_held_for",
    "held_from": "d.held_since >= :wanted_held_from",
    "recipient": """
        EXISTS (SELECT 1 FROM json_each(d.recipients)
            WHERE lower(json_extract(value, '$.recipient.address.text')) = :wanted_recipient)
    """,
    "received_before": "m.received < :wanted_received_before",
    "sender": "coalesce(lower(json_extract(m.envelope, '$.reverse_path.text')), '') = :wanted_sender",
}
_SOURCES: Final = {
    Source.OUTSIDE: "m.origin IS NULL",
    Source.TRUSTED: "m.origin = 'trusted'",
    Source.LOGIN: "m.origin >= 'login:' AND m.origin < 'login;'",
    Source.OWN: "m.origin = 'own'",
}
_LOGIN: Final = "origin >= 'login:' AND origin < 'login;' AND origin = :origin"
_RESTING: Final = frozenset({Status.HELD, Status.COMPLETED, Status.FAILED, Status.EXPIRED})
_BEHIND: Final = "d.queue_id >= :queue_id AND (d.queue_id, d.domain) > (:queue_id, :domain)"
_INDEXED: Final = f"""
    SELECT d.queue_id, d.domain FROM delivery AS d INDEXED BY delivery_listed
    WHERE d.listed IS NOT NULL AND d.domain = :wanted_domain AND d.queue_id <= :listed AND {_BEHIND}
"""
_OLD: Final = "d.queue_id < :wanted_before"
_WITH_MESSAGE: Final = "CROSS JOIN message AS m USING (queue_id)"
_WITH_DELIVERY: Final = "CROSS JOIN delivery AS d USING (queue_id)"


@attrs.frozen(slots=True)
class _Way:
    """
    The order in which deliveries are looked through: by `source`, as far as `bounds` go. `key` names a row of it.
    """

    source: str
    bounds: tuple[str, ...]
    key: str = "d.queue_id, d.domain"


_BY_KEY: Final = _Way("delivery AS d", (_BEHIND,))
_BY_STATUS: Final = _Way(
    "delivery AS d INDEXED BY delivery_resting", ("d.status = :wanted_status AND d.next_attempt IS NULL", _BEHIND)
)
_BY_LOGIN: Final = _Way(
    "message AS m INDEXED BY message_login", (f"{_LOGIN} AND m.queue_id >= :queue_id",), "m.queue_id, :beyond"
)

log = Logger()


def select(selection: Selection, after: Key, limit: int, connection: sqlite3.Connection) -> Page:
    """
    As `ISpool.select`.
    """
    values: dict[str, Any] = {"limit": limit, "beyond": BEYOND}
    conditions = _conditions(selection, values)
    if selection.queue_id is not None:
        return _of_message(selection, conditions, values | _from(after), connection)
    if selection.login is not None:
        return _page(_BY_LOGIN, selection, conditions, values | _from(after), connection)
    if selection.domain is not None:
        return _of_domain(selection, conditions, values, after, connection)
    way = _BY_STATUS if selection.status in _RESTING else _BY_KEY
    return _page(way, selection, conditions, values | _from(after), connection)


def _from(after: Key) -> dict[str, Any]:
    return {"queue_id": after[0], "domain": after[1]}


def _page(
    way: _Way, selection: Selection, conditions: list[str], values: dict[str, Any], connection: sqlite3.Connection
) -> Page:
    """
    Look through so many rows, and no more.
    """
    scanned = SCANNED if selection.needs_message or selection.recipient is not None else PLAIN
    bounds = list(way.bounds)
    if selection.received_before is not None and way is not _BY_LOGIN:  # queue ids sort by time
        bounds.append(_OLD)
    end = f"SELECT {way.key} FROM {way.source} WHERE {' AND '.join(bounds)} ORDER BY {way.key} LIMIT 1"
    last: Key | None = connection.execute(f"{end} OFFSET {scanned - 1}", values).fetchone()
    if last is not None:
        bounds.append("(d.queue_id, d.domain) <= (:last_queue_id, :last_domain)")
        values = {**values, "last_queue_id": last[0], "last_domain": last[1]}
    if way is _BY_LOGIN:
        bounds.append(_BEHIND)
    found = _found(way, selection, [*bounds, *conditions], values, connection)
    following: Key | None = found[-1][:2] if len(found) == values["limit"] else last
    return Page(tuple(readable(found)), following)


def _of_domain(
    selection: Selection, conditions: list[str], values: dict[str, Any], after: Key, connection: sqlite3.Connection
) -> Page:
    """
    Use the index of domains as far as it is complete, and look through the few rows behind that.
    """
    (listed,) = connection.execute(LISTED).fetchone()
    first = Page((), None)
    if after[0] <= listed:
        first = _indexed(selection, conditions, {**values, **_from(after), "listed": listed}, connection)
        if first.after is not None:
            return first
        after = (listed, BEYOND)
    rest = {**values, **_from(after), "limit": values["limit"] - len(first.deliveries)}
    behind = _page(_BY_KEY, selection, conditions, rest, connection)
    return Page(first.deliveries + behind.deliveries, behind.after)


def _indexed(
    selection: Selection, conditions: list[str], values: dict[str, Any], connection: sqlite3.Connection
) -> Page:
    """
    Use the index of domains. It knows the status, too; rows are only read for what else is asked.
    """
    known = sum(each is not None for each in (selection.domain, selection.status))
    enough = values["limit"] if len(conditions) == known else max(SCANNED, values["limit"])
    more = "" if selection.status is None else "AND d.status = :wanted_status"
    if selection.received_before is not None:
        more = f"{more} AND {_OLD}"
    keys = f"{_INDEXED} {more} ORDER BY d.queue_id, d.domain LIMIT {enough}"
    seen = connection.execute(keys, values).fetchall()
    if not seen:
        return Page((), None)
    way = _Way(f"({keys}) AS k CROSS JOIN delivery AS d USING (queue_id, domain)", ())
    end = "(d.queue_id, d.domain) <= (:last_queue_id, :last_domain)"
    values = {**values, "last_queue_id": seen[-1][0], "last_domain": seen[-1][1]}
    found = _found(way, selection, [end, *conditions], values, connection)
    last: Key | None = seen[-1] if len(seen) == enough else None
    following: Key | None = found[-1][:2] if len(found) == values["limit"] else last
    return Page(tuple(readable(found)), following)


def _of_message(
    selection: Selection, conditions: list[str], values: dict[str, Any], connection: sqlite3.Connection
) -> Page:
    """
    Find the deliveries of one message: it has no more than recipients. With nothing else asked, tell their history.
    """
    plain = attrs.evolve(selection, queue_id=None, everything=True) == Selection(everything=True)
    found = _found(_BY_KEY, selection, [_BEHIND, *conditions], values, connection, ", d.history" if plain else "")
    following: Key | None = found[-1][:2] if len(found) == values["limit"] else None
    return Page(tuple(readable(found)), following)


def _found(
    way: _Way,
    selection: Selection,
    conditions: list[str],
    values: dict[str, Any],
    connection: sqlite3.Connection,
    more: str = "",
) -> list[Any]:
    join = _WITH_DELIVERY if way is _BY_LOGIN else _WITH_MESSAGE if selection.needs_message else ""
    where = f"WHERE {' AND '.join(conditions)} ORDER BY d.queue_id, d.domain LIMIT :limit"
    return connection.execute(f"{_COLUMNS}{more} FROM {way.source} {join} {where}", values).fetchall()


def _conditions(selection: Selection, values: dict[str, Any]) -> list[str]:
    """
    Say in SQL what fits, in the order of what it costs, and add the values that it names.
    """
    found = []
    for name, condition in _WANTED.items():
        wanted = getattr(selection, name)
        if wanted is not None:
            found.append(condition)
            values[f"wanted_{name}"] = wanted.value if isinstance(wanted, Status) else wanted
    if selection.received_before is not None:
        values["wanted_before"] = queue_id_at(selection.received_before + SKEW)
    if selection.vouched:
        found.append("m.origin IS NOT NULL")
    if selection.source is not None:
        found.append(_SOURCES[selection.source])
    if selection.login is not None:
        found.append(_LOGIN)
        values["origin"] = str(Origin(Source.LOGIN, selection.login))
    return found


def readable(read: list[Any]) -> list[Delivery]:
    """
    Make deliveries of rows. A damaged one is passed over: it must not hold up everything behind it.
    """
    found = []
    for row in read:
        try:
            found.append(rows.delivery_of(row))
        except SpoolError as failure:
            log.error("{queue_id}: passed over: {error}", queue_id=row[0], error=failure)
    return found


def status_of(text: str) -> Status:
    """
    Read a status; a damaged one waits for nothing that we know of.
    """
    try:
        return Status(text)
    except ValueError:
        return Status.HELD
