"""Signs in, and creates a team and employees through server functions and the API. Prints the session, and writes the ids of
the user's employees on one line and of the team's on the next."""

import sys

import requests

origin, email, password, ids = sys.argv[1:]
browser = requests.Session()


def call(function, **fields):
    browser.post(f"{origin}/fn/{function}", data=fields, headers={"Accept": "application/json"}).raise_for_status()


def add(path):
    body = {"name": "Grace Hopper", "department": "engineering", "salary": 115_000}
    answer = browser.post(f"{origin}{path}/employees/", json=body)
    answer.raise_for_status()
    return answer.json()["id"]


call("sign_in", email=email, password=password)
call("create_team", **{"form[name]": "Red", "form[slug]": "red"})
with open(ids, "w") as file:
    for path in ("/pegasus/employees/api", "/a/red/employees/api"):
        print(*(add(path) for _ in range(300)), file=file)
print(browser.cookies["keyfob_session"])
