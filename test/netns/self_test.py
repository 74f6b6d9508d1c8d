"""The laboratory's own test, which needs no privilege: its comparison of logs finds each kind of
difference, its reader refuses lines that are cut, and no scenario is missing in meson.build.

usage: self_test.py FOLDER"""
import gzip
import os
import re
import sys
import tempfile

for place in ("..", "../cloud"):
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), place))

import lab  # noqa: E402
import logs  # noqa: E402
import run  # noqa: E402

CONN = ("#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\t"
        "duration\torig_bytes\thistory\n#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\t"
        "count\tstring\n")
DNS = "#fields\tts\tuid\tquery\n#types\ttime\tstring\tstring\n"


ROOM = tempfile.TemporaryDirectory(prefix="cloudspan-self-test-")


def conn(ts=100.0, uid="C1", port=4000, duration=0.5, size=10, history="ShAFf"):
    return f"{ts:.6f}\t{uid}\t10.0.0.1\t{port}\t10.0.0.2\t80\ttcp\t{duration}\t{size}\t{history}\n"


def folder_of(**contents):
    folder = tempfile.mkdtemp(dir=ROOM.name)
    for name, text in contents.items():
        name = name.replace("__", "/")
        path = os.path.join(folder, name + ".log")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return folder


def told(live, offline, **how):
    return logs.differences(logs.read_folder(folder_of(**live)), logs.read_folder(folder_of(**offline)),
                            **how)


def must(condition, what):
    if not condition:
        sys.exit("FAILED: " + what)


def comparisons():
    plain = {"conn": CONN + conn(), "dns": DNS + "100.1\tC1\twww.example.net\n"}
    same = {"conn": CONN + conn(ts=100.01, uid="Cx"), "dns": DNS + "100.1\tCx\twww.example.net\n"}
    must(not told(same, plain), "other ids and a time that is a little later are equal")
    must(told({"conn": CONN + conn(ts=101)}, {"conn": CONN + conn()}), "a time of another second")
    must(told({"conn": CONN + conn(size=11)}, {"conn": CONN + conn()}), "another count")
    must(told({"conn": CONN + conn(duration=1.5)}, {"conn": CONN + conn()}), "another duration")
    must(told({"conn": CONN + conn() + conn()}, {"conn": CONN + conn()}), "a row twice")
    must(told({"conn": CONN}, {"conn": CONN + conn()}), "a row that is missing")
    must(told({}, {"conn": CONN + conn()}), "a log that is missing")
    must(told({"conn": CONN + conn(), "dns": DNS + "100.1\tC1\twww.example.net\n"},
              {"conn": CONN + conn()}), "a log too many")
    two = CONN + conn() + conn(port=4001, uid="C2")
    must(told({"conn": two, "dns": DNS + "100.1\tC2\twww.example.net\n"},
              {"conn": two, "dns": DNS + "100.1\tC1\twww.example.net\n"}), "a row of another connection")
    must(told({"conn": CONN.replace("\thistory", "").replace("\tcount\tstring\n", "\tcount\n") +
               conn().replace("\tShAFf", "")}, {"conn": CONN + conn()}), "a column that is missing")
    must(not told({"conn": CONN + conn(size=11)}, {"conn": CONN + conn()}, leave_out=("orig_bytes",)),
         "a column that is left out")


def reading():
    folder = folder_of(**{".live__conn": CONN + conn()})
    os.symlink(".live", os.path.join(folder, "current"))
    os.makedirs(os.path.join(folder, "2026-11-22"))
    for hour, port in (("00:00:00-01:00:00", 1), ("01:00:00-02:00:00", 2)):
        with gzip.open(os.path.join(folder, "2026-11-22", f"conn.{hour}.log.gz"), "wt") as file:
            file.write(CONN + conn(port=port))
    rows = logs.read_folder(folder)["conn"].column("id.orig_p")
    must(sorted(rows) == ["1", "2", "4000"], f"live and archived rows: {rows}")
    for broken in (CONN + conn()[:-1], CONN + "1\t2\n"):
        try:
            logs.read_folder(folder_of(conn=broken))
        except lab.Failed:
            continue
        must(False, "a line that is cut")


def listed(folder):
    with open(os.path.join(folder, "meson.build"), encoding="utf-8") as file:
        text = file.read()
    names = set(re.findall(r"^  '([a-z0-9-]+)': \d+,$", text, re.M))
    must(names == set(run.scenario.ALL), f"meson.build and the scenarios differ in "
                                         f"{sorted(names ^ set(run.scenario.ALL))}")


comparisons()
reading()
listed(sys.argv[1])
print("ok")
