"""mqlake beside a real RocketMQ cluster with Java clients: is everything found that they did, and nothing left behind?

scenario.py PROGRAM WORK VERSION [--long | --cluster-only]: WORK/VERSION holds lib/ and classes/ of that version,
WORK/oracle those of the oracle, and WORK/VERSION gets a folder for each cluster.
"""

import argparse
import dataclasses
import pathlib
import shutil
import signal
import sys
import time

import checks
import clients
import generations
import imports
from cluster import READER, Cluster, raise_loopback, until
from generations import Stage
from lake import Lake
from report import Report
from versions import ORACLE, VERSIONS, Version

TOPICS = {"orders": 4, "later": 2, "paid": 2}
CONSUMERS = ["picky", "steady"]
GROUPS = [*CONSUMERS, "rewound"]
STRANGER = ("stranger", "wrong-secret")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is run, with which program and versions."""

    report: Report
    program: pathlib.Path
    folder: pathlib.Path
    version: Version
    class_path: str
    oracle_class_path: str
    long: bool

    def cluster(self, name: str, brokers: list[str], acl: bool = False) -> Cluster:
        return Cluster(self.folder / name, self.class_path, brokers, self.version, acl)

    def oracle(self, cluster: Cluster) -> clients.Oracle:
        return clients.Oracle(cluster, self.oracle_class_path)

    @property
    def whole(self) -> bool:
        """Whether clients, brokers and mqlake are disturbed in every way; one version is enough for every change."""
        return self.long or self.version.name == ORACLE


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


def look_ups(stage: Stage, sends: list[dict], pulled: clients.Lines, known: list[dict] = ()) -> None:
    """Every message of `sends`, and every trace record, but of messages whose records all are in `known`."""
    report, lake, stored = stage.report, stage.lake, pulled.of("message")
    # one question, before thousands are asked that would have to be asked again
    report.within("queues as long as the brokers'", checks.long_enough, lake, stored)
    report.within("sent messages by id and by key", checks.sends_found, lake, sends, stored)
    report.within("records of the trace topic", checks.traces_found, lake, pulled.of("trace"), known)
    report.within("dead letters", checks.dead_letters_found, lake, "picky", stored)


def places(stage: Stage, stored: list[dict]) -> None:
    for topic in TOPICS:
        # older brokers answer with the nearest message
        if stage.cluster.version.exact_times and any(message["topic"] == topic for message in stored):
            question = (stage.lake, stage.oracle, topic, stored)
            stage.report.within(f"offsets by time of {topic}", checks.offsets_agree, *question)
    stage.report.within("messages of each queue", checks.counts_agree, stage.lake, stored)


def calm(stage: Stage, count: int, sends: clients.Lines, deliveries: clients.Lines) -> list[dict]:
    """All kinds of sends and results, nothing fails but on purpose: what the clients say is what is found.

    The records of the trace topic so far.
    """
    report, cluster, lake, oracle = stage.report, stage.cluster, stage.lake, stage.oracle
    with clients.consumer(cluster, deliveries, list(TOPICS), CONSUMERS) as consumer:
        more = {"count": count, "pause": 20, "later": "later", "paid": "paid"}
        with clients.producer(cluster, sends, "calm", "orders", **more) as producer:
            with checks.Freshness(lake, sends) as freshness:
                until(120, "sends", lambda: len(sends.of("send")) > 20)
                pids = [producer.process.pid, consumer.process.pid]
                report.result("only the Java clients are online", checks.only_ours_online(oracle.snapshot(), pids))
                until(120, "sends", lambda: sum(send["kind"] == "normal" for send in sends.of("send")) == count)
            producer.wait()
        at_rest(deliveries)
        consumer.finish()
    report.result(f"visible while sent: {freshness.summary()}", freshness.failures)
    if not cluster.version.readable_dead_letters:
        report.within("dead letters that nobody may read", checks.alarm_names, lake, "%DLQ%picky")
        cluster.topic("%DLQ%picky", 1)
    pulled = oracle.pull(cluster.folder / "calm")
    look_ups(stage, sends.of("send"), pulled)
    had = cluster.version, deliveries.of("delivery")
    report.within("deliveries and their results", checks.deliveries_found, lake, *had)
    middle = sends.of("send")[count // 2]["returned"]
    if cluster.version.exact_times:
        report.within("reset by time", checks.reset_agrees, lake, oracle, "orders", "rewound", middle)
    report.within("reset by time through mqlake", checks.own_reset_agrees, lake, oracle, "orders", "steady", middle)
    return pulled.of("trace")


def stormy(stage: Stage, pause: int, sends: clients.Lines, deliveries: clients.Lines) -> None:
    """Clients go on while mqlake and brokers are killed and restarted, and a topic gets more queues."""
    report, cluster, lake = stage.report, stage.cluster, stage.lake
    with clients.consumer(cluster, deliveries, list(TOPICS), CONSUMERS) as consumer:
        with clients.producer(cluster, sends, "stormy", "orders", pause=pause) as producer:

            def sent(more: int) -> None:
                aim = len(sends.of("send")) + more
                until(120, "sends", lambda: len(sends.of("send")) >= aim)

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
            until(120, "a message in a new queue", lambda: _in_new_queues(sends))
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


def plain(plan: Plan) -> None:
    brokers = ["broker-a", "broker-b"] if plan.whole else ["broker-a"]
    report = plan.report
    with plan.cluster("plain", brokers) as cluster:
        prepare(cluster)
        report.say(f"name server and {len(brokers)} brokers are up")
        sends = clients.Lines(cluster.folder / "sends")
        deliveries = clients.Lines(cluster.folder / "deliveries")
        with plan.oracle(cluster) as oracle:
            without = oracle.snapshot()
            with Lake(plan.program, cluster) as lake:
                stage = Stage(report, cluster, lake, oracle)
                time.sleep(2)
                report.result("following leaves nothing", checks.differences(without, oracle.snapshot()))
                known = calm(stage, 200 if plan.whole else 60, sends, deliveries)
                # in the long form all is looked up a second time, after the storm
                known, before = ([], 0) if plan.long else (known, len(sends.of("send")))
                if plan.whole:
                    stormy(stage, 100 if plan.long else 300, sends, deliveries)
                pulled = oracle.pull(cluster.folder / "stormy")
                if plan.whole:
                    look_ups(stage, sends.of("send")[before:], pulled, known)
                places(stage, pulled.of("message"))
                imports.same_rows(stage, set())
                after = oracle.snapshot()
                report.result("nothing but the Java clients' is left", checks.nothing_left(without, after, [], GROUPS))
                lake.stop()
            report.result("stopping changes nothing", checks.differences(after, oracle.snapshot()))
        report.say(_figures(sends, deliveries, pulled))


def unlucky(plan: Plan) -> None:
    """A broker that loses what it had, in several ways."""
    with plan.cluster("unlucky", ["broker-a"]) as cluster:
        plan.report.say("name server and a broker are up")
        with plan.oracle(cluster) as oracle, Lake(plan.program, cluster) as lake:
            stage = Stage(plan.report, cluster, lake, oracle)
            generations.lost_tail(stage, "tail-1", while_it_runs=True, away="halted")
            # brokers of 4.x stop and start in a few seconds, later ones take half a minute
            runs = not plan.long and plan.version.exact_times
            generations.lost_tail(stage, "tail-2", while_it_runs=runs, away="stopped")
            if plan.long:
                generations.lost_tail(stage, "tail-3", while_it_runs=True, away="running")
                generations.lost_tail(stage, "tail-4", while_it_runs=True, away="killed")
            gone = set(stage.rows()) - stage.stored()
            imports.same_rows(stage, gone)
            imports.in_turns(stage, "turns-1")
            generations.remade_topic(stage, "remade-1", away="running", more=False)
            generations.remade_topic(stage, "remade-2", away="stopped", more=True)
            if plan.long:
                generations.remade_topic(stage, "remade-3", away="running", more=True)
                generations.remade_topic(stage, "remade-4", away="stopped", more=False)
                generations.remade_topic(stage, "remade-5", away="halted", more=True)
            generations.lost_store(stage, "anew-1", away="stopped")
            if plan.long:
                generations.lost_store(stage, "anew-2", away="running")
                generations.lost_store(stage, "anew-3", away="halted")
            imports.in_turns(stage, "turns-2")


def protected(plan: Plan) -> None:
    report = plan.report
    with plan.cluster("protected", ["broker-a"], acl=True) as cluster:
        prepare(cluster)
        cluster.reader()
        report.say("name server and a broker with access control are up")
        with Lake(plan.program, cluster, STRANGER, name="stranger", waits=False) as lake:
            report.within("rejected credentials", checks.says_rejected, lake, STRANGER)
        sends = clients.Lines(cluster.folder / "sends")
        deliveries = clients.Lines(cluster.folder / "deliveries")
        with plan.oracle(cluster) as oracle, Lake(plan.program, cluster, READER) as lake:
            report.within("accepted credentials", checks.is_ready, lake)
            with clients.consumer(cluster, deliveries, ["orders"], CONSUMERS) as consumer:
                with clients.producer(cluster, sends, "signed", "orders", count=50, pause=10) as producer:
                    producer.wait()
                at_rest(deliveries)
                consumer.finish()
            stage = Stage(report, cluster, lake, oracle)
            pulled = oracle.pull(cluster.folder / "signed")
            look_ups(stage, sends.of("send"), pulled)
            had = cluster.version, deliveries.of("delivery")
            report.within("deliveries and their results", checks.deliveries_found, lake, *had)
            places(stage, pulled.of("message"))


def _figures(sends: clients.Lines, deliveries: clients.Lines, pulled: clients.Lines) -> str:
    failed = sum(send.get("status") == "failed" for send in sends.of("send"))
    return (
        f"{len(sends.of('send'))} sends ({failed} failed), {len(deliveries.of('delivery'))} deliveries, "
        f"{len(pulled.of('message'))} messages and {len(pulled.of('trace'))} trace records in the brokers"
    )


def cluster_only(plan: Plan) -> None:
    with plan.cluster("by-hand", ["broker-a", "broker-b"]) as cluster:
        prepare(cluster)
        print(f"name server {cluster.name_server}", flush=True)
        for broker in cluster.brokers:
            print(f"{broker} {cluster.address(broker)}", flush=True)
        print(f"class path {plan.class_path}, stores and logs below {cluster.folder}; Ctrl-C ends it", flush=True)
        signal.pause()


PARTS = {"plain": plain, "unlucky": unlucky, "protected": protected}


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("work", type=pathlib.Path)
    arguments.add_argument("version", choices=VERSIONS)
    arguments.add_argument("--long", action="store_true")
    arguments.add_argument("--cluster-only", action="store_true")
    arguments.add_argument("--part", choices=PARTS, action="append", help="only these parts")
    arguments = arguments.parse_args()
    work = arguments.work.resolve()
    folder = work / arguments.version
    plan = Plan(
        report=Report(arguments.version),
        program=arguments.program.resolve(),
        folder=folder,
        version=VERSIONS[arguments.version],
        class_path=f"{folder / 'lib'}/*:{folder / 'classes'}",
        oracle_class_path=f"{work / ORACLE / 'lib'}/*:{work / 'oracle'}",
        long=arguments.long,
    )
    # what was started must end with us
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: sys.exit(1))
    raise_loopback()
    for name in (*PARTS, "by-hand"):
        shutil.rmtree(folder / name, ignore_errors=True)
    if arguments.cluster_only:
        cluster_only(plan)
        return 0
    for name in arguments.part or PARTS:
        plan.report.part(name, PARTS[name], plan)
    plan.report.say(f"{plan.report.good} passed, {plan.report.bad} failed")
    if plan.report.bad:
        plan.report.say(f"stores, logs and what the clients said: below {folder}")
        return 1
    for name in PARTS:
        shutil.rmtree(folder / name, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
