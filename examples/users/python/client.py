"""A client of the user services.

python client.py tcp://127.0.0.1:5559
"""

import sys

import callboard

with callboard.Client(*sys.argv[1:2]) as client:
    users = client.service("user_manager")
    user = users.get_user(5)
    print(f"user 5 is {user['nickname']}, {user['user_type']}")
    try:
        users.get_user(7)
    except callboard.NotFound as error:
        print("there is no user", error.details["NotFound"]["id"])

    uru = {
        "id": 7,
        "nickname": "Uru",
        "mail_address": "uru@example.org",
        "user_type": "GUEST",
    }
    for _ in range(2):
        try:
            print("added", users.add_user(uru)["nickname"])
        except callboard.AlreadyExists as error:
            print("not added:", error.message)

    # Streams from the worker, to it, and in both directions.
    for guest in users.get_users_by_type.stream("GUEST"):
        print("a guest:", guest["nickname"])
    print(
        client.upload([1, 2, 99], "user_manager.count_already_users"),
        "of 3 ids belong to users",
    )
    with client.duplex("user_manager.get_users_by_ids") as found:
        for id in (6, 4):
            # Each user arrives before the next id is sent.
            found.send(id)
            print(f"user {id} is {next(found)['nickname']}")
        found.end()

    statistics = client.service("user_statistics")
    print(f"{statistics.count()} users, {statistics.count('GUEST')} of them guests")
