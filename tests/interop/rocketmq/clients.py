"""The Java clients as processes: a producer, a consumer and an oracle. They end when their standard input does."""

import json
import pathlib
import signal
import subprocess

from cluster import Cluster, die_with_parent, java, until

OPTIONS = ["-Xms32m", "-Xmx128m"]


class Client:
    """One JVM with `interop.Main`."""

    def __init__(self, cluster: Cluster, name: str, what: str, arguments: dict, answers=subprocess.DEVNULL):
        home = cluster.folder / name
        settings = {"name-server": cluster.name_server, **arguments}
        if cluster.credentials:
            settings["access-key"], settings["secret-key"] = cluster.credentials
        texts = [f"{key}={value}" for key, value in settings.items()]
        command = java(OPTIONS, cluster.class_path, home, "interop.Main", [what, *texts])
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
        if code := self.process.wait(timeout=60):
            raise RuntimeError(f"{self.name} ended with {code}, see {self.output}")


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
    return Client(cluster, f"producer-{run}", "produce", {"out": out.file, "run": run, "topic": topic, **more})


def consumer(cluster: Cluster, out: Lines, topics: list[str], groups: list[str]) -> Client:
    """Returns when all groups have started."""
    before = len(out.of("ready"))
    arguments = {"out": out.file, "topics": ",".join(topics), "groups": ",".join(groups)}
    client = Client(cluster, "consumer", "consume", arguments)
    try:
        until(30, "consumer", lambda: len(out.of("ready")) > before or client.process.poll() is not None)
    except BaseException:
        client.__exit__()
        raise
    return client


class Oracle(Client):
    """Answers questions with the Java client's own requests; see interop.Ask."""

    def __init__(self, cluster: Cluster):
        super().__init__(cluster, "oracle", "oracle", {}, answers=subprocess.PIPE)

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

    def pull(self, file: pathlib.Path) -> Lines:
        """Every message of every topic and queue, and every trace record."""
        file.unlink(missing_ok=True)
        self.ask("pull", out=str(file))
        return Lines(file)
