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
    """The users of the file that CALLBOARD_USERS_FILE names, or of ./users.json."""

    def __init__(self) -> None:
        self.path = Path(os.environ.get("CALLBOARD_USERS_FILE", "users.json"))
        # A file of its own, since each write replaces the file of users.
        self.lock = self.path.with_name(self.path.name + ".lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(
                f"error: another process owns {self.path}: stop it, or set CALLBOARD_USERS_FILE"
            )
        users = json.loads(self.path.read_text()) if self.path.exists() else []
        loaded = [
            User(**{**user, "user_type": UserType(user["user_type"])}) for user in users
        ]
        self.users = {user.id: user for user in loaded or FIRST_USERS}
        self.write()

    def write(self) -> None:
        """Replaces the file."""
        users = [
            {**asdict(user), "user_type": user.user_type.value}
            for user in self.users.values()
        ]
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps(users, indent=2))
        new.replace(self.path)
