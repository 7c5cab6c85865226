"""Reads mqlake's tables with DuckDB (glob) and delta-rs (Delta log) and compares them with mqlake's SQL."""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys

import duckdb
from deltalake import DeltaTable

SAMPLE = pathlib.Path("tests/data/qmq-week-a")
TABLES = ["message", "dead_message", "record", "content", "unresolved_ack"]


def unpack(group: str, to: pathlib.Path) -> None:
    for packed in (SAMPLE / group).glob("*log/*.seg.gz"):
        folder = to / group / packed.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / packed.name.removesuffix(".seg.gz")).write_bytes(gzip.decompress(packed.read_bytes()))


def main(program: str, work: pathlib.Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    data = work / "data"
    environment = {**os.environ, "MQLAKE_DATA": str(data)}
    for group in ["bg1", "bg2"]:
        unpack(group, work / "store")
        command = [program, "import", "--store", str(work / "store" / group), "--broker-group", group]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    def sql(statement: str) -> list[dict]:
        command = [program, "sql", statement, "--format", "json"]
        return json.loads(subprocess.run(command, check=True, env=environment, capture_output=True).stdout)

    passed = 0
    for table in TABLES:
        own = sql(f"SELECT count(*) AS n FROM {table}")[0]["n"]
        # every day of the sample is long closed: all files are settled
        glob = duckdb.sql(f"SELECT count(*) FROM read_parquet('{data}/{table}/dt=*/*.parquet')").fetchall()[0][0]
        delta = DeltaTable(str(data / table)).to_pyarrow_table()
        assert own == glob == delta.num_rows, (table, own, glob, delta.num_rows)
        assert "dt" in delta.column_names
        passed += 1

    question = (
        "SELECT subject, min(sequence) AS first, max(sequence) AS last, count(*) AS n, "
        "count(DISTINCT message_id) AS ids FROM {} WHERE kind = 0 GROUP BY subject ORDER BY subject"
    )
    own = [tuple(row.values()) for row in sql(question.format("message"))]
    duck = duckdb.sql(question.format(f"read_parquet('{data}/message/dt=*/*.parquet', hive_partitioning=true)"))
    assert own == duck.fetchall(), "DuckDB disagrees"
    passed += 1

    types = dict(
        (row[0], row[1])
        for row in duckdb.sql(f"DESCRIBE SELECT * FROM read_parquet('{data}/message/dt=*/*.parquet')").fetchall()
    )
    assert types["create_time"] == "TIMESTAMP WITH TIME ZONE", types
    assert types["subject"] == "VARCHAR" and types["tags"] == "VARCHAR[]", types
    passed += 1
    print(f"{passed} passed, 0 failed")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
