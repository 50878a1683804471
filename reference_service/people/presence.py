"""Knows who is online, and on which sockets. A user with three devices rings on each of them."""

from __future__ import annotations

from reference_service.connection import Connection
from reference_service.settings import MAX_SOCKETS_PER_USER

CLOSE_TOO_MANY = 4409


class OnlineUsers:
    """The signed-in sockets of every user."""

    def __init__(self) -> None:
        self._connections: dict[str, list[Connection]] = {}

    def add(self, connection: Connection) -> None:
        """Takes in a socket; the oldest of too many is forgotten at once, and closed."""
        mine = self._connections.setdefault(connection.user, [])
        mine.append(connection)
        while len(mine) > MAX_SOCKETS_PER_USER:
            mine.pop(0).evict(CLOSE_TOO_MANY, "too many sockets for one user")

    def remove(self, connection: Connection) -> None:
        """Forgets a socket that has gone."""
        mine = self._connections.get(connection.user, [])
        if connection in mine:
            mine.remove(connection)
        if not mine:
            self._connections.pop(connection.user, None)

    def of(self, user: str) -> tuple[Connection, ...]:
        """The sockets of ``user``, oldest first."""
        return tuple(self._connections.get(user, ()))

    def is_online(self, user: str) -> bool:
        """Says whether ``user`` has a socket."""
        return user in self._connections

    def everyone(self) -> list[Connection]:
        """Every socket there is."""
        return [connection for mine in self._connections.values() for connection in mine]

    @property
    def users_online(self) -> int:
        """People, not sockets."""
        return len(self._connections)
