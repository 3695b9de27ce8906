"""The smallest client of the MySQL protocol that can sign in, ask, and read: for ten thousand idle connections and for
results of a gibibyte, where a driver would measure itself."""

import hashlib
import socket
import struct

LONG_PASSWORD, FOUND_ROWS, WITH_DB, PROTOCOL_41 = 0x1, 0x2, 0x8, 0x200
TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH, DEPRECATE_EOF = 0x2000, 0x8000, 0x80000, 0x1000000
CAPABILITIES = LONG_PASSWORD | WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH | DEPRECATE_EOF


class Refused(Exception):
    """The server said no, in its own words."""


def native(password, nonce):
    """mysql_native_password: SHA1(p) xor SHA1(nonce + SHA1(SHA1(p)))."""
    once = hashlib.sha1(password).digest()
    mask = hashlib.sha1(nonce + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


def sha2(password, nonce):
    """caching_sha2_password's fast path: SHA256(p) xor SHA256(SHA256(SHA256(p)) + nonce)."""
    once = hashlib.sha256(password).digest()
    mask = hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


PLUGINS = {b"mysql_native_password": native, b"caching_sha2_password": sha2}


class Client:
    """One connection. Blocking."""

    def __init__(self, address, user, password, schema, source=None):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(60)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        try:
            self._sign_in(user.encode(), password.encode(), schema.encode())
        except BaseException:
            self.sock.close()
            raise

    def _exactly(self, n):
        data = bytearray()
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise Refused("the connection was closed")
            data += piece
        return bytes(data)

    def packet(self):
        head = self._exactly(4)
        self.sequence = (head[3] + 1) & 0xFF
        return self._exactly(int.from_bytes(head[:3], "little"))

    def send(self, payload):
        self.sock.sendall(len(payload).to_bytes(3, "little") + bytes([self.sequence]) + payload)

    def _sign_in(self, user, password, schema):
        greeting = self.packet()
        if greeting[0] == 0xFF:
            raise Refused(greeting[3:].decode(errors="replace"))
        at = greeting.index(0, 1) + 5
        nonce = greeting[at:at + 8]
        second = at + 9 + 2 + 1 + 2 + 2 + 1 + 10
        nonce += greeting[second:second + 12]
        plugin = greeting[second + 13:].split(b"\0")[0]
        plugin = plugin if plugin in PLUGINS else b"mysql_native_password"
        answer = PLUGINS[plugin](password, nonce)
        self.send(struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 45) + user + b"\0" + bytes([len(answer)]) + answer
                  + schema + b"\0" + plugin + b"\0")
        while True:
            reply = self.packet()
            if reply[0] == 0x00:
                return
            if reply[0] == 0xFF:
                raise Refused(reply[3:].decode(errors="replace"))
            if reply[0] == 0xFE:
                plugin, _, nonce = reply[1:].partition(b"\0")
                self.send(PLUGINS[plugin](password, nonce.rstrip(b"\0")))
            elif reply[:2] != b"\x01\x03":
                raise Refused("the server wants the full caching_sha2_password exchange: sign in once over TLS first")

    def query(self, text):
        """Asks; the answer is left to be read."""
        self.sequence = 0
        self.send(b"\x03" + text.encode())

    def drain(self, on_progress):
        """Reads one result to its end without keeping it; calls `on_progress` with the bytes so far. Gives the bytes."""
        total, buffer, view = 0, bytearray(1 << 20), None
        view = memoryview(buffer)
        have, want, columns_left, packet_first = b"", 0, None, None
        while True:
            n = self.sock.recv_into(view)
            if n == 0:
                raise Refused("the connection was closed in the middle of a result")
            total += n
            on_progress(total)
            data, at = (have + bytes(view[:n])) if have else view[:n], 0
            have = b""
            while True:
                skip = min(want, len(data) - at)
                at, want = at + skip, want - skip
                if want or len(data) - at < 5:
                    if not want:
                        have = bytes(data[at:])
                    break
                length, packet_first = int.from_bytes(data[at:at + 3], "little"), data[at + 4]
                if packet_first == 0xFF:
                    raise Refused(bytes(data[at + 7:at + 4 + length]).decode(errors="replace"))
                if columns_left is None:
                    columns_left = packet_first
                elif columns_left:
                    columns_left -= 1
                elif packet_first == 0xFE and length < 0xFFFFFF:
                    return total
                at, want = at + 4, length

    def close(self):
        self.sock.close()
