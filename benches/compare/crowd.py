"""A crowd: many clients who each ask a few times a second, a tenth of them INSERTs, over few server connections. What counts is
that nobody waits in vain: statements that failed, by their codes, and how long the others took."""

import heapq
import random
import select
import sys
import time

import machine
from client import Client
from memory import SOURCES
from targets import PASSWORD, SCHEMA, USER, fail, switchboard, workdir


def router(binary, server_port, connections):
    """Switchboard with so many connections to its server, reads and writes together, and all other settings as they come."""
    config = workdir() / "crowd.toml"
    hostgroups = "".join(
        f'[[hostgroup]]\nid = {number}\nrole = "{role}"\n{more}'
        f'[[backend]]\nhostgroup = {number}\naddress = "127.0.0.1:{server_port}"\nmax_connections = {connections}\n'
        for number, role, more in [(10, "writer", ""), (20, "reader", "writer = 10\n")])
    config.write_text(f"""{hostgroups}
[[user]]
username = "{USER}"
password = "{PASSWORD}"
[[rule]]
rule_id = 1
reader_safe = true
destination_hostgroups = [20, 10]
apply = true
""")
    return switchboard("switchboard", binary, server_port, ["--config", str(config)])


def query(text):
    payload = b"\x03" + text.encode()
    return len(payload).to_bytes(3, "little") + b"\0" + payload


class Asker:
    """One client, its socket not blocking; at most one statement is under way."""

    def __init__(self, target, number):
        self.client = Client((target.host, target.port), USER, PASSWORD, SCHEMA, SOURCES[number % len(SOURCES)])
        self.client.sock.setblocking(False)
        self.asked, self.data = None, b""

    def ask(self, now, text):
        self.asked, self.data = now, b""
        self.client.sock.send(query(text))

    def answer(self):
        """Reads what is there. None while there is more to come; then 0, or the error's code."""
        piece = self.client.sock.recv(1 << 16)
        if not piece:
            return 2013
        self.data += piece
        at, columns = 0, None
        while len(self.data) - at >= 5:
            length, first = int.from_bytes(self.data[at:at + 3], "little"), self.data[at + 4]
            if len(self.data) - at - 4 < length:
                return None
            if first == 0xFF:
                return int.from_bytes(self.data[at + 5:at + 7], "little")
            if columns is None:
                if first == 0x00:
                    return 0
                columns = first
            elif columns:
                columns -= 1
            elif first == 0xFE:
                return 0
            at += 4 + length
        return None


def run(target, clients, rate, seconds, rows):
    """Lets `clients` ask `rate` times a second each for `seconds`. Gives statements, failures by code, and latencies in ms."""
    askers = [Asker(target, number) for number in range(clients)]
    poll = select.epoll()
    by_fd = {asker.client.sock.fileno(): asker for asker in askers}
    for fd in by_fd:
        poll.register(fd, select.EPOLLIN)
    start = time.monotonic()
    due = [(start + random.random() / rate, number) for number in range(clients)]
    heapq.heapify(due)
    place = {id(asker): number for number, asker in enumerate(askers)}
    failures, took, under_way = {}, [], 0
    cpu = machine.cpu_seconds(target.pids)
    while True:
        now = time.monotonic()
        ending = now - start >= seconds
        if ending and (not under_way or now - start >= seconds + 30):
            break
        while due and due[0][0] <= now and not ending:
            _, number = heapq.heappop(due)
            row = random.randrange(1, rows)
            write = random.random() < 0.1
            askers[number].ask(now, "INSERT INTO crowd (client, said) VALUES (%d, 'something')" % number if write
                               else "SELECT c FROM sbtest1 WHERE id = %d" % row)
            under_way += 1
        wait = 0.05 if ending or not due else max(0.0, min(0.05, due[0][0] - now))
        for fd, _ in poll.poll(wait):
            asker = by_fd[fd]
            code = asker.answer()
            if code is None:
                continue
            now = time.monotonic()
            under_way -= 1
            took.append((now - asker.asked) * 1000)
            if code:
                failures[code] = failures.get(code, 0) + 1
            if code == 2013:
                poll.unregister(fd)
                continue
            heapq.heappush(due, (max(now, asker.asked + 1 / rate), place[id(asker)]))
    cpu = machine.cpu_seconds(target.pids) - cpu
    for asker in askers:
        asker.client.close()
    took.sort()
    if not took:
        fail("nobody was answered")
    return {
        "clients": clients, "rate": rate, "seconds": seconds, "statements": len(took), "unanswered": under_way,
        "failures": failures, "p50_ms": took[len(took) // 2], "p99_ms": took[len(took) * 99 // 100], "longest_ms": took[-1],
        "cpu_us": cpu / len(took) * 1e6,
    }


def measure(binary, server, connections, clients, rate, seconds, rows):
    server.sql(f"USE {SCHEMA}; CREATE OR REPLACE TABLE crowd (id BIGINT AUTO_INCREMENT PRIMARY KEY, client INT, said VARCHAR(40))")
    print(f"a crowd of {clients} over {connections} connections, {rate} statements a second each", file=sys.stderr, flush=True)
    before = int(server.sql("SHOW GLOBAL STATUS LIKE 'Connections'").split()[-1])
    result = run(router(binary, server.port, connections), clients, rate, seconds, rows)
    result["connections"] = int(server.sql("SHOW GLOBAL STATUS LIKE 'Connections'").split()[-1]) - before
    result["limit"] = connections
    return result
