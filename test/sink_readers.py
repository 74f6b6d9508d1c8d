#!/usr/bin/env python3
"""Other programs read what sinks write: tcpdump the stream, capinfos and tshark the rolling files.

usage: sink_readers.py SINK-WRITER CAPTURES

Exit code 77 (skipped) where none of the programs is installed.
"""
import os
import shutil
import subprocess
import sys
import tempfile

NAMES = ("dns.pcap", "http.pcap", "tls13.pcap", "raw.pcap")
TIMEOUT = 60


def lines_of(command, **how):
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         timeout=TIMEOUT, **how)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}: {run.returncode}: {run.stderr}")
    return run.stdout.splitlines()


def ask_tcpdump(source, **how):
    return lines_of(["tcpdump", "-tt", "-n", "-r", source], **how)


def check_stream(writer, paths):
    """Like `sink-writer … | tcpdump -r -`."""
    source = subprocess.Popen([writer, "stream", "-", *paths], stdout=subprocess.PIPE)
    got = ask_tcpdump("-", stdin=source.stdout)
    source.stdout.close()
    if source.wait(timeout=TIMEOUT) != 0:
        sys.exit("the stream's writer failed")
    wanted = [line for path in paths for line in ask_tcpdump(path)]
    if sorted(got) != sorted(wanted):
        sys.exit(f"tcpdump: {len(got)} packets of {len(wanted)}, or others")
    print(f"stream: tcpdump reads {len(got)} packets")
    return len(wanted)


def check_rolling(writer, paths, n_packets, folder):
    subprocess.run([writer, "rolling", folder, *paths], check=True, timeout=TIMEOUT)
    files = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    if len(files) < 2 or not all(name.endswith(".pcapng") for name in files):
        sys.exit(f"files: {files}")
    if shutil.which("capinfos"):
        n = 0
        for path in files:
            for line in lines_of(["capinfos", "-T", "-M", "-c", path])[1:]:
                n += int(line.split("\t")[1])
        if n != n_packets:
            sys.exit(f"capinfos: {n} packets of {n_packets}")
        print(f"rolling: capinfos reads {n} packets in {len(files)} files")
    if shutil.which("tshark"):
        n = 0
        for path in files:
            n += len(lines_of(["tshark", "-n", "-r", path, "-Y", 'frame.interface_name == "web-1"']))
        if n != n_packets:
            sys.exit(f"tshark: {n} packets of {n_packets} are of interface web-1")
        print(f"rolling: tshark reads {n} packets of interface web-1")
    n = sum(len(ask_tcpdump(path)) for path in files)
    if n != n_packets:
        sys.exit(f"tcpdump: {n} packets of {n_packets}")
    print(f"rolling: tcpdump reads {n} packets")


def main():
    writer, captures = sys.argv[1:3]
    if not shutil.which("tcpdump"):
        print("skipped: tcpdump is not installed")
        sys.exit(77)
    paths = [os.path.join(captures, name) for name in NAMES]
    n = check_stream(writer, paths)
    with tempfile.TemporaryDirectory() as folder:
        check_rolling(writer, paths, n, os.path.join(folder, "packets"))


if __name__ == "__main__":
    main()
