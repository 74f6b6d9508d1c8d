"""x"""
import time
from scenario import scenario
from stack import Stack


@scenario("os-try")
def os_try(lab):
    """x"""
    t = time.monotonic()
    stack = Stack(lab, lab.ns("cloud"), front=False)
    print("up", time.monotonic() - t)
    n, s = stack.network("net0", "192.0.2.0/24")
    p = stack.port("a", n)
    print(p)
    print(stack.taas())
    print(time.monotonic() - t)
    raise SystemError


@scenario("os-try2")
def os_try2(lab):
    """x"""
    t = time.monotonic()
    stack = Stack(lab, lab.ns("cloud"), front=False, agent=True)
    print("up", time.monotonic() - t)
    n, s = stack.network("net0", "192.0.2.0/24")
    p = stack.port("a", n)
    vm = lab.ns("a")
    stack.plug(vm, p)
    stack.wait_active(p)
    print("port", time.monotonic() - t)
    ts = stack.call("POST", "/v2.0/taas/tap_services", {"tap_service": {"name": "x", "port_id": p["id"], "project_id": p["project_id"]}})
    for i in range(40):
        s = stack.taas()["tap_services"][0]["status"]
        if s == "ACTIVE": break
        time.sleep(0.1)
    print(s, time.monotonic() - t)
    raise SystemError
