"""Runs the programs of docs/clients.md, docs/secret-scanning.md and docs/protect-an-endpoint.md as they are there.

Usage: run_documents.py ORIGIN KEYFOB DIR

KEYFOB is the program, which makes the keys in DATABASE_URL. Each program of docs/clients.md runs with a key that works, with a
revoked one, and with one that has reached its limit, so that it has to wait as long as Retry-After says.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

ORIGIN, KEYFOB, DIR = sys.argv[1], sys.argv[2], Path(sys.argv[3])
ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
LIST = ORIGIN + "/pegasus/employees/api/employees/"
USER = "documents@example.com"
NAMES = ["Ada Lovelace", "Grace Hopper"]
# The limit of every key in scripts/clients.sh.
KEY_RATE = 100
# A key that a program waits for has this much of its minute left, at most.
MAX_WAIT = 61


def blocks(document):
    """Returns the first program below each heading."""
    text = (ROOT / "docs" / document).read_text()
    found = re.findall(r"^## ([^\n]+)\n(?:(?!^## )[^\n]*\n)*?```(sh|python|js|go|rust)\n(.*?)^```", text, re.M | re.S)
    return {title: program for title, _, program in found}


def write(name, program):
    path = DIR / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(program)
    return str(path)


def build(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def commands():
    """Writes and builds the programs. Returns the command of each."""
    program = blocks("clients.md")
    python = {name: str(ROOT / ".tools" / name / "bin" / "python") for name in ("clients", "schemathesis")}
    go = write("list.go", program["Go"])
    build("go", "build", "-o", str(DIR / "list_go"), go, env={**os.environ, "GO111MODULE": "off"})
    # In one place for all runs, so that the crates are built once.
    crate = TARGET / "reqwest-client"
    shutil.copytree(ROOT / "scripts/clients/reqwest", crate, dirs_exist_ok=True)
    (crate / "src").mkdir(exist_ok=True)
    (crate / "src/main.rs").write_text(program["Rust: reqwest"])
    build("cargo", "build", "--quiet", "--locked", "--target-dir", str(TARGET), cwd=crate)
    return {
        "curl": ["sh", write("list.sh", program["curl"])],
        "Python: requests": [python["schemathesis"], write("list_requests.py", program["Python: requests"])],
        "Python: httpx": [python["clients"], write("list_httpx.py", program["Python: httpx"])],
        "JavaScript: fetch": ["node", write("list.mjs", program["JavaScript: fetch"])],
        "Go": [str(DIR / "list_go")],
        "Rust: reqwest": [str(TARGET / "debug/reqwest-client")],
    }


def keyfob(*arguments, **options):
    done = subprocess.run([KEYFOB, *arguments], capture_output=True, text=True, check=True, **options)
    return done.stdout.strip()


def make_key(name):
    return keyfob("key", "create", "--user", USER, "--name", name, "--no-expiry")


def status_of(key, data=None):
    headers = {"X-Api-Key": key, "Content-Type": "application/json"}
    try:
        return urllib.request.urlopen(urllib.request.Request(LIST, data, headers)).status
    except urllib.error.HTTPError as refused:
        return refused.code


def start(command, key):
    environment = {**os.environ, "KEYFOB_URL": ORIGIN, "KEYFOB_API_KEY": key}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(title, process, code, says):
    out, err = process.communicate(timeout=MAX_WAIT + 30)
    text = out if code == 0 else err
    if process.returncode != code or not all(part in text for part in says):
        sys.exit(f"{title}: exit code {process.returncode} instead of {code}, or no {says} in\n{out}{err}")


def check_clients():
    programs = commands()
    keyfob("user", "create", "--email", USER, "--password-stdin", input=os.urandom(16).hex() + "\n")
    good, revoked = make_key("good"), make_key("revoked")
    keyfob("key", "revoke", revoked.rsplit("_", 1)[0])
    for name in NAMES:
        body = f'{{"name": "{name}", "department": "engineering", "salary": 1}}'
        assert status_of(good, body.encode()) == 201
    limited, waiting = {title: make_key(title) for title in programs}, {}
    for title, key in limited.items():
        assert [status_of(key) for _ in range(KEY_RATE + 1)][-2:] == [200, 429], title
        waiting[title] = start(programs[title], key)
    for title, command in programs.items():
        finish(title, start(command, good), 0, NAMES)
        finish(title, start(command, revoked), 1, ["401", "key_revoked"])
    # A program that did not wait would have used up its attempts, and failed.
    for title, process in waiting.items():
        finish(title, process, 0, NAMES)


def check_checksum():
    (program,) = [program for title, program in blocks("secret-scanning.md").items() if title == "Checksum"]
    command = [sys.executable, write("is_key.py", program)]
    for end, code in [("c", 0), ("d", 1)]:
        key = "kf_8Qw3ZkPa_3f9KmQ7vXc2LrT5yBn8Wd4HsJg6Pz1Ea0scyT" + end
        assert subprocess.run(command, input=key, text=True).returncode == code, key


def check_verify():
    """Calls the function with a key that works, without one, with a revoked one, and without a server."""
    os.environ["KEYFOB_URL"] = ORIGIN
    module = {}
    exec(blocks("protect-an-endpoint.md")["In Python"], module)
    check, good, revoked = module["check"], make_key("good"), make_key("revoked")
    keyfob("key", "revoke", revoked.rsplit("_", 1)[0])
    status, user = check({"Authorization": "Api-Key " + good, "Cookie": "x=y"})
    assert (status, len(user)) == (200, 36), status
    assert check({})[0] == 401 and check({"X-Api-Key": revoked}) == (401, None)
    module["VERIFY"] = "http://127.0.0.1:1/api/v1/verify"
    assert check({"X-Api-Key": good}) == (503, None)


check_checksum()
check_clients()
check_verify()
