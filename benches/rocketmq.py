#!/usr/bin/env python3
"""Measures mqlake with RocketMQ: from a commit log to tables, and key lookups beside those of a real broker.

    python3 benches/rocketmq.py                                # everything, some minutes
    python3 benches/rocketmq.py --parts import traces          # without Java
    python3 benches/rocketmq.py --messages 10000000            # a larger log to import

import  A generated commit log of messages and traces is imported into an empty lake.
traces  The same with traces only, which shows what a trace event costs.
keys    A real broker gets messages, mqlake imports the broker's own store and serves it. Both are asked for the same
        keys, each over one open connection, one question at a time, alternately: the broker with the request its own
        tools make, mqlake over HTTP, without bodies and with them. The broker always sends bodies. Answers must agree.
        Times end with the last byte; answers are taken apart later.
scale   Key lookups in mqlake alone, over generated logs of growing size.

Everything is warm: logs are in the cache of the system, and lookups are timed after others of their kind.

Needs a Rust toolchain and Python 3.9 or newer; `keys` also Java 17, and Maven the first time. Prints Markdown; the same
figures go to rocketmq.json in the working directory.
"""

import argparse
import gc
import json
import os
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import rocketmq_broker

ROOT = Path(__file__).resolve().parents[1]
TARGET = (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
RELEASE = TARGET / "release"
PARTS = ["import", "traces", "keys", "scale"]
BROKER = rocketmq_broker.BROKER
MB = 1_000_000
MIB = 1 << 20


def main():
    options = parse_options()
    if not options.no_build:
        build()
    options.work.mkdir(parents=True, exist_ok=True)
    result = {"machine": {"cores": os.cpu_count(), "system": f"{platform.system()} {platform.machine()}"}}
    measures = {"import": measure_import, "traces": measure_traces, "keys": measure_keys, "scale": measure_scale}
    for part in options.parts:
        result[part] = measures[part](options)
        (options.work / "rocketmq.json").write_text(json.dumps(result, indent=1) + "\n")
    print(markdown(result))
    wrong = [*result.get("keys", {}).get("lookups", []), *result.get("scale", [])]
    if not all(row["agree"] for row in wrong):
        sys.exit("error: not a valid measurement: answers differ")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (default: all)")
    parser.add_argument("--messages", type=int, default=2_000_000, help="messages to import (default: %(default)s)")
    parser.add_argument("--traces", type=int, default=100_000, help="trace messages beside them, of 10 events each")
    parser.add_argument("--only-traces", type=int, default=100_000, help="trace messages of the part `traces`")
    parser.add_argument("--runs", type=int, default=1, help="imports of each log; medians are given")
    parser.add_argument("--broker-messages", type=int, default=200_000, help="messages sent to the broker")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], help="messages of `scale`"
    )
    parser.add_argument("--requests", type=int, default=500, help="timed requests of each kind")
    parser.add_argument("--warm-up", type=int, default=500, help="requests of each kind before them")
    parser.add_argument("--file-bytes", type=int, default=1 << 30, help="size of a file of a generated log")
    parser.add_argument("--class-path", help="jars of a broker (default: those of the interoperability suite)")
    parser.add_argument("--mqlake", type=Path, default=RELEASE / "mqlake", help="the program to measure")
    parser.add_argument("--generator", type=Path, default=RELEASE / "examples" / "generate_rocketmq")
    parser.add_argument("--work", type=Path, default=TARGET / "bench", help="working directory (default: target/bench)")
    parser.add_argument("--no-build", action="store_true", help="take the programs as they are")
    return parser.parse_args()


def build():
    command = ["cargo", "build", "--release", "--bin", "mqlake", "--example", "generate_rocketmq"]
    subprocess.run(command, cwd=ROOT, check=True)


# --- import -----------------------------------------------------------------------------------------------------------


def measure_import(options):
    return imports(options, options.messages, options.traces)


def measure_traces(options):
    return imports(options, 0, options.only_traces)


def imports(options, messages, traces):
    """Generates a log and imports it several times."""
    store = options.work / "rocketmq-store"
    made = generate(options, store, messages, traces)
    runs = [run_import(options, store, made) for _ in range(options.runs)]
    remove(store, options.work / "rocketmq-lake")
    seconds = statistics.median(run["seconds"] for run in runs)
    cpu_seconds = statistics.median(run["cpu_seconds"] for run in runs)
    records = messages + traces
    return {
        "messages": messages,
        "trace_messages": traces,
        "trace_events": made["trace_events"],
        "log_bytes": made["bytes"],
        "lake_bytes": runs[-1]["lake_bytes"],
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "seconds_of_runs": [run["seconds"] for run in runs],
        "log_mb_per_second": made["bytes"] / MB / seconds,
        "messages_per_second": records / seconds,
        "events_per_second": made["trace_events"] / seconds,
        "events_per_core_second": made["trace_events"] / cpu_seconds,
        "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs),
    }


def generate(options, store, messages, traces, body_bytes=200):
    remove(store)
    command = [options.generator, "--out", store, "--messages", messages, "--traces", traces]
    command += ["--file-bytes", options.file_bytes, "--body-bytes", body_bytes]
    command += ["--samples", options.requests + options.warm_up]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return json.loads((store / "summary.json").read_text())


def run_import(options, store, made):
    """Imports a store into an empty lake; time and memory are those of the whole process."""
    lake = options.work / "rocketmq-lake"
    remove(lake)
    command = [options.mqlake, "import", "--system", "rocketmq", "--data", lake, "--store", store]
    command += ["--broker", BROKER, "--json"]
    output, log = options.work / "rocketmq-import.json", options.work / "rocketmq-import.log"
    with open(output, "wb") as out, open(log, "wb") as err:
        started = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: the import failed:\n{log.read_text()}")
    summary = json.loads(output.read_text())
    counts, damage = summary["messages"], (summary["skipped"], summary["gaps"])
    found = {"messages": counts["normal"], "trace_messages": counts["trace"], "trace_events": counts["events"]}
    expected = {name: made[name] for name in found}
    if found != expected or damage != ([], []):
        sys.exit(f"error: not a valid measurement: {expected} generated, imported:\n{json.dumps(summary, indent=1)}")
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "lake_bytes": sum(live_bytes(log) for log in lake.glob("*/_delta_log")),
    }


def live_bytes(log):
    """Bytes of the files that a table names now; replaced ones stay on disk for a while."""
    sizes = {}
    for commit in sorted(log.glob("*.json")):
        for action in map(json.loads, commit.read_text().splitlines()):
            if "add" in action:
                sizes[action["add"]["path"]] = action["add"]["size"]
            elif "remove" in action:
                sizes.pop(action["remove"]["path"], None)
    return sum(sizes.values())


def remove(*folders):
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


# --- lookups ----------------------------------------------------------------------------------------------------------


def measure_keys(options):
    jars = options.class_path or rocketmq_broker.class_path(TARGET)
    keys, messages = rocketmq_broker.Keys(options.broker_messages), options.broker_messages
    folder = options.work / "rocketmq-cluster"
    with rocketmq_broker.start(folder, jars) as cluster:
        cluster.topic(rocketmq_broker.TOPIC, rocketmq_broker.QUEUES)
        broker = rocketmq_broker.Broker(cluster.address(BROKER))
        sent, indexed = rocketmq_broker.fill(broker, keys, messages)
        made = {"messages": messages, "trace_messages": 0, "trace_events": 0}
        imported = run_import(options, folder / BROKER / "store", made)
        with Server(options) as server:
            lookups = [compare(options, broker, server, keys, hits) for hits in keys.shares]
        broker.close()
    remove(folder, options.work / "rocketmq-lake")
    figures = {"messages": messages, "sent_seconds": sent, "indexed_seconds": indexed, "imported": imported}
    return {**figures, "lookups": lookups}


def compare(options, broker, server, keys, hits):
    """Asks both for keys with so many messages."""
    wanted = options.requests + options.warm_up
    numbers = random.Random(hits).sample(range(keys.shares[hits]), min(wanted, keys.shares[hits]))
    names = [keys.key(hits, number) for number in numbers]
    warm, timed_keys = split(options, names)
    paths = {way: {key: messages_path(rocketmq_broker.TOPIC, key, way) for key in names} for way in ("plain", "bodies")}
    # alternately, so that other load of the machine affects all in the same way
    asks = {"rocketmq": broker.query}
    for way in paths:
        asks[f"mqlake_{way}"] = lambda key, way=way: server.get(paths[way][key])
    taken = timed_in_turns(asks, warm, timed_keys)
    _, theirs = taken["rocketmq"]
    expected = [broker.rows(answer, key) for answer, key in zip(theirs, timed_keys)]
    agree = all(len(rows) == hits for rows in expected)
    for way in paths:
        agree = agree and [rows_of(body) for body in taken[f"mqlake_{way}"][1]] == expected
    figures = {name: quantiles(took_ms) for name, (took_ms, _) in taken.items()}
    return {"hits": hits, "requests": len(timed_keys), "agree": agree, **figures}


def measure_scale(options):
    """Lookups in mqlake alone over logs of growing size."""
    rows = []
    store = options.work / "rocketmq-store"
    for messages in options.sizes:
        # bodies do not matter for a lookup, so small ones suffice
        made = generate(options, store, messages, traces=0, body_bytes=60)
        imported = run_import(options, store, made)
        remove(store)
        with Server(options) as server:
            for kind, samples in made["keys"].items():
                rows.append({"messages": messages, "kind": kind, **look_up(options, server, samples)})
                rows[-1]["import_seconds"] = imported["seconds"]
        remove(options.work / "rocketmq-lake")
    return rows


def look_up(options, server, samples):
    random.Random(1).shuffle(samples)
    expected = {messages_path(key["topic"], key["key"]): key["messages"] for key in samples}
    warm, paths = split(options, list(expected))
    took_ms, bodies = timed(server.get, warm, paths)
    counts = [len(rows_of(body)) for body in bodies]
    return {
        "hits": sum(counts) / max(len(counts), 1),
        "requests": len(paths),
        "agree": counts == [expected[path] for path in paths],
        "mqlake": quantiles(took_ms),
    }


def messages_path(topic, key, way="plain"):
    query = {"system": "rocketmq", "topic": topic, "key": key, "limit": rocketmq_broker.MOST_HITS}
    if way == "bodies":
        query["body"] = "true"
    return "/api/v1/messages?" + urllib.parse.urlencode(query)


def rows_of(body):
    """The messages of an answer as (id, queue, queue offset)."""
    found = json.loads(body)["messages"]
    return sorted((row["message_id"], row["queue_id"], row["queue_offset"]) for row in found)


def split(options, questions):
    """The questions for warming up, and those to measure. No question is repeated unless there are too few."""
    if len(questions) < options.requests + options.warm_up:
        return questions, questions[-options.requests:]
    return questions[:options.warm_up], questions[options.warm_up:]


def timed(ask, warm, questions):
    return timed_in_turns({"": ask}, warm, questions)[""]


def timed_in_turns(asks, warm, questions):
    """Times and answers of each way to ask; every question is asked in all ways before the next."""
    for question in warm:
        for ask in asks.values():
            ask(question)
    taken = {name: ([], []) for name in asks}
    gc.collect()
    gc.disable()
    try:
        for question in questions:
            for name, ask in asks.items():
                started = time.perf_counter_ns()
                answer = ask(question)
                taken[name][0].append((time.perf_counter_ns() - started) / 1e6)
                taken[name][1].append(answer)
    finally:
        gc.enable()
    return taken


def quantiles(times):
    ordered = sorted(times)
    at = lambda part: ordered[min(len(ordered) - 1, int(len(ordered) * part))]
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": ordered[-1]}


class Server:
    """`mqlake serve` on a free port, for the time of a `with` block, and one connection to it."""

    def __init__(self, options):
        self.options = options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = options.work / "rocketmq-serve.log"

    def __enter__(self):
        lake = self.options.work / "rocketmq-lake"
        command = [self.options.mqlake, "serve", "--data", lake, "--listen", f"127.0.0.1:{self.port}"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while "listening on http://" not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"error: the server does not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)
        self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def get(self, path):
        """One request, as lean as the broker's client, so that both times are those of the servers."""
        self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: mqlake\r\n\r\n".encode())
        answer = bytearray()
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self.receive()
        head = bytes(answer[:end]).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(answer) < end + 4 + length:
            answer += self.receive()
        body = bytes(answer[end + 4:])
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"error: {head.decode()}\n{body.decode(errors='replace')}")
        return body

    def receive(self):
        part = self.connection.recv(1 << 16)
        if not part:
            sys.exit("error: the server closed the connection")
        return part


# --- the report -------------------------------------------------------------------------------------------------------


def markdown(result):
    reports = {"import": import_report, "traces": traces_report, "keys": keys_report, "scale": scale_report}
    return "\n\n".join("\n".join(reports[part](result[part])) for part in PARTS if part in result)


def import_report(done):
    return [
        "## RocketMQ: import",
        "",
        f"{done['messages']:,} messages and {done['trace_messages']:,} trace messages with {done['trace_events']:,} "
        f"events ({done['log_bytes'] / MB:,.0f} MB of commit log) became {done['lake_bytes'] / MB:,.0f} MB of tables.",
        "",
        "| | measured |",
        "| --- | ---: |",
        f"| seconds, and of CPU | {done['seconds']:.1f}, {done['cpu_seconds']:.1f} |",
        f"| MB of commit log/s | {done['log_mb_per_second']:,.0f} |",
        f"| messages/s, trace messages included | {done['messages_per_second']:,.0f} |",
        f"| peak memory | {done['peak_memory_bytes'] / MIB:,.0f} MiB |",
    ]


def traces_report(done):
    return [
        "## RocketMQ: traces only",
        "",
        f"{done['trace_messages']:,} trace messages with {done['trace_events']:,} events "
        f"({done['log_bytes'] / MB:,.0f} MB of commit log):",
        "",
        "| | measured |",
        "| --- | ---: |",
        f"| seconds, and of CPU | {done['seconds']:.1f}, {done['cpu_seconds']:.1f} |",
        f"| trace events/s | {done['events_per_second']:,.0f} |",
        f"| trace events/s of one core, stored and indexed | {done['events_per_core_second']:,.0f} |",
        f"| peak memory | {done['peak_memory_bytes'] / MIB:,.0f} MiB |",
    ]


def keys_report(done):
    lines = [
        "## RocketMQ: keys beside a broker",
        "",
        f"Milliseconds over {done['messages']:,} messages. The broker took {done['indexed_seconds']:.1f} s to store and "
        f"index them, mqlake {done['imported']['seconds']:.1f} s to import its store.",
        "",
        "| hits | RocketMQ p50 | p99 | mqlake p50 | p99 | with bodies p50 | p99 | same answers |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in done["lookups"]:
        sides = [row[side] for side in ("rocketmq", "mqlake_plain", "mqlake_bodies")]
        cells = " | ".join(f"{side['p50_ms']:.2f} | {side['p99_ms']:.2f}" for side in sides)
        lines.append(f"| {row['hits']} | {cells} | {yes(row['agree'])} |")
    return lines


def scale_report(rows):
    lines = [
        "## RocketMQ: keys, more and more of them",
        "",
        "| messages | hits | mqlake p50 | p99 | all found |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        took = row["mqlake"]
        cells = f"{row['hits']:.3g} | {took['p50_ms']:.2f} | {took['p99_ms']:.2f} | {yes(row['agree'])}"
        lines.append(f"| {row['messages']:,} | {cells} |")
    return lines


def yes(is_so):
    return "yes" if is_so else "**no**"


if __name__ == "__main__":
    main()
