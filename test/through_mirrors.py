"""The logs of a capture are the same when it comes through a mirror, through two mirrors, and from
both ends at once: but for the ids, which are made anew, and the columns that say whence it came.

usage: through_mirrors.py CLOUDSPAN CAPTURE_DIR NAME…
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# What rewrap.py is told, one after the other, and what --mirror is told.
WAYS = [
    ([["--encap", "vxlan", "--vni", "7"]], "vxlan"),
    ([["--encap", "geneve"]], "geneve"),
    ([["--encap", "gre"]], "gre"),
    ([["--encap", "erspan2", "--mtu", "600"]], "erspan2"),
    ([["--encap", "erspan3"]], "auto"),
    ([["--encap", "vxlan"], ["--encap", "geneve"]], "geneve+vxlan"),
    ([["--encap", "vxlan", "--both-ends"]], "vxlan"),
    ([["--encap", "geneve", "--both-ends", "--router", "--seed", "2"]], "geneve"),
    ([["--encap", "erspan3", "--both-ends", "--router"], ["--encap", "vxlan"]], "vxlan+erspan3"),
]


def read_log(path):
    fields, rows = [], []
    with open(path, encoding="latin-1") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("#fields"):
                fields = line.split("\t")[1:]
            elif not line.startswith("#"):
                rows.append(line.split("\t"))
    return fields, rows


def rename_ids(logs):
    """Gives each connection and file a name that does not depend on the run."""
    names = {}
    for log, key in (("conn.log", "uid"), ("files.log", "fuid")):
        fields, rows = logs.get(log, ([], []))
        if key in fields:
            at = fields.index(key)
            for row in rows:
                told = [value for i, value in enumerate(row[:9]) if i != at and value not in names]
                names[row[at]] = key + "=" + "/".join(told)
    for fields, rows in logs.values():
        for row in rows:
            for i, value in enumerate(row):
                if value[:1] in "CF":
                    row[i] = ",".join(sorted(names.get(part, part) for part in value.split(",")))


def read_logs(cloudspan, arguments, fields_of=None):
    """Runs `cloudspan read`; of each log only the columns that fields_of has are kept."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([cloudspan, "read", "-q", "-d", folder] + arguments,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             check=False)
        if run.returncode != 0:
            sys.exit(f"cloudspan read {' '.join(arguments)}: exit code {run.returncode}\n{run.stdout}")
        logs = {name: read_log(os.path.join(folder, name)) for name in sorted(os.listdir(folder))
                if name.endswith(".log")}
    rename_ids(logs)
    result = {}
    for name, (fields, rows) in logs.items():
        keep = fields_of.get(name, fields) if fields_of else fields
        columns = [fields.index(field) for field in keep]
        # When a tunnel ended is when the capture did, which the last copy makes longer.
        result[name] = (keep, sorted(tuple("-" if name == "tunnel.log" and fields[i] == "ts" else row[i]
                                           for i in columns) for row in rows))
    return result


def differences(plain, wrapped):
    for name in sorted(set(plain) | set(wrapped)):
        fields, rows = plain.get(name, ([], []))
        _, others = wrapped.get(name, ([], []))
        if rows == others:
            continue
        yield f"{name}: {len(rows)} rows plain, {len(others)} through the mirror"
        for row in sorted(set(rows) - set(others))[:3]:
            yield "  only plain:   " + " ".join(f"{f}={v}" for f, v in zip(fields, row) if v != "-")
        for row in sorted(set(others) - set(rows))[:3]:
            yield "  only mirrored: " + " ".join(f"{f}={v}" for f, v in zip(fields, row) if v != "-")


def check(cloudspan, capture):
    n_failed = 0
    plain = read_logs(cloudspan, [capture])
    fields_of = {name: fields for name, (fields, _) in plain.items()}
    for steps, mirror in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            source = capture
            for i, step in enumerate(steps):
                target = os.path.join(folder, f"{i}.pcap")
                subprocess.run([sys.executable, "-B", os.path.join(HERE, "rewrap.py"), source,
                                target] + step, check=True)
                source = target
            wrapped = read_logs(cloudspan, [f"--mirror={mirror}", source], fields_of)
        told = list(differences(plain, wrapped))
        if told:
            n_failed += 1
            print(f"{os.path.basename(capture)} as {mirror}, made by {steps}:")
            print("\n".join(told))
    return n_failed


def main():
    cloudspan, folder, *names = sys.argv[1:]
    n_failed = sum(check(cloudspan, os.path.join(folder, name)) for name in names)
    print(f"{len(names) * len(WAYS)} comparisons, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
