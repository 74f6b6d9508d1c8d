"""Logs read back, and compared: those of a live run with those of `cloudspan read`.

Ids are made anew in each run, so rows name each other by what they say. Times may differ by a
little, because two taps of one interface stamp a packet one after the other; all else is equal."""
import glob
import gzip
import json
import os
import re
import subprocess
from collections import Counter

from lab import Failed

# What watch says about itself; `read` has nothing to say there.
OWN = {"notice", "stats", "capture_loss", "reporter", "health", "sources", "telemetry",
       "packet_filter", "weird_stats"}
NAME = re.compile(r"([a-z_0-9]+?)(?:\.\d\d:\d\d:\d\d-\d\d:\d\d:\d\d(?:[.\-~_]\d+)?)?\.log(?:\.gz)?")


class Log:
    def __init__(self, fields=(), types=(), rows=()):
        self.fields = list(fields)
        self.types = list(types)
        self.rows = list(rows)

    def column(self, name):
        at = self.fields.index(name)
        return [row[at] for row in self.rows]

    def dicts(self):
        return [dict(zip(self.fields, row)) for row in self.rows]


def open_log(path):
    if path.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return open(path, encoding="utf-8", newline="\n")


def read_file(path, log=None):
    """Adds the rows of a file to the log. Every line of a TSV log is whole, and has all columns."""
    log = log or Log()
    fields = log.fields
    with open_log(path) as file:
        for line in file:
            if line.startswith("{"):
                row = json.loads(line)
                for field in row:
                    if field not in log.fields:
                        log.fields.append(field)
                log.rows.append(row)
                continue
            if line.startswith("#fields"):
                fields = line.rstrip("\n").split("\t")[1:]
                if log.fields and log.fields != fields:
                    raise Failed(f"{path}: other columns than before")
                log.fields = fields
            elif line.startswith("#types"):
                log.types = line.rstrip("\n").split("\t")[1:]
            elif not line.startswith("#"):
                if not line.endswith("\n"):
                    raise Failed(f"{path}: the last line is not whole: {line[-200:]!r}")
                row = line[:-1].split("\t")
                if len(row) != len(fields):
                    raise Failed(f"{path}: {len(row)} columns, not {len(fields)}: {line!r}")
                log.rows.append(row)
    if log.rows and isinstance(log.rows[0], dict):
        log.rows = [row if isinstance(row, dict) else row for row in log.rows]
    return log


def read_folder(folder):
    """The logs of `read`, or of a watch: the live ones and the archived ones together."""
    paths = glob.glob(os.path.join(folder, "*.log"))
    paths += glob.glob(os.path.join(folder, "current", "*.log"))
    paths += glob.glob(os.path.join(folder, "[0-9]*-[0-9]*", "*.log.gz"))
    logs = {}
    for path in sorted(paths):
        match = NAME.fullmatch(os.path.basename(path))
        if match:
            logs[match[1]] = read_file(path, logs.get(match[1]))
    return logs


def rows_of(logs, name):
    return logs[name].rows if name in logs else []


def read_offline(lab, capture, *arguments, mirror="--mirror", name="read"):
    folder = lab.folder(f"{name}-{len(os.listdir(lab.path('.')))}")
    command = [lab.cloudspan, "read", "-q", "-d", folder, *([mirror] if mirror else []), capture,
               *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.returncode}\n{done.stdout}")
    return read_folder(folder)


# --- The comparison -----------------------------------------------------------------------------

MASKED = {"uid", "uids", "fuid", "id", "orig_fuids", "resp_fuids", "cert_chain_fuids",
          "client_cert_chain_fuids", "conn_uids", "tunnel_parents", "parent_fuid"}
FLOATS = {"time", "interval"}


def name_ids(logs):
    """What an id says of the connection or file that has it: the same in all runs."""
    names = {}
    for log, key, telling in (
            ("conn", "uid", ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")),
            ("files", "fuid", ("source", "mime_type", "sha1", "seen_bytes", "depth"))):
        if log in logs:
            for row in logs[log].dicts():
                names[row.get(key)] = "/".join(str(row.get(field, "")) for field in telling)
    return names


def is_chatter(row):
    """What machines say of themselves on a link (MLD, IGMP, neighbours), whenever they like: also
    between the starts of the two."""
    return row.get("id.orig_h", "").startswith(("fe80:", "::")) or row.get("id.resp_h") == "224.0.0.22"


def normal(log, names, leave_out):
    """[(what must be equal, [times and durations])], sorted."""
    out = []
    for row in log.rows:
        if isinstance(row, dict):
            raise Failed("JSON logs are not compared")
        equal, floats = [], []
        if is_chatter(dict(zip(log.fields, row))):
            continue
        for field, kind, value in zip(log.fields, log.types, row):
            if field in leave_out:
                continue
            if field in MASKED and not (field == "id" and kind != "string"):
                parts = sorted(names.get(part, "?") if part not in ("-", "(empty)") else part
                               for part in value.split(","))
                equal.append((field, ",".join(parts)))
            elif kind in FLOATS and value != "-":
                floats.append(float(value))
                equal.append((field, "#"))
            elif kind.startswith("vector[interval]") and value not in ("-", "(empty)"):
                floats += [float(part) for part in value.split(",")]
                equal.append((field, "#"))
            else:
                equal.append((field, value))
        out.append((tuple(equal), floats))
    return sorted(out)


def differences(live, offline, leave_out=(), logs_left_out=(), tolerance=0.05):
    """Lines that say what differs; [] if nothing does."""
    told = []
    names_live, names_offline = name_ids(live), name_ids(offline)
    for name in sorted((set(live) | set(offline)) - OWN - set(logs_left_out)):
        a, b = live.get(name, Log()), offline.get(name, Log())
        if a.rows and b.rows:
            skip = set(leave_out) | (set(a.fields) ^ set(b.fields))
            missing = set(b.fields) - set(a.fields) - set(leave_out)
            if missing:
                told.append(f"{name}: live lacks the columns {sorted(missing)}")
        else:
            skip = set(leave_out)
        rows_a, rows_b = normal(a, names_live, skip), normal(b, names_offline, skip)
        keys_a, keys_b = [row[0] for row in rows_a], [row[0] for row in rows_b]
        if keys_a != keys_b:
            told.append(f"{name}: {len(rows_a)} rows live, {len(rows_b)} of the capture")
            more_a, more_b = Counter(keys_a), Counter(keys_b)
            told += describe(list((more_a - more_b).elements()), list((more_b - more_a).elements()))
            continue
        for (key, floats_a), (_, floats_b) in zip(rows_a, rows_b):
            worst = max((abs(x - y) for x, y in zip(floats_a, floats_b)), default=0)
            if worst > tolerance or len(floats_a) != len(floats_b):
                told.append(f"{name}: a time differs by {worst:.6f} s: {text(key)}")
    return told


def text(key):
    return " ".join(f"{field}={value}" for field, value in key if value not in ("-", "#"))


def describe(only_live, only_offline):
    """What is different, short: rows that are nearly equal as a pair, with what differs."""
    rest = list(only_offline)
    lines = []
    for key in only_live:
        near = max(rest, key=lambda other: len(set(key) & set(other)), default=())
        both = [field for field, value in key if field.startswith("id.") and (field, value) in near]
        if len(both) < 4:
            lines.append(f"  only live:    {text(key)}")
            continue
        rest.remove(near)
        other = dict(near)
        who = "/".join(value for field, value in key if field in ("id.orig_h", "id.orig_p",
                                                                  "id.resp_h", "id.resp_p", "proto"))
        what = "; ".join(f"{field}: live {value}, capture {other.get(field)}" for field, value in key
                         if other.get(field) != value)
        lines.append(f"  {who}: {what}")
    lines += [f"  only capture: {text(key)}" for key in rest]
    return lines[:8] + ([f"  and {len(lines) - 8} more"] if len(lines) > 8 else [])


def must_be_equal(live, offline, **how):
    told = differences(live, offline, **how)
    if told:
        raise Failed("the live logs are not those of the capture taken beside:\n" + "\n".join(told))


def must_have(logs, counts, what):
    """At least one row for each, in all exactly as many as said."""
    for name, n in counts.items():
        got = len(rows_of(logs, name))
        if got != n:
            raise Failed(f"{what}: {name}.log has {got} rows, not {n}")
