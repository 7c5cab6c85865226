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

[admin]
enabled = true

# commits often, so that a kill finds some rows committed and some not; pauses so short that nobody waits for them
[follow]
flush_every = "2s"
retry_max = "3s"

[[rocketmq]]
name = "{name}"
name_servers = ["{name_server}"]
topics = ["*"]
trace_topics = ["RMQ_SYS_TRACE_TOPIC"]
discover_every = "3s"
"""

CREDENTIALS = """access_key = "{}"
secret_key = "{}"
"""


class Lake:
    """`with Lake(...) as lake:` serves and has begun to follow, unless it is not waited for."""

    def __init__(
        self,
        program: pathlib.Path,
        cluster: rocketmq.Cluster,
        credentials: tuple[str, str] | None = None,
        name: str = "mqlake",
        waits: bool = True,
    ):
        home = cluster.folder / name
        home.mkdir()
        self.address = f"127.0.0.1:{rocketmq.free_port()}"
        settings = SETTINGS.format(
            data=home / "lake", listen=self.address, name=rocketmq.CLUSTER, name_server=cluster.name_server
        )
        if credentials:
            settings += CREDENTIALS.format(*credentials)
        file = home / "mqlake.toml"
        file.write_text(settings)
        self.waits = waits
        self.program, self.settings = str(program), str(file)
        self.output, self.process = home / "output", None

    def __enter__(self):
        try:
            self.start() if self.waits else self.begin()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self) -> None:
        """Returns when it is ready."""
        self.begin()
        rocketmq.until(90, f"mqlake ready, see {self.output}", self.is_ready)

    def begin(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [self.program, "serve", "--config", self.settings],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=rocketmq.die_with_parent,
            )

    def is_ready(self) -> bool:
        return self.readiness()[0] == 200

    def readiness(self) -> tuple[int, str]:
        """Status and text of /readyz; 0 while nobody answers."""
        if self.process.poll() is not None:
            raise RuntimeError(f"mqlake ended with {self.process.returncode}, see {self.output}")
        try:
            with urllib.request.urlopen(f"http://{self.address}/readyz", timeout=2) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As an operator does; ends with 0."""
        self._end(signal.SIGTERM)
        if self.process.returncode:
            raise RuntimeError(f"mqlake ended with {self.process.returncode}, see {self.output}")

    def pause(self) -> None:
        """Nothing is read or written until `resume`; connections stay open as far as others keep them."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def run(self, *arguments: str, data: pathlib.Path | None = None) -> str:
        """What a command of the program prints, by default over the own tables; raises if it fails."""
        where = ["--data", str(data)] if data else ["--config", self.settings]
        command = [self.program, *where, *arguments]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr[-600:]} {done.stdout[-600:]}")
        return done.stdout

    def _end(self, how: signal.Signals) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)

    def get(self, path: str, **query) -> dict:
        system = {"system": "rocketmq"} if path.startswith("/api/v1/") else {}
        texts = urllib.parse.urlencode({**system, **query})
        return self._answer(urllib.request.Request(f"http://{self.address}{path}?{texts}"))

    def sql(self, statement: str) -> list[dict]:
        return self._answer(urllib.request.Request(f"http://{self.address}/api/sql", data=statement.encode()))

    def post(self, path: str, body: dict) -> dict:
        headers = {"Content-Type": "application/json"}
        content = json.dumps({"system": "rocketmq", **body}).encode()
        return self._answer(urllib.request.Request(f"http://{self.address}{path}", content, headers))

    @staticmethod
    def _answer(request: urllib.request.Request):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise RuntimeError(f"{request.full_url}: {error.code} {text}") from None

    def sources(self) -> list[dict]:
        """Of each broker: state, problem, gaps, alarms."""
        return self.get("/api/status")["sources"]

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
