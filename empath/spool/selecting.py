"""
What an operator selects, found in SQLite: row by row in the order of the keys, so many at a time that nobody waits.

No index serves this but that of logins: each would cost every message something, and this is rare. Ignored, but told: a
delivery that was damaged.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from twisted.logger import Logger

from empath.errors import SpoolError
from empath.mail.message import Delivery, Status
from empath.mail.origin import Origin, Source
from empath.policy.selection import Key, Page, Selection
from empath.spool import rows

SCANNED: Final = 1000  # rows looked at for one page: some ten milliseconds at the most
BEYOND: Final = "\U0010ffff"  # sorts behind every domain

_COLUMNS: Final = """
    SELECT d.queue_id, d.domain, d.received, d.status, d.attempts, d.next_attempt, d.priority, d.last_error,
        d.recipients, d.held_since
"""
_LAST: Final = """
    SELECT queue_id, domain FROM delivery WHERE (queue_id, domain) > (:queue_id, :domain)
    ORDER BY queue_id, domain LIMIT 1 OFFSET :scanned - 1
"""
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
_LAST_OF_LOGIN: Final = f"""
    SELECT queue_id, :beyond FROM message INDEXED BY message_login
    WHERE {_LOGIN} AND queue_id >= :queue_id ORDER BY queue_id LIMIT 1 OFFSET :scanned - 1
"""

log = Logger()


def select(selection: Selection, after: Key, limit: int, connection: sqlite3.Connection) -> Page:
    """
    As `ISpool.select`.
    """
    values: dict[str, Any] = {"queue_id": after[0], "domain": after[1], "limit": limit}
    conditions = ["(d.queue_id, d.domain) > (:queue_id, :domain)", *_conditions(selection, values)]
    last = _last(selection, values, connection)
    if last is not None:
        conditions.append("(d.queue_id, d.domain) <= (:last_queue_id, :last_domain)")
        values |= {"last_queue_id": last[0], "last_domain": last[1]}
    where = f"WHERE {' AND '.join(conditions)} ORDER BY d.queue_id, d.domain LIMIT :limit"
    found = connection.execute(f"{_COLUMNS} {_source(selection)} {where}", values).fetchall()
    following: Key | None = found[-1][:2] if len(found) == limit else last
    return Page(tuple(readable(found)), following)


def _last(selection: Selection, values: dict[str, Any], connection: sqlite3.Connection) -> Key | None:
    """
    Tell the key up to which one page may look, None if that is the end.
    """
    if selection.queue_id is not None:
        return None  # a message has no more deliveries than recipients
    asked = {"queue_id": values["queue_id"], "domain": values["domain"], "scanned": SCANNED}
    statement = _LAST
    if selection.login is not None:
        statement, asked = _LAST_OF_LOGIN, {**asked, "origin": values["origin"], "beyond": BEYOND}
        del asked["domain"]
    last: Key | None = connection.execute(statement, asked).fetchone()
    return last


def _source(selection: Selection) -> str:
    """
    Say from which tables, and in which order they are looked through.
    """
    if selection.login is not None:
        return "FROM message AS m INDEXED BY message_login CROSS JOIN delivery AS d USING (queue_id)"
    if selection.needs_message:
        return "FROM delivery AS d CROSS JOIN message AS m USING (queue_id)"
    return "FROM delivery AS d"


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
    if selection.vouched:
        found.append("m.origin IS NOT NULL")
    if selection.source is not None:
        found.append(_SOURCES[selection.source])
    if selection.login is not None:
        found += [_LOGIN, "m.queue_id >= :queue_id"]
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
