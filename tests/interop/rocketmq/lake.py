"""mqlake as a process that follows a cluster, and its answers over HTTP."""

import datetime
import json
import pathlib
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import cluster as rocketmq

# where each stored message lies; a queue that was read twice shows more messages than places
PLACES = """
SELECT subject AS topic, broker_group AS broker, queue_id, count(*) AS messages,
       count(DISTINCT sequence) AS places, min(sequence) AS lowest, max(sequence) AS highest
FROM message
WHERE system = 'rocketmq'
GROUP BY subject, broker_group, queue_id
"""

SETTINGS = """
data = "{data}"

[http]
listen = "{listen}"

# often, so that a kill finds some rows committed and some not
[follow]
flush_every = "2s"

[[rocketmq]]
name = "{name}"
name_servers = ["{name_server}"]
topics = ["*"]
trace_topics = ["RMQ_SYS_TRACE_TOPIC"]
"""

CREDENTIALS = """access_key = "{}"
secret_key = "{}"
"""


class Lake:
    """`with Lake(...) as lake:` serves and has begun to follow."""

    def __init__(self, program: pathlib.Path, cluster: rocketmq.Cluster, credentials: tuple[str, str] | None = None):
        home = cluster.folder / "mqlake"
        home.mkdir()
        self.address = f"127.0.0.1:{rocketmq.free_port()}"
        settings = SETTINGS.format(
            data=home / "lake", listen=self.address, name=rocketmq.CLUSTER, name_server=cluster.name_server
        )
        if credentials:
            settings += CREDENTIALS.format(*credentials)
        file = home / "mqlake.toml"
        file.write_text(settings)
        self.command = [str(program), "serve", "--config", str(file)]
        self.output, self.process = home / "output", None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=rocketmq.die_with_parent,
            )
        rocketmq.until(30, f"mqlake ready, see {self.output}", self._ready)

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"mqlake ended with {self.process.returncode}, see {self.output}")
        try:
            urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As an operator does; ends with 0."""
        self._end(signal.SIGTERM)
        if self.process.returncode:
            raise RuntimeError(f"mqlake ended with {self.process.returncode}, see {self.output}")

    def _end(self, how: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)

    def get(self, path: str, **query) -> dict:
        texts = urllib.parse.urlencode({"system": "rocketmq", **query})
        return self._answer(urllib.request.Request(f"http://{self.address}{path}?{texts}"))

    def sql(self, statement: str) -> list[dict]:
        return self._answer(urllib.request.Request(f"http://{self.address}/api/sql", data=statement.encode()))

    @staticmethod
    def _answer(request: urllib.request.Request):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise RuntimeError(f"{request.full_url}: {error.code} {text}") from None

    def messages(self, **query) -> list[dict]:
        return self.get("/api/v1/messages", limit=1000, **query)["messages"]

    def traces(self, message_id: str) -> dict:
        return self.get("/api/v1/traces", id=message_id)

    def dead_letters(self, group: str) -> list[dict]:
        return self.get("/api/v1/dead-letters", group=group, limit=1000)["messages"]

    def offsets(self, topic: str, timestamp: int, boundary: str) -> list[dict]:
        return self.get("/api/v1/offsets", topic=topic, timestamp=timestamp, boundary=boundary)["offsets"]


def millis(time) -> int:
    """A time of an answer, as a number or as a text, in milliseconds since 1970."""
    if isinstance(time, str) and not time.isdigit():
        moment = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
        return round(moment.timestamp() * 1000)
    return int(time)
