#!/usr/bin/env python3
"""Measures mqlake from broker logs to answers over HTTP, beside DuckDB on the same Parquet files.

    python3 benches/end_to_end.py                      # 5,000,000 messages, about a gigabyte of disk
    python3 benches/end_to_end.py --messages 200000    # a quick look

One run generates a store, imports it, serves it, and asks the same questions twice: over HTTP on a connection kept
open, and in this process with DuckDB, which reads exactly the live Parquet files of the tables. Both are warm, run on
the same cores, one question at a time, and their answers must agree. DuckDB is asked with a prepared statement and
with values written into the SQL; the faster of the two counts. mqlake's times include HTTP and JSON, DuckDB's
include fetching the rows into Python.

Needs a Rust toolchain and Python 3.9 or newer; DuckDB comes from PyPI into a virtual environment below the target
directory when it is missing. Prints Markdown; the same figures go to result.json in the working directory.
"""

import argparse
import datetime
import gc
import http.client
import importlib.util
import json
import math
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = (ROOT / os.environ.get("CARGO_TARGET_DIR", "target")).resolve()
GROUP = "bench"
DAY_MS = 86_400_000
WARM_UP = 20
PAGE = 10
ABSENT = "nobody.ever.publishes"
TARGETS = {
    "rows_per_second": 500_000,
    "bytes_per_message_row": 14,
    "bytes_per_record_row": 3,
    "peak_memory_bytes": 1 << 30,
    "lookup_ratio": 10,
}


def main():
    options = parse_options()
    use_duckdb()
    if not options.no_build:
        build()
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    store = generate(options, work / "store")
    imported = run_import(work)
    files = {table: live_files(work / "lake" / table) for table in ("message", "record")}
    duck = Duck(files, options.threads)
    result = {
        "machine": machine(duck),
        "store": {key: value for key, value in store.items() if key != "samples"},
        "import": summarise_import(store, imported, files, duck),
    }
    with Server(work) as server:
        result["operations"] = [
            measure(operation, server.client(), duck) for operation in operations(store, options)
        ]
    (work / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(markdown(result))
    disagreeing = [operation["name"] for operation in result["operations"] if not operation["agree"]]
    if disagreeing or not result["import"]["complete"]:
        sys.exit(f"error: not a valid measurement; wrong or missing rows: {disagreeing or 'row counts'}")


def parse_options():
    parser = argparse.ArgumentParser(description="Measures mqlake from broker logs to answers over HTTP.")
    parser.add_argument("--messages", type=int, default=5_000_000, help="index records (default: %(default)s)")
    parser.add_argument("--log", choices=["index", "message"], default="index", help="log that holds the messages")
    parser.add_argument("--subjects", type=int, default=200)
    parser.add_argument("--groups", type=int, default=2, help="consumer groups of a subject")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=200, help="timed requests of each operation")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="threads of DuckDB")
    parser.add_argument("--work", type=Path, default=TARGET / "bench", help="working directory (default: target/bench)")
    parser.add_argument("--no-build", action="store_true", help="use the binaries that are there")
    parser.add_argument("--reuse-store", action="store_true", help="import the store of the last run again")
    return parser.parse_args()


# --- preparation ------------------------------------------------------------------------------------------------------


def use_duckdb():
    """Goes on in a virtual environment that has DuckDB, if this interpreter has none."""
    if importlib.util.find_spec("duckdb"):
        return
    venv = TARGET / "bench-venv"
    python = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    if sys.prefix == str(venv):
        sys.exit("error: DuckDB cannot be imported although it was installed")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "duckdb"], check=True)
    os.execv(python, [str(python), *sys.argv])


def build():
    command = ["cargo", "build", "--release", "--bin", "mqlake", "--example", "generate_store"]
    subprocess.run(command, cwd=ROOT, check=True)


def generate(options, store):
    summary = store / "summary.json"
    if options.reuse_store and summary.exists():
        return json.loads(summary.read_text())
    shutil.rmtree(store, ignore_errors=True)
    # the newest day is over, so that every day gets settled, and recent enough for default time windows
    start_ms = (int(time.time() * 1000) // DAY_MS - options.days - 1) * DAY_MS
    command = [TARGET / "release" / "examples" / "generate_store", "--out", store, "--start-ms", start_ms]
    for name in ("messages", "log", "subjects", "groups", "days", "seed"):
        command += [f"--{name}", getattr(options, name)]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return json.loads(summary.read_text())


def binary():
    return str(TARGET / "release" / "mqlake")


def run_import(work):
    """Imports the store into an empty lake; wall time and peak memory are those of the whole process."""
    shutil.rmtree(work / "lake", ignore_errors=True)
    command = [binary(), "import", "--data", work / "lake", "--store", work / "store"]
    command += ["--broker-group", GROUP, "--json"]
    with open(work / "import.json", "wb") as output, open(work / "import.log", "wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"error: the import failed:\n{(work / 'import.log').read_text()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_bytes": usage.ru_maxrss * unit,
        "summary": json.loads((work / "import.json").read_text()),
    }


def live_files(table):
    """The files of a Delta table's newest version, from its commits: added and not removed since."""
    commits = sorted((table / "_delta_log").glob("*.json"))
    if [int(commit.stem) for commit in commits] != list(range(len(commits))):
        sys.exit(f"error: the commits of table {table.name} are not complete; import into an empty directory")
    live = {}
    for commit in commits:
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                live[action["add"]["path"]] = table / urllib.parse.unquote(action["add"]["path"])
            elif "remove" in action:
                live.pop(action["remove"]["path"], None)
    return sorted(live.values())


def summarise_import(store, imported, files, duck):
    rows = {table: duck.count(table) for table in files}
    size = {table: sum(file.stat().st_size for file in paths) for table, paths in files.items()}
    messages = store["messages"]
    expected = {"message": messages["normal"] + messages["retry"], "record": store["records"]["total"]}
    return {
        **imported,
        "rows_per_second": messages["total"] / imported["seconds"],
        "log_bytes": sum(store["bytes"].values()),
        "rows": rows,
        "expected_rows": expected,
        "complete": rows == expected,
        "files": {table: len(paths) for table, paths in files.items()},
        "file_bytes": size,
        "bytes_per_message_row": size["message"] / max(rows["message"], 1),
        "bytes_per_record_row": size["record"] / max(rows["record"], 1),
    }


def machine(duck):
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "duckdb": duck.version,
        "duckdb_threads": duck.threads,
    }


# --- the two that answer ----------------------------------------------------------------------------------------------


class Server:
    """`mqlake serve` on a free port, for the time of a `with` block."""

    def __init__(self, work):
        self.work = work
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self):
        command = [binary(), "serve", "--data", str(self.work / "lake"), "--listen", f"127.0.0.1:{self.port}"]
        self.log = self.work / "serve.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while "listening on http://" not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"error: the server does not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)


class Duck:
    """DuckDB over the live files, one connection."""

    def __init__(self, files, threads):
        # imported only now, because memory of this process must not count for the import
        import duckdb

        self.version = duckdb.__version__
        self.threads = threads
        self.files = files
        self.connection = duckdb.connect(config={"threads": threads})
        # some versions have a cache, under one of these names
        for setting in ("enable_object_cache", "parquet_metadata_cache"):
            try:
                self.connection.execute(f"SET {setting} = true")
            except duckdb.Error:
                pass

    def source(self, table):
        return f"read_parquet([{', '.join(literal(str(file)) for file in self.files[table])}])"

    def count(self, table):
        if not self.files[table]:
            return 0
        return self.connection.execute(f"SELECT count(*) FROM {self.source(table)}").fetchone()[0]

    def prepared(self, operation):
        """A function that asks through a prepared statement."""
        numbers = {name: f"${number}" for number, name in enumerate(operation.parameters, 1)}
        sql = operation.sql.format(source=self.source(operation.table), **numbers)
        self.connection.execute(f"PREPARE question AS {sql}")
        return lambda values: self.fetch(f"EXECUTE question({', '.join(map(literal, values))})")

    def spelt_out(self, operation):
        """A function that asks with the values in the SQL, which lets the planner use them."""
        source = self.source(operation.table)

        def ask(values):
            literals = dict(zip(operation.parameters, map(literal, values)))
            return self.fetch(operation.sql.format(source=source, **literals))

        return ask

    def fetch(self, sql):
        return self.connection.execute(sql).fetchall()


def literal(value):
    return str(value) if isinstance(value, (int, float)) else "'" + value.replace("'", "''") + "'"


# --- the questions ----------------------------------------------------------------------------------------------------


class Operation:
    """One kind of question, and how each side is asked."""

    table = "message"

    def __init__(self, name, questions):
        self.name = name
        self.questions = questions


class IdLookup(Operation):
    parameters = ("subject", "message_id")
    sql = (
        "SELECT message_id, sequence, epoch_ms(create_time), broker_group FROM {source} "
        "WHERE subject = {subject} AND kind = 0 AND message_id = {message_id} "
        "ORDER BY epoch_ms(create_time) // 1000 DESC LIMIT 1"
    )

    def path(self, question):
        return message_path({"subject": question["subject"], "messageId": question["message_id"]})

    def values(self, question):
        return [question["subject"], question["message_id"]]

    def rows(self, answer):
        return message_rows(answer)


class NewestPage(Operation):
    parameters = ("subject", "after", "before")
    # in whole seconds: after the first, up to and including the last
    sql = (
        "SELECT message_id, sequence, epoch_ms(create_time), broker_group FROM {source} "
        "WHERE subject = {subject} AND kind = 0 "
        "AND create_time >= to_timestamp({after}) AND create_time < to_timestamp({before}) "
        f"ORDER BY epoch_ms(create_time) // 1000 DESC, md5(message_id) LIMIT {PAGE}"
    )

    def path(self, question):
        return message_path({
            "subject": question["subject"],
            "len": PAGE,
            "msgCreateTimeBegin": iso(question["begin"]),
            "msgCreateTimeEnd": iso(question["end"]),
        })

    def values(self, question):
        return [question["subject"], question["begin"] + 1, question["end"] + 1]

    def rows(self, answer):
        return message_rows(answer)


class Records(Operation):
    table = "record"
    parameters = ("subject", "sequence", "broker_group")
    sql = (
        "SELECT consumer_group, action, epoch_ms(action_time), consumer_id, sequence FROM {source} "
        "WHERE subject = {subject} AND kind = 0 AND sequence = {sequence} AND broker_group = {broker_group} "
        "ORDER BY ALL"
    )

    def path(self, question):
        query = {"subject": question["subject"], "brokerGroup": GROUP, "sequence": question["sequence"]}
        query["recordCode"] = 0
        return "/api/message/records?" + urllib.parse.urlencode({"recordQuery": json.dumps(query)})

    def values(self, question):
        return [question["subject"], question["sequence"], GROUP]

    def rows(self, answer):
        names = ("consumerGroup", "action", "timestamp", "consumerId", "sequence")
        records = [tuple(record[name] for name in names) for record in answer["records"]]
        return sorted((group, action, int(at), by, int(sequence)) for group, action, at, by, sequence in records)


def message_path(query):
    return "/api/message?" + urllib.parse.urlencode({"backupQuery": json.dumps(query)})


def message_rows(answer):
    return [
        (row["messageId"], int(row["sequence"]), int(row["createTime"]), row["brokerGroup"]) for row in answer["list"]
    ]


def iso(second):
    return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).isoformat()


def operations(store, options):
    """The kinds of questions, each with as many questions as are asked."""
    samples = store["samples"]
    known = [
        {"subject": sample["subject"], **message} for sample in samples.values() for message in sample["messages"]
    ]
    chance = random.Random(options.seed)
    drawn = [chance.choice(known) for _ in range(options.requests)] if known else []
    # shifting the end changes the question, not the answer: no side can repeat an earlier answer
    first = store["options"]["start_ms"] // 1000
    last = first + store["options"]["days"] * DAY_MS // 1000
    subjects = [(name, sample["subject"]) for name, sample in samples.items()] + [("absent", ABSENT)]
    order = {"hot": 0, "middle": 1, "rare": 2, "absent": 3}
    pages = [
        NewestPage(
            f"newest page, {name} subject",
            [{"subject": subject, "begin": first - 1, "end": last + shift} for shift in range(options.requests)],
        )
        for name, subject in sorted(subjects, key=lambda pair: order[pair[0]])
    ]
    return [IdLookup("id lookup", drawn), *pages, Records("records of one message", drawn)]


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(operation, client, duck):
    def over_http(path):
        try:
            client.request("GET", path)
            response = client.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            sys.exit(f"error: {operation.name}: the server does not answer ({error}); its log is serve.log")
        if response.status != 200:
            sys.exit(f"error: {operation.name}: status {response.status}: {body.decode(errors='replace')}")
        return body

    paths = [operation.path(question) for question in operation.questions]
    values = [operation.values(question) for question in operation.questions]
    mqlake_ms, bodies = timed(over_http, paths)
    client.close()
    answers = [operation.rows(json.loads(body)) for body in bodies]
    ways = {}
    agree = True
    for way, ask in (("prepared", duck.prepared(operation)), ("spelt out", duck.spelt_out(operation))):
        duck_ms, rows = timed(ask, values)
        agree = agree and rows == answers
        ways[way] = quantiles(duck_ms)
    best = min(ways, key=lambda way: ways[way]["p50_ms"])
    mqlake = quantiles(mqlake_ms)
    return {
        "name": operation.name,
        "requests": len(paths),
        "rows": sum(map(len, answers)) / max(len(answers), 1),
        "agree": agree,
        "mqlake": mqlake,
        "duckdb": {**ways[best], "asked": best},
        "duckdb_ways": ways,
        "ratio": ways[best]["p50_ms"] / mqlake["p50_ms"],
    }


def timed(ask, questions):
    """Milliseconds and answer of each question, after a warm-up with some of them."""
    for question in questions[:WARM_UP]:
        ask(question)
    times, answers = [], []
    gc.collect()
    gc.disable()
    for question in questions:
        started = time.perf_counter()
        answer = ask(question)
        times.append((time.perf_counter() - started) * 1000)
        answers.append(answer)
    gc.enable()
    return times, answers


def quantiles(times):
    ordered = sorted(times) or [math.nan]

    def at(share):
        return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": ordered[-1]}


# --- reporting --------------------------------------------------------------------------------------------------------


def markdown(result):
    machine, store, done = result["machine"], result["store"], result["import"]
    met = lambda is_met: "yes" if is_met else "**no**"
    mib = 1 << 20
    figures = [
        ("index records/s", f"{done['rows_per_second']:,.0f}", f"≥ {TARGETS['rows_per_second']:,}",
         done["rows_per_second"] >= TARGETS["rows_per_second"]),
        ("peak memory", f"{done['peak_memory_bytes'] / mib:,.0f} MiB", f"< {TARGETS['peak_memory_bytes'] / mib:,.0f} MiB",
         done["peak_memory_bytes"] < TARGETS["peak_memory_bytes"]),
        ("bytes per message row", f"{done['bytes_per_message_row']:.2f}", f"≤ {TARGETS['bytes_per_message_row']}",
         done["bytes_per_message_row"] <= TARGETS["bytes_per_message_row"]),
        ("bytes per record row", f"{done['bytes_per_record_row']:.2f}", f"≤ {TARGETS['bytes_per_record_row']}",
         done["bytes_per_record_row"] <= TARGETS["bytes_per_record_row"]),
    ]
    lines = [
        "## Import",
        "",
        f"{store['messages']['total']:,} messages and {store['actions']['total']:,} actions "
        f"({done['log_bytes'] / mib:,.0f} MiB of logs) became {done['rows']['message']:,} message rows and "
        f"{done['rows']['record']:,} record rows in {done['seconds']:.1f} s ({done['cpu_seconds']:.1f} s of CPU) "
        f"on {machine['cores']} cores.",
        "",
        "| | measured | target | met |",
        "| --- | ---: | ---: | --- |",
        *(f"| {name} | {value} | {target} | {met(is_met)} |" for name, value, target, is_met in figures),
        "",
        "## Lookups",
        "",
        f"Milliseconds over HTTP, beside DuckDB {machine['duckdb']} in-process on the same "
        f"{done['files']['message']} message and {done['files']['record']} record files with "
        f"{machine['duckdb_threads']} threads; target: at least {TARGETS['lookup_ratio']} times faster.",
        "",
        "| operation | rows | mqlake p50 | p99 | DuckDB p50 | p99 | ratio of medians | same answers |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for operation in result["operations"]:
        mqlake, duckdb = operation["mqlake"], operation["duckdb"]
        lines.append(
            f"| {operation['name']} | {operation['rows']:.3g} | {mqlake['p50_ms']:.2f} | {mqlake['p99_ms']:.2f} "
            f"| {duckdb['p50_ms']:.2f} | {duckdb['p99_ms']:.2f} | {operation['ratio']:.1f} | {met(operation['agree'])} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
