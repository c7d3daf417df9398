"""Calls the API with the Python client of openapi-generator."""

import os
import sys

import openapi_client
from openapi_client import ApiException, EmployeeRequest, PatchedEmployeeRequest, RotateRequest


def client(key):
    return openapi_client.ApiClient(openapi_client.Configuration(host=sys.argv[1], access_token=key))


api = client(os.environ["KEYFOB_KEY"])
employees, keys = openapi_client.EmployeesApi(api), openapi_client.KeyApi(api)

body = EmployeeRequest(name="Grace Hopper", department="engineering", salary=115_000)
made = employees.employees_create(body)
assert employees.employees_retrieve(made.id) == made
assert employees.employees_partial_update(made.id, PatchedEmployeeRequest(salary=120_000)).salary == 120_000
assert employees.employees_update(made.id, body).salary == 115_000
page = employees.employees_list(ordering="salary", search="grace")
assert page.count == 1 and page.results[0].name == "Grace Hopper" and page.next is None, page
figures = employees.employees_aggregate_data()
assert [[column.actual_instance for column in row] for row in figures.headcounts] == [["engineering", 1]], figures
employees.employees_destroy(made.id)
try:
    employees.employees_retrieve(made.id)
    raise SystemExit("what was removed is still there")
except ApiException as refused:
    assert refused.status == 404 and refused.data.code == "not_found", refused

assert keys.me_retrieve().user.email == "clients@example.com"
assert keys.verify_with_http_info().headers["x-auth-email"] == "clients@example.com"
new = keys.key_rotate(RotateRequest(grace="0"))
openapi_client.KeyApi(client(new.key)).key_destroy()
try:
    openapi_client.KeyApi(client(new.key)).key_retrieve()
    raise SystemExit("a revoked key still works")
except ApiException as refused:
    assert refused.status == 401 and refused.data.code == "key_revoked", refused
