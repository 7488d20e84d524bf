"""
What a delivery needs of a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from empath.deliver.egress import Egress
from empath.policy.tls import Demand

if TYPE_CHECKING:
    from empath.deliver.cargo import Cargo

NO_PORT: Final = 0  # of a UNIX socket


class Target(NamedTuple):
    """
    What two messages must have in common to share a connection. `identity` is the file of the certificate that we show
    where the server asks for one, "" for none. `lmtp`: the server speaks LMTP (RFC 2033). Where `port` is NO_PORT,
    `address` is the path of a UNIX socket.
    """

    address: str
    port: int
    demand: Demand
    egress: Egress
    implicit: bool = False
    identity: str = ""
    username: str = ""
    password: str = ""
    lmtp: bool = False

    @property
    def unix(self) -> bool:
        """
        Whether it is a UNIX socket.
        """
        return self.port == NO_PORT

    @property
    def local(self) -> bool:
        """
        Whether nobody but this machine sees what is said.
        """
        return self.unix or ip_address(self.address).is_loopback

    @property
    def place(self) -> str:
        """
        Where it is, as people write it: `[address]:port`, or `[path]`.
        """
        return f"[{self.address}]" if self.unix else f"[{self.address}]:{self.port}"

    def __repr__(self) -> str:
        return f"<Target {self.place} {self.demand.policy.value}>"


class Want(NamedTuple):
    """
    A connection to any of `targets`, which are the addresses of one `host` and differ in nothing else, the best first.

    It has carried less than `messages`. It counts for `site` ("" for none), which has `connections` at the most, idle
    ones included. `cargo` is what wants it.
    """

    targets: Sequence[Target]
    host: str
    messages: int
    site: str = ""
    connections: int | None = None
    cargo: Cargo | None = None
