"""The load: sysbench, one workload at one number of connections against one target."""

import re
import resource
import subprocess
import time
from pathlib import Path

import machine
from targets import PASSWORD, SCHEMA, USER, fail, program

LUA = Path(__file__).resolve().parent / "lua"

# Name -> (script, arguments, what it is).
WORKLOADS = {
    "point-text": ("oltp_point_select", ["--db-ps-mode=disable"], "point select, text"),
    "point-prepared": ("oltp_point_select", ["--db-ps-mode=auto"], "point select, prepared"),
    "read-only": ("oltp_read_only", ["--db-ps-mode=disable"], "oltp_read_only, text"),
    "read-write": ("oltp_read_write", ["--db-ps-mode=disable"], "oltp_read_write, text"),
    "ranges": (LUA / "ranges.lua", ["--db-ps-mode=disable"], "1,000-row ranges, text"),
    "reconnect": (LUA / "reconnect.lua", ["--db-ps-mode=disable"], "a connection for every query"),
    "signin": (LUA / "reconnect.lua", ["--db-ps-mode=disable", "--set-names=on"], "a connection for SET NAMES and a query"),
    "read-only-prepared": ("oltp_read_only", ["--db-ps-mode=auto"], "oltp_read_only, prepared"),
    "read-write-prepared": ("oltp_read_write", ["--db-ps-mode=auto"], "oltp_read_write, prepared"),
}
DEFAULT = ["point-text", "point-prepared", "read-only", "read-write", "ranges", "reconnect", "signin"]


def command(script, target, tables, rows, threads, action, more=()):
    return [program("sysbench"), str(script), "--db-driver=mysql", f"--mysql-host={target.host}", f"--mysql-port={target.port}",
            f"--mysql-user={USER}", f"--mysql-password={PASSWORD}", f"--mysql-db={SCHEMA}", "--mysql-ssl=off",
            f"--tables={tables}", f"--table-size={rows}", f"--threads={threads}", *more, action]


def prepare(direct, tables, rows):
    done = subprocess.run(command("oltp_common", direct, tables, rows, min(4, tables), "prepare"),
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"sysbench prepare failed:\n{done.stdout}{done.stderr}")


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else fail(f"sysbench's report has no {pattern!r}:\n{text}")


def run(workload, target, server_pid, tables, rows, threads, seconds):
    """One measurement. `foreign` is the share of the machine's processor time used by what is none of ours, what the
    hypervisor took included."""
    script, args, _ = WORKLOADS[workload]
    more = [*args, f"--time={seconds}", "--events=0", "--report-interval=0", "--percentile=95", "--rand-type=uniform"]
    known = [*target.pids, server_pid]
    before, known_before = machine.cpu_seconds(target.pids), machine.cpu_seconds(known)
    stolen_before = machine.machine_stolen_seconds()
    busy_before, children_before, started = machine.machine_busy_seconds(), children_seconds(), time.monotonic()
    done = subprocess.run(command(script, target, tables, rows, threads, "run", more), capture_output=True, text=True, check=False)
    elapsed = time.monotonic() - started
    cpu, ours = machine.cpu_seconds(target.pids) - before, machine.cpu_seconds(known) - known_before
    ours += children_seconds() - children_before
    stolen = machine.machine_stolen_seconds() - stolen_before
    busy = machine.machine_busy_seconds() - busy_before + stolen
    if done.returncode != 0:
        fail(f"sysbench {workload} through {target.name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    queries = number(r"queries:\s+(\d+)", done.stdout)
    if queries == 0:
        fail(f"sysbench {workload} through {target.name} ran no query:\n{done.stdout}")
    return {
        "cpu_us": cpu / queries * 1e6 if target.pids else None,
        "qps": number(r"queries:\s+\d+\s+\(([\d.]+) per sec", done.stdout),
        "p95_ms": number(r"95th percentile:\s+([\d.]+)", done.stdout),
        "queries": int(queries),
        "errors": int(number(r"ignored errors:\s+(\d+)", done.stdout)),
        "foreign": max(0.0, busy - ours) / (elapsed * machine.cores()),
    }


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
