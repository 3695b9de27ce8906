"""What the kernel says: processor time of processes, of the whole machine, memory, and which machine this is."""

import os
import platform
import re
import subprocess
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """Processor time of all threads of these processes so far, in seconds.

    /proc/PID/task/*/schedstat counts nanoseconds on the processor. A thread that has ended is no longer in it, so
    where that is less than /proc/PID/stat (10 ms steps, dead threads included), the latter counts.
    """
    total = 0.0
    for pid in pids:
        exact = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                exact += int((task / "schedstat").read_text().split()[0])
            except OSError:
                pass  # the thread ended between the listing and the reading
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        coarse = (int(fields[11]) + int(fields[12])) / TICK
        exact /= 1e9
        total += exact if exact > coarse - 2.0 / TICK else coarse
    return total


def machine_busy_seconds():
    """Processor time that all processes of the machine have used so far, in seconds."""
    fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq = fields[:7]
    return (user + nice + system + irq + softirq) / TICK


def machine_stolen_seconds():
    """Processor time that the hypervisor gave to others, so far, in seconds."""
    return int(Path("/proc/stat").read_text().splitlines()[0].split()[8]) / TICK


def cores():
    """Processors that this program may use."""
    return len(os.sched_getaffinity(0))


def rss_kib(pids):
    """Resident memory of these processes, KiB."""
    total = 0
    for pid in pids:
        total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))
    return total


def first_line(command):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return "not installed"
    return out.splitlines()[0] if out else "unknown"


def describe():
    """The machine and the programs, for the head of a report."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", cpuinfo)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": cores(),
        "memory_gib": round(memory / 1048576, 1),
        "kernel": platform.release(),
        "mariadb": first_line(["mariadbd", "--version"]),
        "haproxy": first_line(["haproxy", "-v"]),
        "sysbench": first_line(["sysbench", "--version"]),
    }
