#!/usr/bin/env python3
"""Breaks each rule that the section "Errors" of `wire` lists, and says what came.

    broken_rules.py HOST:PORT [--timeouts]

One JSON line for each case: its group, its name, what has to come, and what came. Exit status: 0, where
all came as it has to.
"""
from __future__ import annotations

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rules_of_bytes  # noqa: E402, F401
import rules_of_order  # noqa: E402, F401
import rules_of_uploads  # noqa: E402, F401
import wire  # noqa: E402
from connection import address_of  # noqa: E402
from raw import CASES  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="HOST:PORT")
    parser.add_argument("--timeouts", action="store_true",
                        help="those that wait for the server's timeout, and no others")
    args = parser.parse_args()
    address = address_of(args.server)
    all_right = True
    for group, name, expect, run in CASES:
        if (group == "timeout") != args.timeouts:
            continue
        try:
            got = run(address)
        except (AssertionError, wire.Malformed, OSError) as error:
            got = f"{type(error).__name__}: {error}"
        all_right &= got == expect
        print(json.dumps({"group": group, "case": name, "expect": expect, "got": got}), flush=True)
    return 0 if all_right else 1


if __name__ == "__main__":
    sys.exit(main())
