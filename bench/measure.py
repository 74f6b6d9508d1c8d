"""Runs whole programs in turn and says what each took: cpu, wall clock, peak memory."""

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

MIB = 1024 * 1024
TIME_LIMIT_S = 1200


class Failed(Exception):
    """A program that was to be measured did not end well."""


class Program:
    """One command line. `{out}` in an argument is its folder, new and empty at each run."""

    def __init__(self, name, *argv):
        self.name = name
        self.argv = [str(a) for a in argv]


class Sample:
    """What the kernel says of one run (wait4's rusage): the process and the children it waited for."""

    def __init__(self, usage, wall):
        self.user, self.sys = usage.ru_utime, usage.ru_stime
        self.cpu = usage.ru_utime + usage.ru_stime
        self.wall = wall
        self.peak = usage.ru_maxrss * 1024


class Result:
    """All the runs of a program: medians, but the highest peak."""

    def __init__(self, samples):
        self.samples = samples
        for key in ("cpu", "user", "sys", "wall"):
            setattr(self, key, statistics.median(getattr(s, key) for s in samples))
        self.peak = max(s.peak for s in samples)


def ratios(a, b, key="cpu"):
    """Run by run, a's figure over b's: (median, lowest, highest)."""
    pairs = [getattr(x, key) / max(getattr(y, key), 0.001)
             for x, y in zip(a.samples, b.samples)]
    return statistics.median(pairs), min(pairs), max(pairs)


def scratch_folder():
    """Where outputs go: memory, so that no disk is measured."""
    for folder in ("/dev/shm", "/run/shm"):
        if os.path.isdir(folder) and os.access(folder, os.W_OK):
            return folder
    return "/tmp"


class Bench:
    """Runs programs in one scratch folder, which close() removes."""

    def __init__(self, runs, say=lambda line: print(line, file=sys.stderr, flush=True)):
        self.runs = runs
        self.say = say
        self.scratch = os.path.join(scratch_folder(), f"cloudspan-bench-{os.getpid()}")
        os.mkdir(self.scratch, 0o700)

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)

    def once(self, program, keep=None):
        """One run. `keep(folder)` may look at what it wrote, before that is removed."""
        out = os.path.join(self.scratch, program.name.replace(" ", "_"))
        errors = os.path.join(self.scratch, "stderr")
        shutil.rmtree(out, ignore_errors=True)
        os.mkdir(out)
        argv = [a.replace("{out}", out) for a in program.argv]
        with open(errors, "wb") as err:
            start = time.monotonic()
            pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, err.fileno(), 2)])
            timer = threading.Timer(TIME_LIMIT_S, os.kill, (pid, 9))
            timer.daemon = True
            timer.start()
            try:
                _, status, usage = os.wait4(pid, 0)
            except BaseException:
                os.kill(pid, 9)
                raise
            finally:
                timer.cancel()
            wall = time.monotonic() - start
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            with open(errors, encoding="utf-8", errors="replace") as err:
                last = err.read().strip().splitlines()[-1:]
            shutil.rmtree(out, ignore_errors=True)
            raise Failed(f"{program.name}: exit code {code} {' '.join(last)}")
        sample = Sample(usage, wall)
        if keep:
            keep(out)
        shutil.rmtree(out, ignore_errors=True)
        return sample

    def in_turn(self, programs, keep=None):
        """A B A B …, after one warm-up each, in which `keep[name]` sees what was written.

        Gives {name: Result}; a program that fails is named and left out.
        """
        samples = {p.name: [] for p in programs}
        for turn in range(self.runs + 1):
            for p in programs:
                if p.name not in samples:
                    continue
                try:
                    s = self.once(p, (keep or {}).get(p.name) if turn == 0 else None)
                except (Failed, OSError) as e:
                    self.say(f"  failed, left out: {p.name}: {e}")
                    del samples[p.name]
                    continue
                self.say(f"  {'warm-up' if turn == 0 else f'run {turn}':8} {p.name:24}"
                         f" cpu {s.cpu:7.2f} s  wall {s.wall:7.2f} s  peak {s.peak / MIB:7.0f} MiB")
                if turn > 0:
                    samples[p.name].append(s)
        return {name: Result(s) for name, s in samples.items()}


def count_lines(path):
    """Lines of a log that are no header."""
    if not os.path.exists(path):
        return 0
    done = subprocess.run(["grep", "-vc", "^#", path], capture_output=True, text=True, check=False)
    return int(done.stdout or 0)


def count_events(path, kinds):
    """How many records of each kind an eve.json holds."""
    counts = {}
    for kind in kinds:
        done = subprocess.run(["grep", "-Fc", f'"event_type":"{kind}"', path],
                              capture_output=True, text=True, check=False)
        counts[kind] = int(done.stdout or 0)
    return counts


def hash_logs(folder):
    """The hash of each log's lines, sorted, without header lines."""
    hashes = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".log"):
            continue
        done = subprocess.run(
            ["sh", "-c", "grep -v '^#' \"$1\" | LC_ALL=C sort | sha256sum", "sh",
             os.path.join(folder, name)], capture_output=True, text=True, check=False)
        hashes[name] = done.stdout.split()[0]
    return hashes
