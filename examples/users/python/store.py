"""The users in a JSON file, which one process owns at a time."""

import fcntl
import json
import os
import sys
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path


class UserType(Enum):
    """What a user may do."""

    ADMINISTRATOR = "ADMINISTRATOR"
    GUEST = "GUEST"
    NORMAL = "NORMAL"
    DISABLED = "DISABLED"


@dataclass
class User:
    """A user of the system."""

    id: int
    nickname: str
    mail_address: str
    user_type: UserType


FIRST_USERS = [
    User(1, "admin", "admin@example.org", UserType.ADMINISTRATOR),
    User(2, "guest", "guest@example.org", UserType.GUEST),
    User(3, "foo", "foo@example.org", UserType.NORMAL),
    User(4, "troll", "troll@example.org", UserType.DISABLED),
    User(5, "Zaru", "zaru@example.org", UserType.NORMAL),
    User(6, "Saru", "saru@example.org", UserType.NORMAL),
]


class Store:
    """The users of the file that CALLBOARD_EXAMPLE_USERS_FILE names, or of ./users.json."""

    def __init__(self) -> None:
        self.path = Path(os.environ.get("CALLBOARD_EXAMPLE_USERS_FILE", "users.json"))
        # A file of its own, since each write replaces the file of users. The lock ends with this process.
        self.lock = self.path.with_name(self.path.name + ".lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"error: another process owns these users: it holds {self.lock.name}")
        self.users = {user.id: user for user in FIRST_USERS}
        if self.path.exists():
            users = [
                User(**{**user, "user_type": UserType(user["user_type"])}) for user in json.loads(self.path.read_text())
            ]
            self.users = {user.id: user for user in users}
        self.write(self.users)

    def add(self, user: User) -> None:
        """Adds a user. The file is written first."""
        users = {**self.users, user.id: user}
        self.write(users)
        self.users = users

    def write(self, users: dict[int, User]) -> None:
        """Writes a new file and renames it, so that a crash leaves either the old or the new one."""
        content = [{**asdict(user), "user_type": user.user_type.value} for user in users.values()]
        path = self.path.with_name(self.path.name + ".new")
        with path.open("w") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        path.replace(self.path)
