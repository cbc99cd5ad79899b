"""A worker that stores users in a file. It serves two services.

callboard broker &
python worker.py &
callboard describe user_manager
callboard call user_manager.get_user 5
callboard call user_manager.get_users_by_type NORMAL
seq 1 9 | callboard call user_manager.get_users_by_ids
"""

from collections.abc import AsyncIterator

import callboard
from store import Store, User, UserType

# Coroutines: many streams are open at once, and no lock is needed, because none awaits in the middle of a change.
app = callboard.Worker("user_manager")
store = Store()


@app.read
async def get_user(id: int) -> User:
    """Returns the user with this id."""
    if id not in store.users:
        # The type and details are those of the enum in the Rust example.
        raise callboard.NotFound(f"user {id}: not found", details={"NotFound": {"id": id}}, type_name="UserError")
    return store.users[id]


@app.once
async def add_user(user: User) -> User:
    """Adds a user with a new id. When the call returns, the user is in the file."""
    if user.id in store.users:
        details = {"AlreadyExists": {"id": user.id}}
        raise callboard.AlreadyExists(f"user {user.id}: already exist", details=details, type_name="UserError")
    store.add(user)
    return user


@app.read
async def get_users_by_type(user_type: UserType) -> AsyncIterator[User]:
    """Sends the users of this type, in the order of their ids."""
    for _, user in sorted(store.users.items()):
        if user.user_type == user_type:
            yield user


@app.read
async def count_already_users(ids: AsyncIterator[int]) -> int:
    """Counts the ids that belong to users."""
    return sum([id in store.users async for id in ids])


@app.read
async def get_users_by_ids(ids: AsyncIterator[int]) -> AsyncIterator[User]:
    """Sends the user of each id as soon as the id arrives. Unknown ids are skipped."""
    async for id in ids:
        if id in store.users:
            yield store.users[id]


@app.read
async def get_users_by_all_ids(ids: AsyncIterator[int]) -> AsyncIterator[User]:
    """Sends the users of all ids after the last id has arrived. Unknown ids are skipped."""
    for id in [id async for id in ids]:
        if id in store.users:
            yield store.users[id]


@app.read(service="user_statistics")
async def count(user_type: UserType | None = None) -> int:
    """Returns the number of users of this type, or of all types if none is given."""
    return sum(user_type in (None, user.user_type) for user in store.users.values())


if __name__ == "__main__":
    app.run()
