#!/usr/bin/env python3
"""Measures mqlake following a running cluster, played by the test peer.

    python3 benches/follow.py                     # everything, about ten minutes
    python3 benches/follow.py --seconds 20        # a quick look

1. Sustained sync: the peer shows everything at once. First a null client reads both streams as fast as the peer
   serves them, one request in flight each, and discards what it reads; then mqlake follows from nothing until
   queries see every record. Records are messages and actions together.
2. Visibility: the peer makes records visible at a steady rate and notes when. For sampled messages the time from
   that moment until `GET /api/message` with the message's id answers it is taken, polled every 2 ms.
3. Memory: resident memory during the longest of these phases; it has to stay flat.

Needs a Rust toolchain and Python 3.9 or newer, nothing else. Prints Markdown; the same figures go to follow.json in
the working directory.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
RELEASE = TARGET / "release"
GROUP = "bench"


def main():
    options = parse_options()
    if not options.no_build:
        build()
    options.work.mkdir(parents=True, exist_ok=True)
    store = generate(options.work / "follow-store", options.messages)
    figures = {"messages": options.messages}
    figures["sync"] = measure_sync(options.work, store)
    figures["visibility"] = []
    for rate in options.rates:
        figures["visibility"].append(measure_visibility(options.work, store, rate, options.seconds))
    (options.work / "follow.json").write_text(json.dumps(figures, indent=1))
    report(figures)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=6_000_000, help="messages of the generated broker")
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 20_000], help="records per second")
    parser.add_argument("--seconds", type=int, default=180, help="length of each visibility phase")
    parser.add_argument("--work", type=Path, default=TARGET / "bench", help="working directory")
    parser.add_argument("--no-build", action="store_true", help="take the release programs as they are")
    return parser.parse_args()


def build():
    programs = ["--bin", "mqlake", "--example", "peer", "--example", "generate_store"]
    subprocess.run(["cargo", "build", "--release", *programs], cwd=ROOT, check=True)


def generate(store, messages):
    summary = store / "summary.json"
    if summary.exists() and json.loads(summary.read_text()).get("options", {}).get("messages") == messages:
        return store
    shutil.rmtree(store, ignore_errors=True)
    command = [RELEASE / "examples" / "generate_store", "--out", store, "--messages", str(messages)]
    subprocess.run([*command, "--log", "message", "--body-bytes", "60"], check=True, stdout=subprocess.DEVNULL)
    return store


class Peer:
    """The cluster."""

    def __init__(self, store, *arguments):
        command = [RELEASE / "examples" / "peer", "--store", f"{GROUP}={store}", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addresses = json.loads(self.process.stdout.readline())
        self.sync = self.addresses["groups"][GROUP]["sync"]

    def control(self, method, path):
        host = self.addresses["control"].removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request(method, path)
        return json.loads(connection.getresponse().read())

    def status(self, since=0):
        return self.control("GET", f"/control/status?since={since}")["groups"][GROUP]

    def stop(self):
        self.process.kill()
        self.process.wait()


class Server:
    """mqlake, following the cluster from nothing."""

    def __init__(self, work, peer):
        self.home = work / "follow-home"
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        identity = peer.addresses["groups"][GROUP]["identity"]
        settings = self.home / "mqlake.toml"
        settings.write_text(
            f'data = "{self.home / "data"}"\n'
            f'[[qmq]]\nmeta_server_endpoint = "{peer.addresses["meta_url"]}"\n'
            f'acquire_server_meta_url = "{peer.addresses["slave_meta_url"]}"\n'
            f'host_name = "{identity["hostname"]}"\nbroker_port = {identity["serve_port"]}\n'
        )
        command = [RELEASE / "mqlake", "serve", "--config", settings, "--listen", f"127.0.0.1:{self.port}"]
        with open(self.home / "serve.log", "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.memory = []
        self.watching = True
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.get("/healthz")
                return
            except OSError:
                time.sleep(0.01)

    def watch(self):
        while self.watching:
            try:
                status = Path(f"/proc/{self.process.pid}/status").read_text()
            except OSError:
                return
            resident = next((line for line in status.splitlines() if line.startswith("VmRSS:")), None)
            if resident:
                self.memory.append(int(resident.split()[1]) * 1024)
            time.sleep(0.25)

    def get(self, path):
        self.connection.request("GET", path)
        return self.connection.getresponse().read()

    def positions(self):
        sources = json.loads(self.get("/api/status"))["sources"]
        return {s["log"]: s["visible"] or 0 for s in sources[0]["streams"]}

    def has_message(self, subject, message_id):
        query = urllib.parse.quote(json.dumps({"subject": subject, "messageId": message_id}))
        return bool(json.loads(self.get(f"/api/message?backupQuery={query}"))["list"])

    def stop(self):
        self.watching = False
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        self.process.wait(timeout=120)
        return time.monotonic() - began


def measure_sync(work, store):
    peer = Peer(store)
    total = peer.status()["records_total"]
    null = json.loads(
        subprocess.run(
            [RELEASE / "examples" / "peer", "--null-client", peer.sync, "--index-from", "-1", "--action-from", "0"],
            check=True, capture_output=True, text=True,
        ).stdout
    )
    null_seconds = max(null["index"]["seconds"], null["action"]["seconds"])
    ends = peer.status()
    # a broker keeps its checkpoint; the peer makes it at the first request
    Index(peer.sync).checkpoint()
    began = time.monotonic()
    server = Server(work, peer)
    wanted = {"message": ends["message"]["end"], "action": ends["action"]["end"]}
    done = {}
    while len(done) < 2:
        for log, position in server.positions().items():
            if position >= wanted[log]:
                done.setdefault(log, time.monotonic() - began)
        time.sleep(0.25)
    stopped = server.stop()
    peer.stop()
    seconds = max(done.values())
    return {
        "records": total,
        "null_client_seconds": null_seconds,
        "null_client_records_per_second": total / null_seconds,
        "seconds": seconds,
        "records_per_second": total / seconds,
        "message_stream_seconds": done["message"],
        "action_stream_seconds": done["action"],
        "shutdown_seconds": stopped,
        "peak_memory_bytes": max(server.memory),
    }


class Index:
    """Asks the peer's index stream, to learn which message became visible."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))

    def last_record_before(self, start, end):
        """Subject and id of the last message whose record ends at or before `end`, reading from `start`."""
        position, found = start, None
        while position < end:
            body = struct.pack(">bqq", 5, position, position)
            header = struct.pack(">ihIhhiih", 20 + len(body), 18, 0xDEC10ADE, 20, 9, 1, 0, 20)
            self.socket.sendall(header + body)
            total = struct.unpack(">i", self.exactly(4))[0]
            answer = self.exactly(total)[20:]
            size, following = struct.unpack(">iq", answer[:12])
            if following > end or following == position:
                break
            at, data = 0, answer[12:12 + size]
            while at < len(data):
                length = struct.unpack(">h", data[at + 16:at + 18])[0]
                subject = data[at + 18:at + 18 + length].decode()
                at += 18 + length
                length = struct.unpack(">h", data[at:at + 2])[0]
                found = (subject, data[at + 2:at + 2 + length].decode())
                at += 2 + length
            position = following
        return found, position

    def checkpoint(self):
        self.socket.sendall(struct.pack(">ihIhhiih", 20, 18, 0xDEC10ADE, 21, 9, 1, 0, 21))
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def exactly(self, count):
        data = bytearray()
        while len(data) < count:
            data += self.socket.recv(count - len(data))
        return bytes(data)


def measure_visibility(work, store, rate, seconds):
    peer = Peer(store, "--reveal", str(rate), "--start-at", "0.001")
    server = Server(work, peer)
    index = Index(peer.sync)
    latencies = []
    ends_at = time.monotonic() + seconds
    since, position = 0, -1
    while time.monotonic() < ends_at:
        reveals = [r for r in peer.status(since)["reveals"] if r[0] > since]
        if not reveals:
            time.sleep(0.005)
            continue
        before = reveals[-2][1] if len(reveals) > 1 else position
        since, end, _ = reveals[-1]
        if position < 0 or end == before:
            position = end
            continue
        found, position = index.last_record_before(before, end)
        position = max(position, end)
        if not found or found[0].startswith("%"):
            continue
        while not server.has_message(*found):
            time.sleep(0.002)
        latencies.append(time.time() * 1000 - since)
        time.sleep(0.037)
    shown = peer.status()["records_visible"]
    quarter = len(server.memory) // 4
    memory = server.memory
    server.stop()
    peer.stop()
    latencies.sort()
    pick = lambda part: latencies[min(len(latencies) - 1, int(len(latencies) * part))]
    return {
        "rate": rate,
        "seconds": seconds,
        "records_shown": shown,
        "samples": len(latencies),
        "p50_ms": pick(0.5),
        "p99_ms": pick(0.99),
        "max_ms": latencies[-1],
        "memory_after_a_quarter_bytes": max(memory[quarter:quarter + 20]),
        "memory_at_the_end_bytes": max(memory[-20:]),
        "peak_memory_bytes": max(memory),
    }


def report(figures):
    sync = figures["sync"]
    mib = 1 << 20
    print(f"Sustained sync of {sync['records']:,} records ({figures['messages']:,} messages and their actions):\n")
    print("| | records/s | seconds |")
    print("|---|---|---|")
    print(f"| null client, reads and discards | {sync['null_client_records_per_second']:,.0f} | {sync['null_client_seconds']:.1f} |")
    print(f"| mqlake, until queries see everything | {sync['records_per_second']:,.0f} | {sync['seconds']:.1f} |")
    print(f"\nPeak memory {sync['peak_memory_bytes'] / mib:.0f} MiB; stopped and committed in {sync['shutdown_seconds']:.1f} s.\n")
    print("| records/s | samples | p50 ms | p99 ms | max ms | memory after a quarter | at the end | peak |")
    print("|---|---|---|---|---|---|---|---|")
    for v in figures["visibility"]:
        memory = [v["memory_after_a_quarter_bytes"], v["memory_at_the_end_bytes"], v["peak_memory_bytes"]]
        cells = " | ".join(f"{m / mib:.0f} MiB" for m in memory)
        print(f"| {v['rate']:,} | {v['samples']} | {v['p50_ms']:.0f} | {v['p99_ms']:.0f} | {v['max_ms']:.0f} | {cells} |")


if __name__ == "__main__":
    sys.exit(main())
