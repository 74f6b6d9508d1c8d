"""A small OpenStack in a namespace of the laboratory: Keystone and Neutron with TaaS, and where it is
asked for, what carries packets: RabbitMQ, Open vSwitch with its datapath in user space, and
Neutron's agent for it. All of it keeps its files in the laboratory's /run and speaks on the
namespace's loopback."""
import glob
import http.client
import json
import os
import pwd
import socket

from lab import Failed, Skip, need, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # that of Debian's packages
HOST = "node1"  # what Neutron calls the machine
KEYSTONE, NEUTRON, FRONT = 5000, 9696, 9600
PASSWORD = "s3cret-of-the-admin"
# Modules of Python, and the packages that have them.
PARTS = {"openstackclient": "python3-openstackclient", "keystone": "python3-keystone",
         "neutron": "python3-neutron", "neutron_taas": "python3-neutron-taas"}

KEYSTONE_CONF = """[DEFAULT]
use_stderr=true
[database]
connection=sqlite:///{room}/keystone.sqlite?timeout=30
[token]
provider=fernet
[fernet_tokens]
key_repository={room}/fernet
[credential]
key_repository={room}/credential
[cache]
enabled=true
backend=dogpile.cache.memory
[identity]
password_hash_rounds=4
"""

NEUTRON_CONF = """[DEFAULT]
use_stderr=true
debug={debug}
host={host}
state_path={room}
core_plugin=ml2
service_plugins={plugins}
auth_strategy=keystone
bind_host=127.0.0.1
bind_port={port}
transport_url={transport}
api_workers={workers}
rpc_workers=1
rpc_state_report_workers=1
notify_nova_on_port_status_changes=False
notify_nova_on_port_data_changes=False
api_paste_config={here}/api-paste.ini
agent_down_time=20
[agent]
report_interval=2
[keystone_authtoken]
www_authenticate_uri=http://127.0.0.1:{keystone}/v3
auth_url=http://127.0.0.1:{keystone}/v3
auth_type=password
username=neutron
password=neutron-s3cret
project_name=service
user_domain_id=default
project_domain_id=default
service_token_roles_required=true
token_cache_time=-1
[oslo_concurrency]
lock_path={room}/lock
[database]
connection=sqlite:///{room}/neutron.sqlite?timeout=0.2
[QUOTAS]
quota_port=-1
quota_tap_service=3
quota_tap_flow=6
[oslo_policy]
policy_file={room}/policy.yaml
[oslo_messaging_rabbit]
heartbeat_in_pthread=False
[ml2]
type_drivers=local,vxlan
tenant_network_types=vxlan
mechanism_drivers=openvswitch
extension_drivers=port_security
[ml2_type_vxlan]
vni_ranges=1:1000
[securitygroup]
firewall_driver=noop
[service_providers]
service_provider=TAAS:TAAS:neutron_taas.services.taas.service_drivers.taas_rpc.TaasRpcDriver:default
"""

AGENT_CONF = """[ovs]
integration_bridge=br-int
tunnel_bridge=br-tun
datapath_type=netdev
local_ip=127.0.0.1
ovsdb_connection=tcp:127.0.0.1:6640
of_listen_address=127.0.0.1
of_listen_port=6633
[agent]
tunnel_types=vxlan
extensions=taas
polling_interval=1
root_helper=env
root_helper_daemon=
use_helper_for_ns_read=False
[privsep]
helper_command={python} -B {service} privsep --config-file {room}/neutron.conf --config-file {room}/agent.conf
"""


def has(module):
    return bool(glob.glob(f"/usr/lib/python3/dist-packages/{module}"))


def must_be_installed():
    missing = [package for module, package in PARTS.items() if not has(module)]
    if missing:
        raise Skip(f"{', '.join(missing)}: not installed")


class Stack:
    def __init__(self, lab, ns, agent=False, front=True):
        """`front`: the catalogue names a proxy of the test for Neutron (see front.py)."""
        must_be_installed()
        self.lab, self.ns = lab, ns
        self.room = lab.folder("openstack", 0o755)
        for name in ("fernet", "credential", "lock"):
            os.makedirs(os.path.join(self.room, name), mode=0o700)
        self.write("policy.yaml", "{}\n")
        self.write("keystone.conf", KEYSTONE_CONF.format(room=self.room))
        plugins = ["taas"]
        is_new = has("neutron_taas/services/taas/tap_mirror_plugin.py")
        # Of both plugins, each gets half of what the agent says, and the second one drops what it
        # says of tap services: they would stay DOWN.
        self.has_mirrors = is_new and not agent
        if self.has_mirrors:
            plugins.append("tapmirror")
        self.write("neutron.conf", NEUTRON_CONF.format(
            room=self.room, host=HOST, here=HERE, port=NEUTRON, keystone=KEYSTONE,
            plugins=",".join(plugins), workers=1 if is_new else 0,
            transport="rabbit://guest:guest@127.0.0.1:5672/" if agent else "fake:/",
            debug=bool(os.environ.get("CLOUDSPAN_OPENSTACK_DEBUG"))))
        self.write("agent.conf", AGENT_CONF.format(
            room=self.room, python=PYTHON, service=os.path.join(HERE, "service.py")))
        self.url = f"http://127.0.0.1:{KEYSTONE}/v3"
        self.tokens = {}

        setup = [self.service("keystone-setup", self.path("keystone.conf"),
                              self.path("keystone.sqlite"), PASSWORD, self.url + "/"),
                 self.service("neutron-setup", self.path("neutron.sqlite"))]
        if agent:
            self.start_rabbit()
            self.start_switch()
        for process in setup:
            if process.wait(120) != 0:
                raise Failed(f"{process.name}: {process.said()[-3000:]}")
        self.keystone = self.service("keystone", self.path("keystone.conf"), "127.0.0.1",
                                     str(KEYSTONE))
        self.must_listen(self.keystone, KEYSTONE)
        self.neutron = self.service("neutron", "--config-file", self.path("neutron.conf"))
        self.create_users(FRONT if front else NEUTRON)
        self.must_listen(self.neutron, NEUTRON)
        if agent:
            self.must_listen(self.rabbit, 5672)
            self.start_agent()

    def path(self, name):
        return os.path.join(self.room, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def service(self, name, *arguments):
        # The language decides how errors read.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.room, "LC_ALL": "C.UTF-8",
                       "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
        return self.ns.start(name, PYTHON, "-B", os.path.join(HERE, "service.py"), name, *arguments,
                             env=environment)

    def listens(self, port):
        with self.ns.inside():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with sock:
            sock.settimeout(2)
            return sock.connect_ex(("127.0.0.1", port)) == 0

    def must_listen(self, process, port):
        wait_until(lambda: process.must_run() and self.listens(port),
                   lambda: f"{process.name} does not listen:\n{process.said()[-2000:]}", 120, 0.1)

    # --- What carries packets -----------------------------------------------------------------

    def start_rabbit(self):
        need("erl")
        try:
            user = pwd.getpwnam("rabbitmq")
        except KeyError:
            raise Skip("rabbitmq-server is not installed") from None
        room = self.lab.folder("rabbit", 0o755)
        os.chown(room, user.pw_uid, user.pw_gid)
        self.write("enabled_plugins", "[].\n")
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": room, "LC_ALL": "C.UTF-8",
            "RABBITMQ_MNESIA_BASE": room + "/mnesia", "RABBITMQ_LOG_BASE": room + "/log",
            "RABBITMQ_LOGS": "-", "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": room + "/none", "RABBITMQ_ADVANCED_CONFIG_FILE": room + "/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.path("enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": room + "/feature_flags",
            "RABBITMQ_PID_FILE": room + "/pid", "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none"}
        self.rabbit = self.ns.start(
            "rabbitmq", "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
            "--clear-groups", "/usr/lib/rabbitmq/bin/rabbitmq-server", env=environment, cwd=room)

    def start_switch(self):
        for program in ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ethtool"):
            need(program)
        if not os.path.exists("/dev/net/tun"):
            raise Skip("Open vSwitch in user space needs /dev/net/tun")
        # Neutron's agent looks for it at the usual place, which is the laboratory's own.
        os.makedirs("/run/openvswitch", exist_ok=True)
        database = self.path("conf.db")
        environment = dict(os.environ, OVS_RUNDIR="/run/openvswitch", OVS_LOGDIR=self.room,
                           OVS_DBDIR=self.room)
        self.ns.run(need("ovsdb-tool"), "create", database,
                    "/usr/share/openvswitch/vswitch.ovsschema")
        server = self.ns.start("ovsdb-server", need("ovsdb-server"), database, "--no-chdir",
                               "--remote=punix:/run/openvswitch/db.sock",
                               "--remote=ptcp:6640:127.0.0.1", env=environment)
        wait_until(lambda: server.must_run() and os.path.exists("/run/openvswitch/db.sock"),
                   "ovsdb-server")
        self.vsctl("--no-wait", "init")
        self.switch = self.ns.start("ovs-vswitchd", need("ovs-vswitchd"),
                                    "unix:/run/openvswitch/db.sock", "--no-chdir", env=environment)
        self.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev")

    def vsctl(self, *arguments):
        return self.ns.run(need("ovs-vsctl"), "--timeout=60", *arguments, limit=120)

    def start_agent(self):
        self.agent = self.service("agent", "--config-file", self.path("neutron.conf"),
                                  "--config-file", self.path("agent.conf"))

        def alive():
            self.agent.must_run()
            return any(row["alive"] for row in self.call("GET", "/v2.0/agents")["agents"])
        wait_until(alive, lambda: f"the agent is not alive:\n{self.agent.said()[-2000:]}", 120, 0.3)

    # --- Its interfaces, as the admin ---------------------------------------------------------

    def ask(self, port, verb, path, body=None, token="", subject="", limit=60):
        """(status, headers, answer)"""
        with self.ns.inside():
            sock = socket.create_connection(("127.0.0.1", port), limit)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)
        connection.sock = sock
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["X-Auth-Token"] = token
        if subject:
            headers["X-Subject-Token"] = subject
        connection.request(verb, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        try:
            return answer.status, answer.headers, json.loads(text) if text else None
        except ValueError:
            return answer.status, answer.headers, text

    def token(self, user="admin", password=PASSWORD, project="admin"):
        key = (user, project)
        if key not in self.tokens:
            domain = {"id": "default"}
            status, headers, answer = self.ask(KEYSTONE, "POST", "/v3/auth/tokens", {"auth": {
                "identity": {"methods": ["password"], "password": {
                    "user": {"name": user, "domain": domain, "password": password}}},
                "scope": {"project": {"name": project, "domain": domain}}}})
            if status != 201:
                raise Failed(f"no token for {user}: {status} {answer}")
            self.tokens[key] = headers["X-Subject-Token"]
        return self.tokens[key]

    def call(self, verb, path, body=None, codes=(200, 201, 204), port=NEUTRON, token=None):
        status, _, answer = self.ask(port, verb, path, body, token or self.token())
        if codes and status not in codes:
            raise Failed(f"{verb} {path}: {status}\n{answer}")
        return answer

    def identity(self, verb, path, body=None, **more):
        return self.call(verb, "/v3" + path, body, port=KEYSTONE, **more)

    def create_users(self, port):
        """The project of the test, its user, another's project, and Neutron itself."""
        wait_until(lambda: self.ask(KEYSTONE, "GET", "/v3")[0] == 200, "Keystone does not answer")
        self.roles = {row["name"]: row["id"] for row in self.identity("GET", "/roles")["roles"]}
        self.projects, self.users = {}, {}
        for project in ("service", "shop", "other"):
            self.projects[project] = self.identity("POST", "/projects", {"project": {
                "name": project, "domain_id": "default"}})["project"]["id"]
        for name, password, project, role in (
                ("neutron", "neutron-s3cret", "service", "admin"),
                ("alice", "alice-s3cret", "shop", "member"),
                ("bob", "bob-s3cret", "other", "member")):
            user = self.identity("POST", "/users", {"user": {
                "name": name, "password": password, "domain_id": "default"}})["user"]["id"]
            self.users[name] = user
            self.identity("PUT", f"/projects/{self.projects[project]}/users/{user}/roles/"
                                 f"{self.roles[role]}")
        self.endpoint("network", f"http://127.0.0.1:{port}")

    def endpoint(self, service, url):
        """A service in the catalogue."""
        made = self.identity("POST", "/services", {"service": {
            "name": service, "type": service}})["service"]["id"]
        for kind in ("public", "internal", "admin"):
            self.identity("POST", "/endpoints", {"endpoint": {
                "service_id": made, "interface": kind, "region_id": "RegionOne", "url": url}})

    def shell(self, lines, credentials):
        """Commands of a user, with Debian's openstackclient."""
        path = self.path("bin")
        os.makedirs(path, exist_ok=True)
        program = os.path.join(path, "openstack")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nexec {PYTHON} -B {HERE}/service.py openstack \"$@\"\n")
        os.chmod(program, 0o755)
        return self.ns.run("sh", "-ec", lines, limit=300, env={
            **credentials, "PATH": path + ":/usr/bin:/bin", "LC_ALL": "C.UTF-8",
            "PYTHONWARNINGS": "ignore"})

    # --- Things in it -------------------------------------------------------------------------

    def network(self, name, cidr, project="shop"):
        network = self.call("POST", "/v2.0/networks", {"network": {
            "name": name, "project_id": self.projects[project]}})["network"]["id"]
        subnet = self.call("POST", "/v2.0/subnets", {"subnet": {
            "name": name + "-subnet", "network_id": network, "cidr": cidr, "ip_version": 4,
            "enable_dhcp": False, "project_id": self.projects[project]}})["subnet"]["id"]
        return network, subnet

    def port(self, name, network, address="", project="shop", machine="", **more):
        body = {"name": name, "network_id": network, "project_id": self.projects[project],
                "binding:host_id": HOST, "device_owner": "compute:nova", **more}
        if address:
            body["fixed_ips"] = [{"ip_address": address}]
        if machine:
            body["device_id"] = machine
        return self.call("POST", "/v2.0/ports", {"port": body})["port"]

    def plug(self, machine, port, device="eth0"):
        """The port's cable into a machine, as a hypervisor does it."""
        tap = "tap" + port["id"][:11]
        self.lab.cable(machine, device, self.ns, tap, offload=False)
        machine.ip("link", "set", device, "address", port["mac_address"])
        for fixed in port["fixed_ips"]:
            machine.address(device, fixed["ip_address"] + "/24")
        self.vsctl("add-port", "br-int", tap, "--", "set", "interface", tap,
                   f"external-ids:iface-id={port['id']}", "external-ids:iface-status=active",
                   f"external-ids:attached-mac={port['mac_address']}")

    def plug_alone(self, port):
        """A port of a machine that sends nothing."""
        tap = "tap" + port["id"][:11]
        self.vsctl("add-port", "br-int", tap, "--", "set", "interface", tap, "type=internal",
                   f"external-ids:iface-id={port['id']}", "external-ids:iface-status=active",
                   f"external-ids:attached-mac={port['mac_address']}")

    def unplug(self, port):
        self.vsctl("--if-exists", "del-port", "br-int", "tap" + port["id"][:11])

    def wait_active(self, *ports):
        for port in ports:
            wait_until(lambda port=port: self.call("GET", "/v2.0/ports/" + port["id"])["port"]["status"]
                       == "ACTIVE", f"port {port['name']} is not active", 120, 0.2)

    def wait_taas(self):
        """Until the agent has done all that it was told."""
        def settled():
            got = self.taas()
            rows = got["tap_services"] + got["tap_flows"]
            return all(row["status"] in ("ACTIVE", "ERROR") for row in rows)
        wait_until(settled, lambda: f"never settled: {self.taas()}", 120, 0.1)

    def revoke(self, token):
        """As its owner may."""
        return self.ask(KEYSTONE, "DELETE", "/v3/auth/tokens", token=self.token(), subject=token)

    def taas(self):
        """All that mirrors, of all projects, as it is seen from outside: without ids of rows that come
        and go, and without counters."""
        got = {}
        for kind in ("tap_services", "tap_flows", *(["tap_mirrors"] if self.has_mirrors else [])):
            got[kind] = sorted(self.call("GET", "/v2.0/taas/" + kind)[kind], key=lambda row: row["id"])
        return got

    def shape(self):
        """All that somebody could have changed: ports, networks, and what mirrors."""
        ports = self.call("GET", "/v2.0/ports")["ports"]
        for port in ports:
            port.pop("updated_at", None)
            port.pop("revision_number", None)
        networks = self.call("GET", "/v2.0/networks")["networks"]
        return {"ports": sorted(ports, key=lambda row: row["id"]),
                "networks": sorted(networks, key=lambda row: row["id"]), **self.taas()}

    def stop(self):
        """At once: they would wait for each other for long, and all they have goes with the
        laboratory."""
        for name in ("agent", "neutron", "keystone", "rabbit"):
            process = getattr(self, name, None)
            if process:
                process.kill()
