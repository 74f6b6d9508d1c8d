"""What a measurement says at its end: lines, figures, and which goals are met."""

import os
import platform
import subprocess

from measure import MIB


class Report:
    """Collects lines and goals; the table at the end."""

    def __init__(self):
        self.lines = []
        self.goals = []

    def line(self, text=""):
        self.lines.append(text)

    def figures(self, title, packets, results):
        self.line(title)
        self.line(f"  {'':26} {'cpu s':>8} {'user':>7} {'sys':>7} {'wall s':>8} {'peak MiB':>9} "
                  f"{'kpkt/cpu s':>11}")
        for name, r in results.items():
            self.line(f"  {name:26} {r.cpu:8.2f} {r.user:7.2f} {r.sys:7.2f} {r.wall:8.2f} "
                      f"{r.peak / MIB:9.0f} {packets / max(r.cpu, 0.001) / 1000:11.0f}")
        self.line()

    def goal(self, what, figure, must, aim, met, aim_met=False):
        """One goal. `met` None: it could not be measured."""
        verdict = "not measured" if met is None else "short" if not met else \
            "ok, aim met" if aim_met else "ok"
        self.goals.append((what, figure, must, aim, verdict))

    def at_least(self, what, value, must, aim, unit):
        if value is None:
            self.goal(what, "-", f">= {must}{unit}", f">= {aim}{unit}", None)
        else:
            median, low, high = value
            self.goal(what, f"{median:.1f}{unit} ({low:.1f}-{high:.1f})", f">= {must}{unit}",
                      f">= {aim}{unit}", median >= must, median >= aim)

    def at_most(self, what, figure, value, must, aim, unit):
        self.goal(what, figure if value is not None else "-", f"<= {must}{unit}",
                  f"<= {aim}{unit}" if aim is not None else "", None if value is None
                  else value <= must, value is not None and aim is not None and value <= aim)

    def text(self):
        rows = [("goal", "figure", "expected", "aim", "met"), *self.goals]
        widths = [max(len(r[i]) for r in rows) for i in range(5)]
        table = ["  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in rows]
        table.insert(1, "-" * len(table[0]))
        return "\n".join(self.lines + table) + "\n"


def machine():
    def first(path, key):
        try:
            with open(path, encoding="utf-8") as f:
                for line in f:
                    if line.startswith(key):
                        return line.split("=" if "=" in line else ":", 1)[1].strip().strip('"')
        except OSError:
            pass
        return "?"
    memory = int(first("/proc/meminfo", "MemTotal").split()[0]) // (1024 * 1024)
    return (f"{os.cpu_count()} x {first('/proc/cpuinfo', 'model name')}, {memory} GiB, "
            f"Linux {platform.release()}, {first('/etc/os-release', 'PRETTY_NAME')}, "
            f"load {os.getloadavg()[0]:.1f}")


def version(*argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return None
