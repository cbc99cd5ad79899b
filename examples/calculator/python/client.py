"""A client of the calculator. It needs no declaration of the service.

python client.py tcp://127.0.0.1:5559
"""

import sys

import callboard

with callboard.Client(*sys.argv[1:2]) as client:
    calculator = client.service("calculator")
    print("2 + 3 =", calculator.add(2, 3))
    print("2.5 + 3 =", calculator.add(2.5, 3))
    print("2 - 3 =", calculator.sub(y=3, x=2))
    try:
        calculator.sub([1, 2], 4)
    except callboard.InvalidArgument as error:
        print(f"[1, 2] - 4: {error.type_name}: {error.message}")
    try:
        calculator.div(1, 0)
    except callboard.Error as error:
        print(f"1 / 0: {error.type_name}: {error.message} {error.details}")
