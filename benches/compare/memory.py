"""Memory: what an idle client costs a proxy, and whether a large result stays in it."""

import resource
import sys
import time

import machine
from client import Client, Refused
from targets import PASSWORD, SCHEMA, USER, fail

# A server's ports to one source address run out at 28,000; each of these takes a share.
SOURCES = [f"127.0.0.{n}" for n in range(2, 12)]


def raise_file_limit(files):
    """Raises the limit of open files as far as it may, up to `files`; children inherit it. Gives what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (files, min(files, hard)):
        if limit <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            soft = limit
            break
        except (ValueError, OSError):
            continue  # raising the hard limit takes a privilege
    return soft


def clients_that_fit(target, clients, limit):
    """A relay holds two descriptors for each client; a router that lends its server connections out holds one."""
    each = 1 if target.name == "switchboard" else 2
    fit = min(clients, (limit - 600) // each)
    if fit < clients:
        print(f"  {fit} clients, not {clients}: the limit of open files is {limit}", file=sys.stderr)
    return fit


def connect(target, n):
    try:
        return Client((target.host, target.port), USER, PASSWORD, SCHEMA, SOURCES[n % len(SOURCES)])
    except (OSError, Refused) as error:
        fail(f"client {n} through {target.name}: {error}")


def idle(target, clients, seconds):
    """Signs in that many clients, lets them sit, and says what they cost."""
    # The first few make the proxy set itself up; its growth after them is the clients'.
    open_clients = [connect(target, n) for n in range(100)]
    time.sleep(1)
    base = machine.rss_kib(target.pids)
    started = time.monotonic()
    open_clients += [connect(target, n) for n in range(clients)]
    took = time.monotonic() - started
    time.sleep(3)
    grown = machine.rss_kib(target.pids) - base
    cpu = machine.cpu_seconds(target.pids)
    time.sleep(seconds)
    cpu = machine.cpu_seconds(target.pids) - cpu
    for client in open_clients:
        client.close()
    return {
        "clients": clients,
        "kib_per_client": grown / clients,
        "sign_ins_per_second": clients / took,
        "idle_cpu_ms_per_second": cpu / seconds * 1000,
    }


def stream(target, mebibytes, stall_seconds=2.0):
    """Reads a result of that size, with a pause in the middle as a slow reader has, and says how the proxy grew."""
    client = connect(target, 0)
    rows = mebibytes * 1048576 // 1_000_000 + 1
    base = peak = machine.rss_kib(target.pids)
    stalled = False
    started = time.monotonic()

    def sample(total):
        nonlocal peak, stalled
        if not stalled and total > mebibytes * 524288:
            stalled = True
            time.sleep(stall_seconds)
        peak = max(peak, machine.rss_kib(target.pids))

    client.query(f"SELECT REPEAT('x', 1000000) FROM seq_1_to_{rows}")
    total = client.drain(Sampler(sample, 0.02))
    took = time.monotonic() - started - stall_seconds
    client.close()
    return {"mebibytes": total / 1048576, "grown_kib": peak - base, "mib_per_second": total / 1048576 / took}


class Sampler:
    """Calls a function at most every so many seconds: reading /proc is not free."""

    def __init__(self, function, every):
        self.function, self.every, self.next = function, every, 0.0

    def __call__(self, total):
        now = time.monotonic()
        if now >= self.next:
            self.function(total)
            self.next = time.monotonic() + self.every
