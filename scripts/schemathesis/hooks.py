"""Gives the requests of schemathesis ids that exist and keys to use up."""

import itertools
import os
import re

import schemathesis

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SLUG = re.compile(r"[a-z][a-z0-9-]{1,39}")

with open(os.environ["KEYFOB_KEYS"]) as keys:
    KEYS = itertools.cycle(keys.read().split())
with open(os.environ["KEYFOB_EMPLOYEES"]) as employees:
    OF_USER, OF_TEAM = (iter(line.split()) for line in employees)
# Whether each call needs its own key, because the call may end the key.
SPEND = "KEYFOB_SPEND" in os.environ
CALLS = itertools.count()
PRESENT = {"user": next(OF_USER), "team": next(OF_TEAM)}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    schemas = raw_schema["components"]["schemas"]
    # Clients may send back read-only fields; schemathesis expects an error.
    for name in ("EmployeeRequest", "PatchedEmployeeRequest"):
        for value in schemas[name]["properties"].values():
            value.pop("readOnly", None)


# Invisible characters above U+FFFF: a portable pattern of a name cannot exclude them.
HIDDEN = re.compile("[\U00013430-\U00013440\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")


@schemathesis.hook
def filter_body(context, body):
    name = body.get("name") if isinstance(body, dict) else None
    if not isinstance(name, str):
        return True
    return not HIDDEN.search(name) and all(ord(c) & 0xFFFE != 0xFFFE for c in name)


@schemathesis.hook
def before_call(context, case, kwargs):
    # Each from another address, because reports are limited per address.
    number = next(CALLS)
    case.headers["X-Forwarded-For"] = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    if SPEND:
        case.headers["X-Api-Key"] = next(KEYS)
    path = case.path_parameters or {}
    if SLUG.fullmatch(str(path.get("team", ""))):
        path["team"] = "red"
    if ID.fullmatch(str(path.get("id", ""))):
        whose = "team" if "team" in path else "user"
        path["id"] = PRESENT[whose]
        if case.method == "DELETE":
            PRESENT[whose] = next(OF_TEAM if whose == "team" else OF_USER)
