"""A real RocketMQ broker for benches/rocketmq.py: filled with messages, and asked for keys as its own tools ask.

It starts with the cluster of the interoperability suite, but with the broker's own default sizes, a bigger heap and the
optimising compiler. Messages are sent and keys are queried over one connection that stays open.
"""

import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT / "tests" / "interop" / "rocketmq"
BROKER = "broker-a"
# the version in the pom and in the oracle of the suite
VERSION = "5.3.3"
TOPIC = "bench"
QUEUES = 8

SEND_MESSAGE_V2 = 310
QUERY_MESSAGE = 12
NOTHING_FOUND = 22
# the most that a broker returns
MOST_HITS = 64
# requests sent before their answers are read
WINDOW = 500
BODY = json.dumps({"orderNo": "0000000000", "customer": "nobody", "lines": [{"sku": "A-1", "count": 1}] * 5}).encode()
# settings of the suite that make files small
SMALL = ["mappedFileSizeCommitLog", "mappedFileSizeConsumeQueue", "maxHashSlotNum", "maxIndexNum", "maxMessageSize"]


def class_path(target):
    """The jars of the servers: those of the interoperability suite, fetched with Maven if they are not there."""
    lib = target / "interop" / "rocketmq" / VERSION / "lib"
    if not any(lib.glob("rocketmq-broker-*.jar")):
        if not shutil.which("mvn"):
            sys.exit("error: needs Maven to fetch a broker, or `--class-path 'DIR/*'` with the jars of one")
        command = ["mvn", "-q", "-B", "-f", SUITE / "pom.xml", "dependency:copy-dependencies"]
        subprocess.run([*map(str, command), f"-DoutputDirectory={lib}"], check=True)
    return f"{lib}/*"


def start(folder, jars):
    """A name server and a broker with the topic; to be used in a `with` block."""
    sys.path.insert(0, str(SUITE))
    import cluster

    for name in SMALL:
        cluster.BROKER_SETTINGS.pop(name, None)
    cluster.BROKER_OPTIONS += ["-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g", "-XX:TieredStopAtLevel=4"]
    shutil.rmtree(folder, ignore_errors=True)
    return cluster.Cluster(folder, jars, [BROKER])


# --- messages and their keys ------------------------------------------------------------------------------------------


class Keys:
    """Which message has which keys: each one alone, one with 7 others, and one with 63 others, spread over the log."""

    def __init__(self, messages):
        self.shares = {1: messages, 8: messages // 8, 64: messages // 64}

    def key(self, hits, number):
        return f"key{hits}-{number % self.shares[hits]}"

    def of(self, number):
        return " ".join(self.key(hits, number) for hits in self.shares)


def unique_key(number):
    return f"0A010001{4711:04X}18B4AAC2{number >> 16:08X}{number & 0xFFFF:04X}"


def fill(broker, keys, messages):
    """Sends the messages; returns the seconds until the last is answered, and until it is in the index."""
    began = time.perf_counter()
    now = time.time_ns() // 1_000_000
    for first in range(0, messages, WINDOW):
        numbers = range(first, min(first + WINDOW, messages))
        requests = (frame(SEND_MESSAGE_V2, number, send_fields(keys, number, now), BODY) for number in numbers)
        broker.socket.sendall(b"".join(requests))
        for _ in numbers:
            header, _ = broker.answer()
            if json.loads(header)["code"] != 0:
                sys.exit(f"error: the broker refused a message: {header.decode()}")
    sent = time.perf_counter() - began
    for number in range(max(0, messages - WINDOW), messages):
        deadline = time.monotonic() + 60
        while not broker.rows(broker.query(keys.key(1, number)), keys.key(1, number)):
            if time.monotonic() > deadline:
                sys.exit("error: the broker does not index its messages")
            time.sleep(0.01)
    return sent, time.perf_counter() - began


def send_fields(keys, number, now):
    properties = {"KEYS": keys.of(number), "UNIQ_KEY": unique_key(number), "WAIT": "true", "TAGS": "created"}
    return {
        "a": "bench-producer",
        "b": TOPIC,
        "c": "TBW102",
        "d": "4",
        "e": str(number % QUEUES),
        "f": "0",
        "g": str(now),
        "h": "0",
        "i": "".join(f"{name}\x01{value}\x02" for name, value in properties.items()),
        "j": "0",
        "k": "false",
        "m": "false",
    }


# --- remoting ---------------------------------------------------------------------------------------------------------


def frame(code, opaque, fields, body=b""):
    header = json.dumps({
        "code": code,
        "language": "OTHER",
        "version": 479,
        "opaque": opaque,
        "flag": 0,
        "serializeTypeCurrentRPC": "JSON",
        "extFields": fields,
    }).encode()
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


class Broker:
    """One connection that stays open."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()

    def answer(self):
        """Header and body of the next answer."""
        while len(self.received) < 4:
            self.receive()
        end = 4 + int.from_bytes(self.received[:4], "big")
        while len(self.received) < end:
            self.receive()
        behind = 8 + int.from_bytes(self.received[5:8], "big")
        header, body = bytes(self.received[8:behind]), bytes(self.received[behind:end])
        del self.received[:end]
        return header, body

    def receive(self):
        part = self.socket.recv(1 << 20)
        if not part:
            sys.exit("error: the broker closed the connection")
        self.received += part

    def query(self, key):
        """What a tool asks for all messages with a key; the answer is not looked into."""
        fields = {"topic": TOPIC, "key": key, "maxNum": str(MOST_HITS), "beginTimestamp": "0"}
        self.socket.sendall(frame(QUERY_MESSAGE, 1, {**fields, "endTimestamp": str(2**63 - 1)}))
        return self.answer()

    def rows(self, answer, key):
        """The messages of an answer that really have the key, as (unique key, queue, queue offset)."""
        header, body = answer
        code = int(re.search(rb'"code":(-?\d+)', header)[1])
        if code not in (0, NOTHING_FOUND):
            sys.exit(f"error: the broker refused a query: {header.decode()}")
        found, at = [], 0
        while at < len(body):
            size = int.from_bytes(body[at:at + 4], "big")
            topic, queue, offset, properties = decode(body[at:at + size])
            if topic == TOPIC and key in properties.get("KEYS", "").split(" "):
                found.append((properties["UNIQ_KEY"], queue, offset))
            at += size
        return sorted(found)

    def close(self):
        self.socket.close()


def decode(record):
    """Topic, queue, queue offset and properties of a record of version 1 with IPv4 addresses."""
    queue, _, offset = struct.unpack(">iiq", record[12:28])
    at = 88 + int.from_bytes(record[84:88], "big")
    length = record[at]
    topic = record[at + 1:at + 1 + length].decode()
    text = record[at + 3 + length:].decode()
    pairs = (pair.split("\x01", 1) for pair in text.split("\x02") if pair)
    return topic, queue, offset, dict(pairs)
