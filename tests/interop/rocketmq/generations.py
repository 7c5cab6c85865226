"""Brokers that lose what they had: the end of their log, a topic, the whole store; and go on under the same name.

Whatever a broker has afterwards must be in mqlake, whatever mqlake had before must stay, and it must say what happened.
"""

import collections
import dataclasses
import time

import checks
import clients
import remoting
from cluster import Cluster, until
from lake import Lake
from report import Report

QUEUES = 2
ROWS = """
SELECT subject AS topic, broker_group AS broker, queue_id, sequence, physical_offset, message_id,
       CAST(store_time AS BIGINT) AS store_time
FROM message
WHERE system = 'rocketmq'
"""

# a message as the brokers or mqlake have it
Row = collections.namedtuple("Row", "topic broker queue offset position id time")


@dataclasses.dataclass
class Stage:
    """Who takes part in a scenario."""

    report: Report
    cluster: Cluster
    lake: Lake
    oracle: clients.Oracle
    sent: int = 0

    def send(self, topic: str, count: int) -> None:
        """All at once, to one broker, turn by turn to its queues."""
        broker = self.cluster.brokers[0]
        messages = []
        for _ in range(count):
            self.sent += 1
            unique = f"7F000001{self.sent:04X}18B4AAC2{time.time_ns() // 1_000_000 & 0xFFFFFFFF:08X}{self.sent:08X}"
            properties = {"UNIQ_KEY": unique, "KEYS": f"{topic}-{self.sent}", "WAIT": "true"}
            properties |= {"topic": topic, "queue": self.sent % QUEUES}
            messages.append((properties, f"message {self.sent}".encode()))
        remoting.send(self.cluster.address(broker), messages, self.cluster.credentials)

    def rows(self) -> collections.Counter:
        return rows(self.lake)

    def followed(self, topic: str, count: int) -> collections.Counter:
        """Waits until mqlake has so many messages of the topic; all rows it has then."""

        def has_all() -> collections.Counter | None:
            found = self.rows()
            return found if sum(row.topic == topic for row in found.elements()) >= count else None

        return until(120, f"{count} messages of {topic} in mqlake", has_all)

    def stored(self) -> set[Row]:
        return at_brokers(self.oracle.pull(self.cluster.folder / "generations"))

    def compare(self, name: str, topic: str, before: collections.Counter, count: int) -> None:
        """The topic has `count` messages at its broker now; nothing is missing, and mqlake says what happened."""
        stored = {row for row in self.stored() if row.topic == topic}
        wrong = [] if len(stored) == count else [f"it has {len(stored)}"]
        self.report.result(f"{name}: the broker has {count}", wrong)
        self.report.within(f"{name}: every message once, none gone", everything_there, self.lake, stored, before, topic)
        self.report.within(f"{name}: mqlake says so", checks.alarm_names, self.lake, topic)


def rows(lake: Lake) -> collections.Counter:
    found = (
        Row(
            row["topic"],
            row["broker"],
            int(row["queue_id"]),
            int(row["sequence"]),
            int(row["physical_offset"]),
            row["message_id"],
            int(row["store_time"]),
        )
        for row in lake.sql(ROWS)
    )
    return collections.Counter(row for row in found if not row.topic.startswith(checks.SYSTEM_TOPICS))


def at_brokers(pulled: clients.Lines) -> set[Row]:
    found = set()
    for each in pulled.of("message"):
        position = int(each["offsetMsgId"][-16:], 16)
        place = (each["topic"], each["broker"], each["queueId"], each["queueOffset"], position)
        found.add(Row(*place, each["msgId"], each["storeTime"]))
    return {row for row in found if not row.topic.startswith(checks.SYSTEM_TOPICS)}


def everything_there(lake: Lake, stored: set[Row], before: collections.Counter, topic: str = "") -> list[str]:
    """Exactly what the brokers have now and what mqlake had before, each once; of the topic or of all."""
    found, before = (
        {row: times for row, times in table.items() if topic in ("", row.topic)} for table in (rows(lake), before)
    )
    wrong = _counted("missing", stored - found.keys())
    wrong += _counted("no longer there", before.keys() - stored - found.keys())
    wrong += _counted("never seen at a broker", found.keys() - stored - before.keys())
    return wrong + _counted("more than once", {row for row, times in found.items() if times > 1})


def _counted(what: str, rows: set[Row]) -> list[str]:
    queues = collections.defaultdict(list)
    for row in rows:
        queues[row.topic, row.broker, row.queue].append(row.offset)
    return [
        f"{what}: {len(offsets)} of {place}, offsets {min(offsets)} to {max(offsets)}"
        for place, offsets in sorted(queues.items())
    ]


def lost_tail(stage: Stage, topic: str, while_it_runs: bool, away: str) -> None:
    """100 sent, the store copied, 60 more followed, the copy put back after `kill -9`, 400 sent before mqlake asks."""
    cluster, lake, broker = stage.cluster, stage.lake, stage.cluster.brokers[0]
    copy = cluster.folder / f"copy-{topic}"
    cluster.topic(topic, QUEUES)
    stage.send(topic, 100)
    stage.followed(topic, 100)
    if while_it_runs:
        cluster.copy_store(broker, copy)
    else:
        cluster.stop(broker)
        cluster.copy_store(broker, copy)
        cluster.start(broker)
    stage.send(topic, 60)
    before = stage.followed(topic, 160)
    leave(lake, away)
    cluster.kill(broker)
    cluster.put_back(broker, copy)
    cluster.start(broker)
    stage.send(topic, 400)
    come_back(lake, away)
    stage.compare(f"lost tail, mqlake {away}", topic, before, 500)


def remade_topic(stage: Stage, topic: str, away: str, more: bool) -> None:
    """Deleted and made anew at once, with fewer or more messages than before."""
    cluster, lake = stage.cluster, stage.lake
    cluster.topic(topic, QUEUES)
    stage.send(topic, 100)
    before = stage.followed(topic, 100)
    leave(lake, away)
    cluster.delete_topic(topic)
    cluster.topic(topic, QUEUES)
    count = 160 if more else 40
    stage.send(topic, count)
    come_back(lake, away)
    what = f"topic made anew with {'more' if more else 'fewer'}, mqlake {away}"
    stage.compare(what, topic, before, count)
    stage.send(topic, 100)
    stage.compare(f"{what}, and more", topic, before, count + 100)


def lost_store(stage: Stage, topic: str, away: str) -> None:
    """The broker comes back without anything, and gets more messages than it had."""
    cluster, lake, broker = stage.cluster, stage.lake, stage.cluster.brokers[0]
    cluster.topic(topic, QUEUES)
    stage.send(topic, 50)
    before = stage.followed(topic, 50)
    leave(lake, away)
    cluster.kill(broker)
    cluster.lose_store(broker)
    cluster.start(broker)
    cluster.topic(topic, QUEUES)
    if cluster.credentials:
        cluster.reader()
    stage.send(topic, 90)
    come_back(lake, away)
    stage.compare(f"lost store, mqlake {away}", topic, before, 90)


def leave(lake: Lake, away: str) -> None:
    match away:
        case "halted":
            lake.pause()
        case "stopped":
            lake.stop()
        case "killed":
            lake.kill()


def come_back(lake: Lake, away: str) -> None:
    match away:
        case "halted":
            lake.resume()
        case "stopped" | "killed":
            lake.start()


