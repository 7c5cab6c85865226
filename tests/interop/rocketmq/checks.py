"""What mqlake answers, held against what the clients did and what the Java client reads from the brokers.

Each check gives the list of what is wrong, as texts; empty is good.
"""

import collections
import statistics
import threading
import time

import clients
from lake import PLACES, Lake, millis
from versions import Version

# of these kinds the place in the topic is known from the answer to the send; the others are parked first
SENT_TO_PLACE = {"normal", "ordered", "batch"}
CONTEXT_CODES = {"success": 0, "exception": 2, "null": 3, "later": 4}
SYSTEM_TOPICS = (
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_",
    "rmq_sys_",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    # 4.x notes there who asked for an offset that a queue does not have
    "OFFSET_MOVED_EVENT",
)
COMPRESSED = 1
# the part of a client id that the Java client's own sender of trace has in place of a process id
TRACE_SENDER = "@PID_CLIENT_INNER_TRACE_PRODUCER_"


def sends_found(lake: Lake, sends: list[dict], stored: list[dict]) -> list[str]:
    """Each sent message by its id and by its keys: the very copies of its topic that the brokers have."""
    by_id, by_key = collections.defaultdict(dict), collections.defaultdict(dict)
    for message in stored:
        by_id[message["topic"], message["msgId"]][message["offsetMsgId"]] = message
        for key in (message["keys"] or "").split():
            by_key[message["topic"], key][message["offsetMsgId"]] = message
    wrong, asked = [], set()
    for send in sends:
        topic = send["topic"]
        place = send.get("offsetMsgId") if send["kind"] in SENT_TO_PLACE else None
        if place and place not in by_id[topic, send["msgId"]]:
            wrong.append(f"the brokers themselves lost {send}")
        questions = [("id", send["msgId"], by_id), *(("key", key, by_key) for key in send["keys"].split())]
        for field, value, expected in questions:
            if (topic, field, value) in asked:
                continue
            asked.add((topic, field, value))
            found = lake.messages(topic=topic, **{field: value})
            wrong += _same_copies(f"{topic}, {field} {value}", topic, found, expected[topic, value])
    return wrong


def _same_copies(question: str, topic: str, found: list[dict], expected: dict[str, dict]) -> list[str]:
    wrong = []
    of_topic = [message for message in found if message["topic"] == topic]
    by_place = {message["offset_message_id"]: message for message in of_topic}
    if len(by_place) < len(of_topic):
        wrong.append(f"{question}: a copy is there twice")
    for place in expected.keys() - by_place.keys():
        wrong.append(f"{question}: missing {_where(expected[place])}")
    for place in by_place.keys() - expected.keys():
        wrong.append(f"{question}: more than the brokers have: {by_place[place]}")
    for place in by_place.keys() & expected.keys():
        wrong += [f"{question}: {fault}" for fault in _differences(by_place[place], expected[place])]
    return wrong


def _differences(found: dict, expected: dict) -> list[str]:
    pairs = {
        "broker": (found["broker"], expected["broker"]),
        "queue_id": (int(found["queue_id"]), expected["queueId"]),
        "queue_offset": (int(found["queue_offset"]), expected["queueOffset"]),
        "message_id": (found["message_id"], expected["msgId"]),
        "keys": (found["keys"], (expected["keys"] or "").split()),
        "tags": (found["tags"], expected["tags"]),
        "born_time": (millis(found["born_time"]), expected["bornTime"]),
        "store_time": (millis(found["store_time"]), expected["storeTime"]),
        "born_host": (_ip(found["born_host"]), _ip(expected["bornHost"])),
        "store_host": (found["store_host"], expected["storeHost"]),
        "reconsume_times": (int(found["reconsume_times"]), expected["reconsumeTimes"]),
    }
    if not expected["sysFlag"] & COMPRESSED:
        # the Java client tells the size after decompression only
        pairs["body_size"] = (int(found["body_size"]), expected["bodySize"])
    for name in ("run", "city"):
        pairs[name] = (found["properties"].get(name), expected["properties"].get(name))
    return [f"{name} is {a!r}, not {b!r}" for name, (a, b) in pairs.items() if a != b]


def _ip(host: str) -> str:
    return host.rsplit(":", 1)[0]


def _where(message: dict) -> str:
    return f"{message['broker']} queue {message['queueId']} offset {message['queueOffset']}"


def traces_found(lake: Lake, records: list[dict], known: list[dict]) -> list[str]:
    """Each record of the trace topic, under the id of its message; not of messages without more than `known`."""
    by_id, known_by_id = _by_message(records), _by_message(known)
    batches = {id for record in records for id in _single_ids(record) if len(_single_ids(record)) > 1}
    wrong = []
    for message_id, expected in by_id.items():
        if len(expected) == len(known_by_id.get(message_id, [])):
            continue
        answer = lake.traces(message_id)
        copies = {copy.get("own_id") for copy in answer["copies"]}
        if copies & batches and message_id not in batches:
            # asked by the id of a batch: the sends of its messages belong to the story, too
            answer["sends"] = []
        types = collections.Counter(record["type"] for record in expected)
        pairs = {
            "sends": (len(answer["sends"]), types["Pub"]),
            "transactions": (len(answer["transactions"]), types["EndTransaction"]),
            "recalls": (len(answer["recalls"]), types["Recall"]),
            "deliveries": (_request_ids(answer), _recorded_request_ids(expected)),
        }
        if message_id in batches:
            # consumers report the id of the whole batch
            del pairs["deliveries"]
        wrong += [f"trace of {message_id}: {name} {a}, not {b}" for name, (a, b) in pairs.items() if a != b]
    return wrong


def _single_ids(record: dict) -> list[str]:
    return record["msgId"].split(",") if record["type"] == "Pub" else [record["msgId"]]


def _by_message(records: list[dict]) -> dict[str, list[dict]]:
    by_id = collections.defaultdict(list)
    for record in records:
        for message_id in _single_ids(record):
            by_id[message_id].append(record)
    return by_id


def _request_ids(answer: dict) -> list[str]:
    return sorted(each["request_id"] for group in answer["consumers"] for each in group["deliveries"])


def _recorded_request_ids(records: list[dict]) -> list[str]:
    """Of one message; a batch can have several records of one request and id."""
    ends = [record["requestId"] for record in records if record["type"] == "SubAfter"]
    begun = [record["requestId"] for record in records if record["type"] == "SubBefore"]
    return sorted(begun + list((collections.Counter(ends) - collections.Counter(begun)).elements()))


def deliveries_found(lake: Lake, version: Version, deliveries: list[dict]) -> list[str]:
    """Each delivery that is traced, with its result, as the consumers had it. Only where no trace was lost on the way."""
    by_id = collections.defaultdict(collections.Counter)
    for each in deliveries:
        if not version.traces_batches and each["tags"] == "batch":
            continue
        success = each["result"] == "success"
        code = CONTEXT_CODES[each["result"]]
        by_id[each["msgId"]][each["group"], each["reconsumeTimes"], success, code] += 1
    wrong = []
    for message_id, expected in by_id.items():
        found = collections.Counter(
            (group["group"], each["retry_times"], each["success"], each["context_code"])
            for group in lake.traces(message_id)["consumers"]
            for each in group["deliveries"]
        )
        if found != expected:
            wrong.append(f"deliveries of {message_id}: {dict(found)}, not {dict(expected)}")
    return wrong


def dead_letters_found(lake: Lake, group: str, stored: list[dict]) -> list[str]:
    expected = {m["offsetMsgId"]: m for m in stored if m["topic"] == f"%DLQ%{group}"}
    found = collections.Counter(message["offset_message_id"] for message in lake.dead_letters(group))
    wrong = [f"dead letter missing: {_where(expected[place])}" for place in expected.keys() - found.keys()]
    wrong += [f"dead letter that no broker has: {place}" for place in found.keys() - expected.keys()]
    wrong += [f"dead letter twice: {place}" for place, times in found.items() if times > 1]
    return wrong


def offsets_agree(lake: Lake, oracle: clients.Oracle, topic: str, stored: list[dict]) -> list[str]:
    """The first and last message around some times: stored ones, their neighbours, before all and after all."""
    times = sorted(message["storeTime"] for message in stored if message["topic"] == topic)
    chosen = {times[0], times[len(times) // 2], times[-1]}
    asked = sorted({time + step for time in chosen for step in (-1, 0, 1)} | {times[0] - 60_000, times[-1] + 60_000})
    wrong = []
    for timestamp in asked:
        for boundary in ("lower", "upper"):
            found = _offsets(lake.offsets(topic, timestamp, boundary), "queue_id")
            expected = _offsets(oracle.ask("offsets", topic=topic, timestamp=timestamp, boundary=boundary), "queueId")
            wrong += _other_offsets(f"{topic} at {timestamp}, {boundary}", found, expected)
    return wrong


def reset_agrees(lake: Lake, oracle: clients.Oracle, topic: str, group: str, timestamp: int) -> list[str]:
    """Where a reset by RocketMQ's own tools leads is what mqlake foretells."""
    foretold = _offsets(lake.offsets(topic, timestamp, "lower"), "queue_id")
    done = _offsets(oracle.ask("reset", topic=topic, group=group, timestamp=timestamp), "queueId")
    return _other_offsets(f"reset of {topic} to {timestamp}", foretold, done)


def own_reset_agrees(lake: Lake, oracle: clients.Oracle, topic: str, group: str, timestamp: int) -> list[str]:
    """A reset by mqlake leads where it foretold, and the brokers keep that."""
    question = f"reset of {topic} to {timestamp} by mqlake"
    foretold = _offsets(lake.offsets(topic, timestamp, "lower"), "queue_id")
    order = {"topic": topic, "group": group, "timestamp": timestamp, "force": True}
    queues = lake.post("/api/v1/backtrack/reset", order)["queues"]
    wrong = [f"{question}: {queue}" for queue in queues if queue.get("after") is None]
    after = {f"{queue['broker']} {queue['queue_id']}": queue.get("after") for queue in queues}
    wrong += _other_offsets(f"{question}, as answered", after, foretold)
    kept = _offsets(oracle.ask("committed", topic=topic, group=group), "queueId")
    return wrong + _other_offsets(f"{question}, as the brokers keep it", kept, foretold)


def _other_offsets(question: str, found: dict[str, int], expected: dict[str, int]) -> list[str]:
    queues = [queue for queue in sorted(found.keys() | expected.keys()) if found.get(queue) != expected.get(queue)]
    return [f"{question}, {queue}: {found.get(queue)}, not {expected.get(queue)}" for queue in queues]


def _offsets(rows: list[dict], queue: str) -> dict[str, int]:
    return {f"{row['broker']} {row[queue]}": int(row["offset"]) for row in sorted(rows, key=str)}


def long_enough(lake: Lake, stored: list[dict]) -> list[str]:
    """Each queue of a topic of clients has at least as many messages as the brokers had when they were asked."""
    stored = [message for message in stored if not message["topic"].startswith(SYSTEM_TOPICS)]
    expected = collections.Counter((message["topic"], message["broker"], message["queueId"]) for message in stored)
    found = {(row["topic"], row["broker"], int(row["queue_id"])): int(row["messages"]) for row in lake.sql(PLACES)}
    return [
        f"{place}: {found.get(place, 0)} messages, the broker has {count}"
        for place, count in expected.items()
        if found.get(place, 0) < count
    ]


def counts_agree(lake: Lake, stored: list[dict]) -> list[str]:
    """As many messages in each queue as the brokers have, from the first to the last, none twice.

    Topics of the system need not be there, but if they are they must be whole.
    """
    expected = collections.defaultdict(list)
    for message in stored:
        expected[message["topic"], message["broker"], message["queueId"]].append(message["queueOffset"])
    wrong, seen = [], set()
    for row in lake.sql(PLACES):
        place = (row["topic"], row["broker"], int(row["queue_id"]))
        seen.add(place)
        offsets = expected.get(place, [])
        found = tuple(int(row[name]) for name in ("messages", "places", "lowest", "highest"))
        right = (len(offsets), len(offsets), min(offsets, default=None), max(offsets, default=None))
        if found != right:
            wrong.append(f"{place}: messages, places, lowest, highest are {found}, not {right}")
    for place in expected.keys() - seen:
        if not place[0].startswith(SYSTEM_TOPICS):
            wrong.append(f"{place}: no row, but the broker has {len(expected[place])}")
    return wrong


def nothing_left(before: dict, after: dict, topics: list[str], groups: list[str]) -> list[str]:
    """Two snapshots of the brokers: nothing new beyond what clients with these topics and groups leave."""
    allowed_topics = {*topics, *(f"%RETRY%{group}" for group in groups), *(f"%DLQ%{group}" for group in groups)}
    wrong = []
    for broker, now in after.items():
        old = before[broker]
        for group in now["groups"].keys() - old["groups"].keys() - set(groups):
            wrong.append(f"{broker} has a new group {group}")
        for topic in now["topics"].keys() - old["topics"].keys() - allowed_topics:
            if not topic.startswith(SYSTEM_TOPICS):
                wrong.append(f"{broker} has a new topic {topic}")
        for name in now["offsets"].keys() - old["offsets"].keys():
            group = name.split("@")[1]
            if group not in groups and not group.startswith("CID_RMQ_SYS_"):
                wrong.append(f"{broker} has a new committed offset {name}")
        for side in ("consumers", "producers"):
            if now[side]:
                wrong.append(f"{broker} has {side} online: {now[side]}")
    return wrong


def only_ours_online(snapshot: dict, pids: list[int]) -> list[str]:
    """Clients of these processes, and no other, are known to the brokers."""
    # 4.7.1 ends its ids with the process id
    known = [TRACE_SENDER, *(f"@{pid}{end}" for pid in pids for end in "# ")]
    return [
        f"{broker} has {side} of {group} online: {client}"
        for broker, now in snapshot.items()
        for side in ("consumers", "producers")
        for group, ids in now[side].items()
        for client in ids
        if not any(part in f"{client} " for part in known)
    ]


def differences(before: dict, after: dict) -> list[str]:
    """Two snapshots that must be the same, but for what the brokers do for themselves."""
    wrong = []
    for broker in before.keys() | after.keys():
        for name in before[broker]:
            old, new = _of_clients(before[broker][name]), _of_clients(after[broker][name])
            wrong += [
                f"{broker}, {name}, {key}: {old.get(key)} became {new.get(key)}"
                for key in sorted(old.keys() | new.keys())
                if old.get(key) != new.get(key)
            ]
    return wrong


def _of_clients(table: dict) -> dict:
    return {k: v for k, v in table.items() if "@CID_RMQ_SYS_" not in k and not k.startswith(SYSTEM_TOPICS)}


def says_rejected(lake: Lake, credentials: tuple[str, str]) -> list[str]:
    """Not ready, with the reason, and the log has it."""
    status, text = lake.readiness()
    wrong = [] if status == 503 else [f"/readyz is {status}: {text}"]
    name, secret = credentials
    log = lake.output.read_text(errors="replace")
    answers = {"/readyz": text, "the log": log}
    wrong += [f"{where} does not name {name}: {told[-300:]}" for where, told in answers.items() if name not in told]
    return wrong + [f"{where} shows the secret" for where, told in answers.items() if secret in told]


def is_ready(lake: Lake) -> list[str]:
    status, text = lake.readiness()
    return [] if status == 200 else [f"/readyz is {status}: {text}"]


def alarm_names(lake: Lake, text: str) -> list[str]:
    alarms = [alarm for source in lake.sources() for alarm in source["alarms"].values()]
    return [] if any(text in alarm for alarm in alarms) else [f"no alarm names {text}: {alarms}"]


class Freshness:
    """Polls for messages as they are sent: how long after its store time is one found? In a thread of its own."""

    def __init__(self, lake: Lake, sends: clients.Lines):
        self.lake, self.sends, self.delays, self.failures = lake, clients.Lines(sends.file), [], []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            measured = None
            while not self._end.is_set():
                # on a busy machine the client gives a first send up before the broker has taken it
                taken = [send for send in self.sends.of("send") if send.get("status") != "failed"]
                sends = [send for send in taken if send["kind"] == "normal"]
                # only one that has just been sent, since the wait for our turn does not count
                if sends and sends[-1] is not measured:
                    measured = sends[-1]
                    self._measure(measured)
                    # a few dozen tell as much as all, and leave the machine to those who are measured
                    self._end.wait(0.5)
                else:
                    time.sleep(0.005)
        except Exception as error:  # reported with the rest
            self.failures.append(f"while looking for messages as they came: {error}")

    def _measure(self, send: dict) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = self.lake.messages(topic=send["topic"], id=send["msgId"])
            if found:
                self.delays.append(time.time() * 1000 - millis(found[0]["store_time"]))
                return
            time.sleep(0.02)
        self.failures.append(f"not found within 20 s: {send}")

    def summary(self) -> str:
        if not self.delays:
            return "no message was seen"
        return (
            f"found after {statistics.median(self.delays):.0f} ms (median), {max(self.delays):.0f} ms (maximum) "
            f"of {len(self.delays)} messages"
        )
