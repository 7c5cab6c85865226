"""What differs between the versions of RocketMQ that the suite runs: settings, access control, what clients can do."""

import dataclasses

# one of them is enough for the oracle: the requests it sends are the same in all versions
ORACLE = "5.3.3"


@dataclasses.dataclass(frozen=True)
class Version:
    """One release of servers and client."""

    name: str
    # generation of access control: 1 is a file of the broker, 2 users and policies that requests make
    acl: int = 2
    # timer messages and their recall
    timers: bool = True
    # searches an offset by time exactly, and resets groups itself
    exact_times: bool = True
    # a message of a batch keeps its own id, not that of the batch
    own_ids_in_batches: bool = False
    # a message of a batch has the mark with which consumers trace it
    traces_batches: bool = True
    # says which producers are connected; 4.7.1 does not even refuse
    lists_producers: bool = True
    # dead-letter topics can be read
    readable_dead_letters: bool = True
    # of the broker, beside those of all versions
    settings: dict = dataclasses.field(default_factory=dict)
    # the servers read the set-up of their logs from a file, and end without it
    log_set_up: bool = False


# half messages and what ends them lie in topics of their own
ROCKSDB_TRANSACTIONS = {"transRocksDBEnable": "true", "transWriteOriginTransHalfEnable": "false"}
OLD = {"acl": 1, "timers": False, "exact_times": False, "log_set_up": True}
VERSIONS = {
    version.name: version
    for version in (
        Version("4.7.1", own_ids_in_batches=True, lists_producers=False, readable_dead_letters=False, **OLD),
        Version("4.9.7", **OLD),
        Version("5.2.0", acl=1, timers=True),
        Version("5.3.3"),
        Version("5.5.0", own_ids_in_batches=True, traces_batches=False, settings=ROCKSDB_TRANSACTIONS),
    )
}
