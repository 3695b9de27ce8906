"""What is measured: the server itself, HAProxy, Switchboard, and proxies that somebody else has started."""

import atexit
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

USER, PASSWORD, SCHEMA = "sbtest", "sbtest-secret", "sbtest"
ROOT = Path(__file__).resolve().parents[2]

_children = []
_workdir = None


def workdir():
    """A directory for this run, removed at the end."""
    global _workdir
    if _workdir is None:
        _workdir = Path(tempfile.mkdtemp(prefix="switchboard-bench-"))
        atexit.register(shutil.rmtree, _workdir, ignore_errors=True)
    return _workdir


def stop_all():
    for child in reversed(_children):
        child.terminate()
    for child in reversed(_children):
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    _children.clear()


atexit.register(stop_all)


def fail(text):
    sys.exit(f"compare: {text}")


def program(name):
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin:/sbin"
    return shutil.which(name, path=path) or fail(f"{name} is missing; deploy/provision.sh bench installs it")


def start(name, command):
    """Starts a program that dies with this one; its output goes to a file in the work directory."""
    log = open(workdir() / f"{name}.log", "ab")
    child = subprocess.Popen([program("setpriv"), "--pdeathsig", "KILL", "--", *map(str, command)],
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _children.append(child)
    return child


def log_tail(name):
    return "\n".join((workdir() / f"{name}.log").read_text(errors="replace").splitlines()[-15:])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Target:
    """A place that sysbench connects to. `pids` are the processes whose time and memory are the proxy's; none for direct."""

    def __init__(self, name, port, pids, host="127.0.0.1"):
        self.name, self.host, self.port, self.pids = name, host, port, pids

    def wait(self, child, seconds=30):
        """Waits until it answers with a greeting."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if child is not None and child.poll() is not None:
                fail(f"{self.name} ended while starting:\n{log_tail(self.name)}")
            try:
                with socket.create_connection((self.host, self.port), timeout=2) as s:
                    if len(s.recv(64)) > 4:
                        return self
            except OSError:
                pass
            time.sleep(0.05)
        fail(f"{self.name} does not answer on {self.host}:{self.port}:\n{log_tail(self.name)}")


class MariaDb:
    """The server behind: its own data directory, settings for speed, no logs."""

    def __init__(self, max_connections, port=0, thread_pool=False):
        self.data, self.socket = workdir() / "mariadb", workdir() / "mariadb.sock"
        as_root = ["--user=root"] if os.getuid() == 0 else []
        if not self.data.exists():
            subprocess.run([program("mariadb-install-db"), "--no-defaults", *as_root, f"--datadir={self.data}",
                            "--auth-root-authentication-method=normal", "--skip-test-db"], check=True, stdout=subprocess.DEVNULL)
        self.port = port or free_port()
        pool = ["--thread-handling=pool-of-threads"] if thread_pool else ["--thread-cache-size=256"]
        self.child = start("mariadb", [
            program("mariadbd"), "--no-defaults", *as_root, *pool, f"--datadir={self.data}", f"--socket={self.socket}",
            f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve", "--performance-schema=OFF",
            "--innodb-buffer-pool-size=512M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--back-log=4096",
            f"--max-connections={max_connections}", "--max-connect-errors=1000000000", "--max-prepared-stmt-count=1000000",
        ])
        # By the socket: a greeting that nobody answers would count as a failed connection.
        deadline = time.monotonic() + 60
        while self.sql("SELECT 1", check=False) != "1":
            if self.child.poll() is not None or time.monotonic() > deadline:
                fail(f"MariaDB did not start:\n{log_tail('mariadb')}")
            time.sleep(0.05)
        self.sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED VIA "
                 f"mysql_native_password USING PASSWORD('{PASSWORD}'); GRANT ALL ON *.* TO {USER}@'%';")

    def sql(self, text, check=True):
        done = subprocess.run([program("mariadb"), "--no-defaults", "--user=root", f"--socket={self.socket}", "--batch",
                               "--skip-column-names", "--execute", text], capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            fail(f"MariaDB refused {text!r}: {done.stderr}")
        return done.stdout.strip()

    def target(self):
        return Target("direct", self.port, [])

    def stop(self):
        self.child.terminate()
        self.child.wait(60)
        _children.remove(self.child)


def haproxy(name, server_port, clients):
    """HAProxy as a plain TCP relay: a thread for each core (its default), no logs, no checks."""
    port = free_port()
    config = workdir() / f"{name}.cfg"
    # It asks for two descriptors a connection at its start, and refuses to start without them.
    most = min(clients + 100, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2)
    config.write_text(f"""global
    maxconn {most}
defaults
    mode tcp
    timeout connect 10s
    timeout client 24h
    timeout server 24h
listen mysql
    bind 127.0.0.1:{port} backlog 4096
    server mariadb 127.0.0.1:{server_port}
""")
    child = start(name, [program("haproxy"), "-db", "-f", config])
    return Target(name, port, [child.pid]).wait(child)


def switchboard(name, binary, server_port, args):
    """Switchboard as anyone starts it without a file: statements classified, routed by effect between a writer and a
    reader (the same server, so that nothing but the proxy differs), digests counted, connections pooled."""
    port = free_port()
    url = f"mysql://{USER}:{PASSWORD}@127.0.0.1:{server_port}/{SCHEMA}"
    command = [binary, "run", *(args or ["--writer", url, "--reader", url]), "--listen", f"127.0.0.1:{port}"]
    child = start(name, [str(part).replace("{url}", url) for part in command])
    return Target(name, port, [child.pid]).wait(child)


def foreign(text):
    """A proxy that runs already: NAME=HOST:PORT:PID[,PID...], with the harness's user known to it."""
    try:
        name, rest = text.split("=", 1)
        host, port, pids = rest.split(":")
        return Target(name, int(port), [int(pid) for pid in pids.split(",")], host).wait(None)
    except ValueError:
        fail(f"--proxy wants NAME=HOST:PORT:PID[,PID...], not {text!r}")
