"""Stores of the brokers, imported: the same rows as were followed, and both ways in turns over the same tables."""

import collections
import json
import pathlib
import shutil

import checks
from generations import Row, Stage, everything_there
from lake import Lake

TRACE_TOPIC = "RMQ_SYS_TRACE_TOPIC"
# bodies are kept in different measure, and hashes of lost keys are known from index files only
TABLES = {
    "message": "SELECT * FROM message WHERE system = 'rocketmq'",
    "message_key": "SELECT * FROM message_key WHERE system = 'rocketmq' AND key_kind <> 5",
    "trace": "SELECT *, carrier_subject AS subject FROM trace WHERE system = 'rocketmq'",
}


def import_all(stage: Stage, data: pathlib.Path | None) -> None:
    """Each broker's store, while the broker runs; into `data`, or the tables that were followed."""
    for broker in stage.cluster.brokers:
        store = str(stage.cluster.store(broker))
        stage.lake.run("import", "--system", "rocketmq", "--store", store, "--broker", broker, data=data)


def verify(stage: Stage, data: pathlib.Path | None) -> None:
    stage.lake.run("verify", data=data)


def same_rows(stage: Stage, gone: set[Row]) -> None:
    """Imported on their own, the stores give the rows that were followed, but for those of messages that are gone."""
    data = stage.cluster.folder / "imported"
    shutil.rmtree(data, ignore_errors=True)
    stage.report.once("importing the stores", import_all, stage, data)
    stage.report.once("verify of what was imported", verify, stage, data)
    for table, statement in TABLES.items():
        stage.report.within(f"followed and imported: {table}", _same, stage.lake, data, statement, gone)


def _same(lake: Lake, data: pathlib.Path, statement: str, gone: set[Row]) -> list[str]:
    places = {(row.topic, row.queue, row.offset, row.id) for row in gone}
    followed = _rows(lake.sql(statement), places)
    imported = _rows(json.loads(lake.run("sql", statement, "--format", "json", data=data)), set())
    wrong = [f"only followed: {row}" for row in (followed - imported).elements()]
    return wrong + [f"only imported: {row}" for row in (imported - followed).elements()]


def _rows(rows: list[dict], gone: set[tuple]) -> collections.Counter:
    """Of topics that are followed, as texts."""
    found = collections.Counter()
    for row in rows:
        place = (row["subject"], row.get("queue_id"), int(row.get("sequence", -1)), row.get("message_id"))
        system = row["subject"].startswith(checks.SYSTEM_TOPICS) and row["subject"] != TRACE_TOPIC
        if not system and place not in gone:
            found[json.dumps(row, sort_keys=True, ensure_ascii=False)] += 1
    return found


def in_turns(stage: Stage, topic: str) -> None:
    """Followed, then imported into the same tables, then followed again."""
    before = stage.rows()
    stage.lake.stop()
    stage.report.once("importing into what was followed", import_all, stage, None)
    stage.report.once("verify of both", verify, stage, None)
    stage.lake.start()
    stage.report.within("importing adds nothing to what was followed", _unchanged, stage, before)
    stage.cluster.topic(topic, 2)
    stage.send(topic, 20)
    stored = stage.stored()
    stage.report.within("following goes on behind the import", everything_there, stage.lake, stored, before)


def _unchanged(stage: Stage, before: collections.Counter) -> list[str]:
    after = stage.rows()
    return [
        f"{row} is there {after[row]} times, not {before[row]}"
        for row in after.keys() | before.keys()
        if after[row] != before[row]
    ]
