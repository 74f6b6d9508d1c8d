"""x"""
import time
from collector import Capture
from scenario import scenario
from scenarios_flow import Machines, copies_arrive
from stack import Stack
import traffic


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
    print(stack.has_mirrors)
    if stack.has_mirrors:
        print(stack.ask(9696, "POST", "/v2.0/taas/tap_mirrors", {"tap_mirror": {"name": "m", "port_id": p["id"], "remote_ip": "10.9.0.2", "mirror_type": "gre", "directions": {"IN": 101, "OUT": 102}, "project_id": p["project_id"]}}, token=stack.token()))
        print(stack.ask(9696, "POST", "/v2.0/taas/tap_mirrors", {"tap_mirror": {"name": "m", "port_id": p["id"], "remote_ip": "10.9.0.2", "mirror_type": "gre", "directions": {"IN": 101}, "project_id": p["project_id"]}}, token=stack.token()))
        print(stack.ask(9696, "POST", "/v2.0/taas/tap_mirrors", {"tap_mirror": {"name": "m", "port_id": p["id"], "remote_ip": "10.9.0.2", "mirror_type": "gre", "directions": {"BOTH": 103}, "project_id": p["project_id"]}}, token=stack.token()))
        print(stack.ask(9696, "POST", "/v2.0/taas/tap_mirrors", {"tap_mirror": {"name": "m", "port_id": p["id"], "mirror_type": "gre", "directions": {"IN": 103}, "project_id": p["project_id"]}}, token=stack.token()))
        print(stack.ask(9696, "POST", "/v2.0/taas/tap_mirrors", {"tap_mirror": {"name": "m", "port_id": p["id"][:-4] + "abcd", "remote_ip": "10.9.0.2", "mirror_type": "gre", "directions": {"IN": 103}, "project_id": p["project_id"]}}, token=stack.token()))
        print(stack.ask(9696, "GET", "/v2.0/taas/tap_mirrors", token=stack.token()))
        print(stack.ask(9696, "GET", "/v2.0/extensions/tap-mirror", token=stack.token()))
        print(stack.ask(9696, "GET", "/v2.0/taas/tap_mirrors/xyz", token=stack.token()))
        print(stack.ask(9696, "GET", "/v2.0/quotas/" + p["project_id"], token=stack.token()))
        print(stack.ask(9696, "GET", "/v2.0/quotas/" + p["project_id"] + "/details.json", token=stack.token()))
    print(time.monotonic() - t)
    raise SystemError


@scenario("os-try2")
def os_try2(lab):
    """x"""
    t = time.monotonic()
    m = Machines(lab)
    try:
        stack = m.stack
        print("up", time.monotonic() - t)
        p = m.ports["sensor"]
        ts = stack.call("POST", "/v2.0/taas/tap_services", {"tap_service": {"name": "x", "port_id": p["id"], "project_id": p["project_id"]}})
        for i in range(40):
            s = stack.taas()["tap_services"][0]["status"]
            if s == "ACTIVE": break
            time.sleep(0.1)
        print(s, time.monotonic() - t)
        tf = stack.call("POST", "/v2.0/taas/tap_flows", {"tap_flow": {"name": "x", "source_port": m.ports["web"]["id"], "tap_service_id": ts["tap_service"]["id"], "direction": "BOTH", "project_id": p["project_id"]}})
        print(tf)
        for i in range(40):
            s = stack.taas()["tap_flows"][0]["status"]
            if s == "ACTIVE": break
            time.sleep(0.1)
        print(s, time.monotonic() - t)
        c = Capture(lab, m.ns["sensor"], "eth0")
        traffic.ping(m.ns["web"], "10.60.0.12", 2)
        time.sleep(1)
        print(c.settle())
        print(m.ns["sensor"].run("tcpdump", "-e", "-n", "-r", c.file))
        print(copies_arrive(m, c))
        print("end", time.monotonic() - t)
    finally:
        m.stack.stop()
    print("end", time.monotonic() - t)
    raise SystemError
