#!/usr/bin/python3
"""One service of OpenStack, from Debian's packages, in the place of this process.

usage: service.py NAME ARGUMENTS...

It is run by the system's Python, whose packages these are, with nothing of /usr/local in the way.
The names are at the end of this file; `setup` makes what Keystone and Neutron keep in databases."""
import contextlib
import os
import sqlite3
import sys
import traceback

sys.path = [path for path in sys.path if not path.startswith("/usr/local/") and
            path != os.path.dirname(os.path.abspath(__file__))]


def in_a_process(function, *arguments):
    """Forked off, since these commands can be called once in a process, and loading them takes most
    of the time."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*arguments)
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)  # without the clean-up at exit, of which some versions complain
    return pid


def must_end_well(*pids):
    for pid in pids:
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
            sys.exit("the setting up failed")


def let_many_read(database):
    """Whoever reads does not keep the others from writing, then."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def keystone_setup(config, database, password, url):
    """The database, the keys, and the first user."""
    let_many_read(database)
    import keystone.cmd.cli

    def manage(*words):
        return in_a_process(keystone.cmd.cli.main,
                            ["keystone-manage", "--config-file", config, *words])
    user = ("--keystone-user", "root", "--keystone-group", "root")
    must_end_well(manage("db_sync"), manage("fernet_setup", *user), manage("credential_setup", *user))
    must_end_well(manage("bootstrap", "--bootstrap-password", password, "--bootstrap-region-id",
                         "RegionOne", *(word for kind in ("admin", "internal", "public")
                                        for word in (f"--bootstrap-{kind}-url", url))))


def keystone(config, address, port):
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = config
    from keystone.server.wsgi import initialize_public_application
    from werkzeug.serving import make_server

    sys.argv = ["keystone"]
    application = initialize_public_application()
    make_server(address, int(port), application, threaded=True).serve_forever()


def neutron_setup(database):
    """Tables from the models: Debian's package of TaaS has no migrations."""
    import sqlalchemy
    from neutron.db.migration.models import head  # noqa: F401
    from neutron_lib.db import model_base
    import neutron_taas.db.head  # noqa: F401
    import neutron_taas.db.taas_db  # noqa: F401
    try:
        import neutron_taas.db.tap_mirror_db  # noqa: F401
    except ImportError:
        pass  # it has no tap mirrors yet
    let_many_read(database)
    model_base.BASEV2.metadata.create_all(sqlalchemy.create_engine("sqlite:///" + database))


def try_locked_databases_again():
    """Where another database waits or reports a deadlock, after which Neutron begins anew, SQLite says
    that it is locked."""
    from neutron_lib.db import api
    from neutron_taas.services.taas.service_drivers.taas_rpc import TaasCallbacks
    from oslo_db import exception
    from oslo_db.sqlalchemy import exc_filters
    from sqlalchemy.exc import OperationalError

    @exc_filters.filters("sqlite", OperationalError, r"^.*database is locked.*")
    def locked(error, *_):
        raise exception.DBDeadlock(error)
    # What agents say, Neutron's own plugins take in this way.
    for name in ("sync_tap_resources", "set_tap_service_status", "set_tap_flow_status"):
        setattr(TaasCallbacks, name, api.retry_db_errors(getattr(TaasCallbacks, name)))


def neutron(*arguments):
    from neutron.cmd.eventlet.server import main
    try_locked_databases_again()
    sys.argv = ["neutron-server", *arguments]
    sys.exit(main())


def agent(*arguments):
    import eventlet
    eventlet.monkey_patch()
    from neutron_taas.services.taas.drivers.linux import ovs_taas

    # Older ones ask for a datapath in the kernel, whatever the other bridges have.
    class Bridge(ovs_taas.ovs_lib.OVSBridge):
        def __init__(self, br_name, *_, **__):
            super().__init__(br_name, datapath_type="netdev")
    ovs_taas.OVSBridge_tap_extension = Bridge
    import neutron.cmd.eventlet.plugins.ovs_neutron_agent as program
    sys.argv = ["neutron-openvswitch-agent", *arguments]
    sys.exit(program.main())


def privsep(*arguments):
    from oslo_privsep.daemon import helper_main
    sys.argv = ["privsep-helper", *arguments]
    sys.exit(helper_main())


def openstack(*arguments):
    from openstackclient.shell import main
    sys.argv = ["openstack", *arguments]
    sys.exit(main())


SERVICES = {"keystone-setup": keystone_setup, "keystone": keystone, "neutron-setup": neutron_setup,
            "neutron": neutron, "agent": agent, "privsep": privsep, "openstack": openstack}

if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    SERVICES[name](*rest)
