#!/usr/bin/env python3
"""SQL beside look-ups: what isolation costs and what it keeps.

    cargo build --release
    python3 benches/sql_isolation.py --binary target/release/mqlake

Keeps the data of `mqlake demo`, starts `mqlake serve` over it on a free port, measures small statements and look-ups alone, then look-ups beside four hostile
statements, and samples the memory of the server and of the processes that run statements. Prints a table. Nothing but
the standard library is needed.
"""

import argparse
import http.client
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse

LOOKUP = "/api/message?backupQuery=" + urllib.parse.quote('{"subject":"order.paid","len":3}')
BY_ID = "/api/message?backupQuery=" + urllib.parse.quote(
    '{"subject":"order.paid","messageId":"240526.205842.10.2.93.5.19500.9059"}'
)
SMALL = {"SELECT 1": "SELECT 1 AS one", "small count": "SELECT count(*) AS n FROM message WHERE subject = 'order.paid'"}
HOSTILE = {
    "memory": [
        "SELECT sum(length(repeat(subject, 1000000))) FROM message",
        "SELECT cardinality(array_agg(repeat(subject, 100000))) FROM message",
        "SELECT length(string_agg(repeat(message_id, 10000), ',')) FROM message",
        "SELECT length(repeat('a', 2000000000))",
    ],
    "time": [
        "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b",
        "SELECT levenshtein(repeat('a', 10000000), repeat('b', 10000000))",
        "SELECT count(sha512(CAST(value AS VARCHAR))) FROM generate_series(1, 100000000000)",
        "SELECT bit_xor(a.sequence + b.sequence) FROM record a, record b, message c",
    ],
    "rows": ["SELECT * FROM record a CROSS JOIN (SELECT 1 FROM message LIMIT 27)"] * 4,
}


class Client:
    def __init__(self, port):
        self.port, self.connection = port, None

    def ask(self, method, path, body=None):
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
            try:
                self.connection.request(method, path, body)
                response = self.connection.getresponse()
                response.read()
                return response.status
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.connection = None
                if attempt == 2 or method == "POST":
                    return 0


def times(client, count, method, path, body=None):
    client.ask(method, path, body)
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        status = client.ask(method, path, body)
        taken.append((time.perf_counter() - begin) * 1000)
        assert status == 200, (path, status)
    return sorted(taken)


def row(name, taken):
    at = lambda part: taken[min(len(taken) - 1, int(len(taken) * part))]
    print(f"| {name} | {len(taken)} | {at(0.5):.2f} | {at(0.9):.2f} | {at(0.99):.2f} | {taken[-1]:.2f} |")


def processes(server):
    found = [server]
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1]) == server:
                found.append(int(entry))
        except (OSError, IndexError):
            pass
    return found


def memory(server):
    """MiB of the server, of its workers, and of all with shared pages counted once (proportional set size)."""
    sizes, shared_once = {}, 0
    for pid in processes(server):
        try:
            text = open(f"/proc/{pid}/smaps_rollup").read()
        except OSError:
            continue
        value = lambda name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1)) / 1024
        try:
            sizes[pid], shared_once = value("Rss"), shared_once + value("Pss")
        except AttributeError:
            continue
    own = sizes.pop(server, 0)
    return own, sum(sizes.values()), shared_once, len(sizes)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", default="target/release/mqlake")
    arguments.add_argument("--count", type=int, default=2000)
    arguments.add_argument("--seconds", type=float, default=15)
    arguments.add_argument("--timeout", default="5s", help="sql.timeout of the server")
    given = arguments.parse_args()
    home = tempfile.TemporaryDirectory()
    environment = dict(os.environ, MQLAKE_SQL__TIMEOUT=given.timeout, MQLAKE_LOG="error")
    command = ["prlimit", "--as=4294967296", os.path.abspath(given.binary)]
    options = ["--listen", "127.0.0.1:0", "--data", os.path.join(home.name, "data")]

    def start(name):
        server = subprocess.Popen(command + [name] + options, env=environment, stdout=subprocess.PIPE, text=True)
        line = next(line for line in server.stdout if "listening on" in line)
        threading.Thread(target=server.stdout.read, daemon=True).start()
        return server, int(re.search(r":(\d+)", line).group(1))

    # the demo has no settings, so another server runs over what it made
    maker, _ = start("demo")
    maker.terminate()
    maker.wait()
    server, port = start("serve")
    try:
        time.sleep(2)
        client = Client(port)
        print("| what, ms | count | p50 | p90 | p99 | most |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, statement in SMALL.items():
            row(f"{name}, alone", times(client, given.count, "POST", "/api/sql", statement))
        row("list, alone", times(client, given.count, "GET", LOOKUP))
        row("by id, alone", times(client, given.count, "GET", BY_ID))
        before = memory(server.pid)
        peaks = []
        for kind, statements in HOSTILE.items():
            peaks.append((kind, beside(given, server.pid, client, kind, statements)))
        print("\n| memory, MiB | server | workers | number | shared pages once |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for kind, (own, workers, once, number) in [("before", before)] + peaks:
            print(f"| {kind} | {own:.0f} | {workers:.0f} | {number} | {once:.0f} |")
        assert server.poll() is None, "the server ended"
    finally:
        server.terminate()
        server.wait()


def beside(given, pid, client, kind, statements):
    is_over, statuses, peak = threading.Event(), {}, [0, 0, 0, 0]

    def hostile(statement):
        mine = Client(client.port)
        while not is_over.is_set():
            status = mine.ask("POST", "/api/sql", statement)
            statuses[status] = statuses.get(status, 0) + 1

    def watch():
        while not is_over.is_set():
            now = memory(pid)
            peak[:] = [max(a, b) for a, b in zip(peak, now)]
            time.sleep(0.05)

    threads = [threading.Thread(target=hostile, args=(statement,)) for statement in statements]
    threads.append(threading.Thread(target=watch))
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    taken, until = {LOOKUP: [], BY_ID: []}, time.time() + given.seconds
    while time.time() < until:
        for path, list_of in taken.items():
            begin = time.perf_counter()
            status = client.ask("GET", path)
            list_of.append((time.perf_counter() - begin) * 1000)
            assert status == 200, status
    is_over.set()
    for thread in threads:
        thread.join()
    row(f"list, beside four of {kind}", sorted(taken[LOOKUP]))
    row(f"by id, beside four of {kind}", sorted(taken[BY_ID]))
    print(f"<!-- {kind}: answers by status {statuses} -->")
    return peak


if __name__ == "__main__":
    main()
