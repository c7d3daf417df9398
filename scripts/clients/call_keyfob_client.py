"""Calls the API with the client of openapi-python-client, and checks the types of the results."""

import os
import sys
from http import HTTPStatus
from uuid import UUID

from keyfob_client import AuthenticatedClient
from keyfob_client.api.employees import (
    employees_aggregate_data,
    employees_create,
    employees_destroy,
    employees_list,
    employees_partial_update,
    employees_retrieve,
    employees_update,
)
from keyfob_client.api.key import key_destroy, key_retrieve, key_rotate, me_retrieve, verify
from keyfob_client.api.leaked_keys import leaked_keys_report
from keyfob_client.models import (
    Employee,
    EmployeeRequest,
    EmployeeRequestDepartment,
    EmployeesListOrdering,
    PatchedEmployeeRequest,
    Problem,
    ReportedKey,
    RotateRequest,
    RotateRequestGrace,
)

origin = sys.argv[1]
client = AuthenticatedClient(base_url=origin, token=os.environ["KEYFOB_KEY"])

body = EmployeeRequest(name="Grace Hopper", department=EmployeeRequestDepartment.ENGINEERING, salary=115_000)
made = employees_create.sync(client=client, body=body)
assert isinstance(made, Employee) and isinstance(made.id, UUID), made
assert employees_retrieve.sync(id=made.id, client=client) == made
patched = employees_partial_update.sync(id=made.id, client=client, body=PatchedEmployeeRequest(salary=120_000))
assert isinstance(patched, Employee) and patched.salary == 120_000, patched
replaced = employees_update.sync(id=made.id, client=client, body=body)
assert isinstance(replaced, Employee) and replaced.salary == 115_000, replaced

page = employees_list.sync(client=client, ordering=EmployeesListOrdering.SALARY, search="grace")
assert page.count == 1 and page.results[0].name == "Grace Hopper" and page.next_ is None, page
figures = employees_aggregate_data.sync(client=client)
assert figures.total_costs == [["engineering", 115_000]], figures
assert figures.average_salaries == [["engineering", 115_000.0]] and figures.headcounts == [["engineering", 1]], figures

wrong = employees_create.sync_detailed(client=client, body=EmployeeRequest(name=" ", department=body.department, salary=1))
assert wrong.status_code == HTTPStatus.BAD_REQUEST and isinstance(wrong.parsed, Problem), wrong
assert wrong.parsed.code == "validation_failed" and "name" in wrong.parsed.errors.to_dict(), wrong
assert employees_destroy.sync_detailed(id=made.id, client=client).status_code == HTTPStatus.NO_CONTENT
assert employees_retrieve.sync(id=made.id, client=client).code == "not_found"

assert me_retrieve.sync(client=client).user.email == "clients@example.com"
assert verify.sync_detailed(client=client).headers["x-auth-email"] == "clients@example.com"
assert key_retrieve.sync(client=client).access == "full"
new = key_rotate.sync(client=client, body=RotateRequest(grace=RotateRequestGrace.VALUE_0))
client = AuthenticatedClient(base_url=origin, token=new.key)
assert leaked_keys_report.sync_detailed(client=client, body=[ReportedKey(token="junk")]).status_code == HTTPStatus.ACCEPTED
assert key_destroy.sync_detailed(client=client).status_code == HTTPStatus.NO_CONTENT
assert key_retrieve.sync(client=client).code == "key_revoked"
