"""The Java clients as processes: a producer, a consumer and an oracle. They end when their standard input does."""

import json
import pathlib
import signal
import subprocess

from cluster import Cluster, die_with_parent, java, until

OPTIONS = ["-Xms32m", "-Xmx128m"]


class Client:
    """One JVM with `interop.Main` of the cluster's version, or another main class."""

    def __init__(self, cluster: Cluster, name: str, what: str, arguments: dict):
        main = ["interop.Main", [what, *_texts(cluster, arguments)]]
        self._start(name, java(OPTIONS, cluster.class_path, cluster.folder / name, *main), cluster.folder / name)

    def _start(self, name: str, command: list[str], home: pathlib.Path, answers=subprocess.DEVNULL) -> None:
        self.name, self.output = name, home / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=answers,
                stderr=output,
                text=True,
                preexec_fn=die_with_parent,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def finish(self) -> None:
        """Lets it end on its own: consumers commit, and the rest of the trace is sent."""
        self.process.stdin.close()
        self.wait()

    def wait(self) -> None:
        if code := self.process.wait(timeout=120):
            raise RuntimeError(f"{self.name} ended with {code}, see {self.output}")


def _texts(cluster: Cluster, arguments: dict) -> list[str]:
    settings = {"name-server": cluster.name_server, **arguments}
    if cluster.credentials:
        settings["access-key"], settings["secret-key"] = cluster.credentials
    return [f"{key}={value}" for key, value in settings.items()]


class Lines:
    """A file of JSON lines that another process appends to."""

    def __init__(self, file: pathlib.Path):
        self.file, self.lines, self._read = file, [], 0
        file.touch()

    def read(self) -> list[dict]:
        """All complete lines so far."""
        with self.file.open("rb") as stream:
            stream.seek(self._read)
            fresh = stream.read()
        complete = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(complete)
        self.lines += [json.loads(line) for line in complete.splitlines()]
        return self.lines

    def of(self, what: str) -> list[dict]:
        return [line for line in self.read() if line["what"] == what]


def producer(cluster: Cluster, out: Lines, run: str, topic: str, **more) -> Client:
    version = cluster.version
    settings = {"out": out.file, "run": run, "topic": topic, **more}
    settings |= {"timers": version.timers, "own-ids": version.own_ids_in_batches}
    return Client(cluster, f"producer-{run}", "produce", settings)


def consumer(cluster: Cluster, out: Lines, topics: list[str], groups: list[str]) -> Client:
    """Returns when all groups have started."""
    before = len(out.of("ready"))
    arguments = {"out": out.file, "topics": ",".join(topics), "groups": ",".join(groups)}
    client = Client(cluster, "consumer", "consume", arguments)
    try:
        until(90, "consumer", lambda: len(out.of("ready")) > before or client.process.poll() is not None)
    except BaseException:
        client.__exit__()
        raise
    return client


class Oracle(Client):
    """Answers questions with the Java client's own requests, of one version for all brokers; see interop.Ask."""

    def __init__(self, cluster: Cluster, class_path: str):
        home = cluster.folder / "oracle"
        command = java(OPTIONS, class_path, home, "interop.Oracle", _texts(cluster, {}))
        self.version = cluster.version
        self._start("oracle", command, home, answers=subprocess.PIPE)

    def ask(self, what: str, **arguments):
        self.process.stdin.write(json.dumps({"ask": what, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the oracle ended, see {self.output}")
        found = json.loads(answer)
        if isinstance(found, dict) and "error" in found:
            raise RuntimeError(f"oracle, {what} {arguments}: {found['error']}")
        return found

    def snapshot(self) -> dict:
        """Of each broker, all that a client can leave behind."""
        return self.ask("snapshot", producers=self.version.lists_producers)

    def pull(self, file: pathlib.Path) -> Lines:
        """Every message of every topic and queue, and every trace record."""
        file.unlink(missing_ok=True)
        self.ask("pull", out=str(file))
        return Lines(file)
