"""mqlake beside a real RocketMQ cluster with Java clients: is everything found that they did, and nothing left behind?

scenario.py PROGRAM WORK [--cluster-only]: WORK holds lib/ and classes/ and gets a folder for each cluster.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import time

import checks
import clients
from cluster import Cluster, until
from lake import Lake

TOPICS = {"orders": 4, "later": 2, "paid": 2}
CONSUMERS = ["picky", "steady"]
GROUPS = [*CONSUMERS, "rewound"]
READER = ("reader", "reader-secret")
# section "access control": what a follower needs, and no more
READER_RIGHTS = {"Topic:*": ["Sub", "Get"], "Group:TOOLS_CONSUMER": ["Sub"]}
VISIBLE_WITHIN = 20
MOST_SHOWN = 8


class Report:
    """Prints each check as it is made, and counts."""

    def __init__(self):
        self.begin, self.good, self.bad = time.monotonic(), 0, 0

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.begin:5.1f} s] {text}", flush=True)

    def result(self, name: str, wrong: list[str]) -> None:
        if not wrong:
            self.good += 1
            self.say(f"ok      {name}")
            return
        self.bad += 1
        self.say(f"FAILED  {name}: {len(wrong)}")
        for text in wrong[:MOST_SHOWN]:
            print(f"          {text[:400]}", flush=True)

    def within(self, name: str, check, *arguments) -> None:
        """Repeats a check until it is good or a message had time enough to become visible."""
        end = time.monotonic() + VISIBLE_WITHIN
        try:
            while (wrong := check(*arguments)) and time.monotonic() < end:
                time.sleep(0.5)
        except (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            wrong = [f"{type(error).__name__}: {error}"]
        self.result(name, wrong)


def prepare(cluster: Cluster) -> None:
    for topic, queues in TOPICS.items():
        cluster.topic(topic, queues)
    for group in GROUPS:
        cluster.group(group)


def at_rest(deliveries: clients.Lines) -> None:
    """Until no message has been delivered for a while: a retry comes after one second."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 2.5:
        if (count := len(deliveries.of("delivery"))) != seen:
            seen, since = count, time.monotonic()
        time.sleep(0.1)


def look_ups(report: Report, lake: Lake, sends: clients.Lines, pulled: clients.Lines) -> None:
    """Every message and every trace record so far."""
    stored = pulled.of("message")
    report.within("sent messages by id and by key", checks.sends_found, lake, sends.of("send"), stored)
    report.within("records of the trace topic", checks.traces_found, lake, pulled.of("trace"))
    report.within("dead letters", checks.dead_letters_found, lake, "picky", stored)


def places(report: Report, lake: Lake, oracle: clients.Oracle, stored: list[dict]) -> None:
    for topic in TOPICS:
        if any(message["topic"] == topic for message in stored):
            report.within(f"offsets by time of {topic}", checks.offsets_agree, lake, oracle, topic, stored)
    report.within("messages of each queue", checks.counts_agree, lake, stored)


def calm(report: Report, cluster: Cluster, lake: Lake, oracle: clients.Oracle, sends, deliveries) -> None:
    """All kinds of sends and results, nothing fails but on purpose: what the clients say is what is found."""
    with clients.consumer(cluster, deliveries, list(TOPICS), CONSUMERS) as consumer:
        more = {"count": 200, "pause": 20, "later": "later", "paid": "paid"}
        with clients.producer(cluster, sends, "calm", "orders", **more) as producer:
            with checks.Freshness(lake, sends) as freshness:
                until(60, "sends", lambda: len(sends.of("send")) > 20)
                pids = [producer.process.pid, consumer.process.pid]
                report.result("only the Java clients are online", checks.only_ours_online(oracle.ask("snapshot"), pids))
                until(60, "sends", lambda: sum(send["kind"] == "normal" for send in sends.of("send")) == 200)
            producer.wait()
        at_rest(deliveries)
        consumer.finish()
    report.result(f"visible while sent: {freshness.summary()}", freshness.failures)
    pulled = oracle.pull(cluster.folder / "calm")
    look_ups(report, lake, sends, pulled)
    report.within("deliveries and their results", checks.deliveries_found, lake, deliveries.of("delivery"))
    middle = sends.of("send")[100]["returned"]
    report.within("reset by time", checks.reset_agrees, lake, oracle, "orders", "rewound", middle)


def stormy(report: Report, cluster: Cluster, lake: Lake, sends, deliveries) -> None:
    """Clients go on while mqlake and brokers are killed and restarted, and a topic gets more queues."""
    with clients.consumer(cluster, deliveries, list(TOPICS), CONSUMERS) as consumer:
        with clients.producer(cluster, sends, "stormy", "orders", pause=100) as producer:

            def sent(more: int) -> None:
                aim = len(sends.of("send")) + more
                until(60, "sends", lambda: len(sends.of("send")) >= aim)

            sent(20)
            lake.kill()
            sent(20)
            lake.start()
            report.say("mqlake was killed and is back")
            sent(10)
            cluster.stop("broker-b")
            sent(10)
            cluster.start("broker-b")
            report.say("broker-b was restarted")
            cluster.kill("broker-a")
            sent(10)
            cluster.start("broker-a")
            report.say("broker-a was killed and is back")
            cluster.topic("orders", TOPICS["orders"] + 2)
            until(60, "a message in a new queue", lambda: _in_new_queues(sends))
            lake.kill()
            lake.start()
            report.say("orders has more queues, and mqlake was killed again")
            sent(10)
            producer.finish()
        at_rest(deliveries)
        consumer.finish()


def _in_new_queues(sends: clients.Lines) -> bool:
    places = {(send.get("broker"), send.get("queueId")) for send in sends.of("send") if send["topic"] == "orders"}
    return len({broker for broker, queue in places if queue is not None and queue >= TOPICS["orders"]}) == 2


def plain(report: Report, program: pathlib.Path, work: pathlib.Path, class_path: str) -> None:
    with Cluster(work / "plain", class_path, ["broker-a", "broker-b"]) as cluster:
        prepare(cluster)
        report.say("name server and two brokers are up")
        sends = clients.Lines(cluster.folder / "sends")
        deliveries = clients.Lines(cluster.folder / "deliveries")
        with clients.Oracle(cluster) as oracle:
            without = oracle.ask("snapshot")
            with Lake(program, cluster) as lake:
                time.sleep(2)
                report.result("following leaves nothing", checks.differences(without, oracle.ask("snapshot")))
                calm(report, cluster, lake, oracle, sends, deliveries)
                stormy(report, cluster, lake, sends, deliveries)
                pulled = oracle.pull(cluster.folder / "stormy")
                look_ups(report, lake, sends, pulled)
                places(report, lake, oracle, pulled.of("message"))
                after = oracle.ask("snapshot")
                report.result("nothing but the Java clients' is left", checks.nothing_left(without, after, [], GROUPS))
                lake.stop()
            report.result("stopping changes nothing", checks.differences(after, oracle.ask("snapshot")))
        report.say(_figures(sends, deliveries, pulled))


def protected(report: Report, program: pathlib.Path, work: pathlib.Path, class_path: str) -> None:
    with Cluster(work / "protected", class_path, ["broker-a"], acl=True) as cluster:
        prepare(cluster)
        cluster.user(*READER, READER_RIGHTS)
        report.say("name server and a broker with access control are up")
        sends = clients.Lines(cluster.folder / "sends")
        deliveries = clients.Lines(cluster.folder / "deliveries")
        with clients.Oracle(cluster) as oracle, Lake(program, cluster, READER) as lake:
            with clients.consumer(cluster, deliveries, ["orders"], CONSUMERS) as consumer:
                with clients.producer(cluster, sends, "signed", "orders", count=50, pause=10) as producer:
                    producer.wait()
                at_rest(deliveries)
                consumer.finish()
            pulled = oracle.pull(cluster.folder / "signed")
            look_ups(report, lake, sends, pulled)
            report.within("deliveries and their results", checks.deliveries_found, lake, deliveries.of("delivery"))
            places(report, lake, oracle, pulled.of("message"))


def _figures(sends: clients.Lines, deliveries: clients.Lines, pulled: clients.Lines) -> str:
    failed = sum(send.get("status") == "failed" for send in sends.of("send"))
    return (
        f"{len(sends.of('send'))} sends ({failed} failed), {len(deliveries.of('delivery'))} deliveries, "
        f"{len(pulled.of('message'))} messages and {len(pulled.of('trace'))} trace records in the brokers"
    )


def cluster_only(work: pathlib.Path, class_path: str) -> None:
    with Cluster(work / "by-hand", class_path, ["broker-a", "broker-b"]) as cluster:
        prepare(cluster)
        print(f"name server {cluster.name_server}", flush=True)
        for broker in cluster.brokers:
            print(f"{broker} {cluster.address(broker)}", flush=True)
        print(f"class path {class_path}, stores and logs below {cluster.folder}; Ctrl-C ends it", flush=True)
        signal.pause()


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("work", type=pathlib.Path)
    arguments.add_argument("--cluster-only", action="store_true")
    arguments = arguments.parse_args()
    work = arguments.work.resolve()
    class_path = f"{work / 'lib'}/*:{work / 'classes'}"
    # what was started must end with us
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: sys.exit(1))
    for name in ("plain", "protected", "by-hand"):
        shutil.rmtree(work / name, ignore_errors=True)
    if arguments.cluster_only:
        cluster_only(work, class_path)
        return 0
    report = Report()
    plain(report, arguments.program.resolve(), work, class_path)
    protected(report, arguments.program.resolve(), work, class_path)
    report.say(f"{report.good} passed, {report.bad} failed")
    if report.bad:
        print(f"stores, logs and what the clients said: {work / 'plain'}, {work / 'protected'}")
        return 1
    for name in ("plain", "protected"):
        shutil.rmtree(work / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
