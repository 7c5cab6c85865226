"""A real RocketMQ cluster on loopback: a name server and brokers in one folder, with ports of their own.

Whatever was started is killed on `close`, and by the kernel should this process die without it.
"""

import ctypes
import fcntl
import json
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import remoting
import versions

CLUSTER = "DefaultCluster"
SUPER_USER = ("rocketmq", "12345678")
# with the rights that a follower needs, and no more
READER = ("history", "reader-secret")
READER_RIGHTS = {"Topic:*": ["Sub", "Get"], "Group:TOOLS_CONSUMER": ["Sub"]}

# loaded here, not between fork and exec
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1

# what 4.x uses of the JVM to open selectors and to unmap files
OPENED = ["java.nio", "sun.nio.ch", "jdk.internal.ref"]
NAME_SERVER_OPTIONS = ["-Xms32m", "-Xmx128m"]
BROKER_OPTIONS = [
    "-Xms128m",
    "-Xmx256m",
    "-XX:MaxDirectMemorySize=256m",
    # a full disk of the machine must not stop the brokers
    "-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
    "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98",
]

# Small files, so that they roll; quick timers and checks, so that nobody waits.
BROKER_SETTINGS = {
    "brokerClusterName": CLUSTER,
    "brokerId": 0,
    "brokerRole": "ASYNC_MASTER",
    "flushDiskType": "ASYNC_FLUSH",
    "brokerIP1": "127.0.0.1",
    "bindAddress": "127.0.0.1",
    "mappedFileSizeCommitLog": 1048576,
    "maxMessageSize": 262144,
    "mappedFileSizeConsumeQueue": 20000,
    "maxHashSlotNum": 2000,
    "maxIndexNum": 6000,
    "timerWheelEnable": "true",
    "timerPrecisionMs": 100,
    "recallMessageEnable": "true",
    "diskMaxUsedSpaceRatio": 95,
    "fileReservedTime": 72,
    "autoCreateTopicEnable": "true",
    "autoCreateSubscriptionGroup": "true",
    "traceTopicEnable": "true",
    "defaultTopicQueueNums": 2,
    "enablePropertyFilter": "true",
    "messageIndexEnable": "true",
    "flushConsumerOffsetInterval": 1000,
    "brokerFastFailureEnable": "false",
    "transactionTimeOut": 3000,
    "transactionCheckInterval": 3000,
    # a change of a topic registers the whole broker, see `_hasten`
    "enableSingleTopicRegister": "false",
}

# without which servers of 4.x end at once
LOG_SET_UP = """<configuration>
  <appender name="FILE" class="ch.qos.logback.core.FileAppender">
    <file>{file}</file>
    <encoder><pattern>%d %level %logger{{0}} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="FILE"/></root>
</configuration>
"""

ACL_FILE = """accounts:
  - accessKey: {}
    secretKey: "{}"
    admin: true
  - accessKey: {}
    secretKey: "{}"
    admin: false
    defaultTopicPerm: SUB
    defaultGroupPerm: SUB
"""

_AUTH = "org.apache.rocketmq.auth"
ACL_SETTINGS = {"aclEnable": "true"}
ACL_2_SETTINGS = {
    "authenticationEnabled": "true",
    "authenticationProvider": f"{_AUTH}.authentication.provider.DefaultAuthenticationProvider",
    "authenticationMetadataProvider": f"{_AUTH}.authentication.provider.LocalAuthenticationMetadataProvider",
    "initAuthenticationUser": json.dumps(dict(zip(("username", "password"), SUPER_USER))),
    "innerClientAuthenticationCredentials": json.dumps(dict(zip(("accessKey", "secretKey"), SUPER_USER))),
    "authorizationEnabled": "true",
    "authorizationProvider": f"{_AUTH}.authorization.provider.DefaultAuthorizationProvider",
    "authorizationMetadataProvider": f"{_AUTH}.authorization.provider.LocalAuthorizationMetadataProvider",
}


def java(options: list[str], class_path: str, home: pathlib.Path, main: str, arguments: list[str]) -> list[str]:
    """The command of a JVM that starts quickly, stays small and writes its logs below `home`."""
    home.mkdir(parents=True, exist_ok=True)
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    opened.append("--add-exports=java.base/sun.nio.ch=ALL-UNNAMED")
    common = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Drocketmq.home.dir={home}", f"-Duser.home={home}"]
    return ["java", *opened, *common, *options, "-cp", class_path, main, *arguments]


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel kills the new process when the thread that starts it ends, where it can."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_loopback() -> None:
    """In a network of its own, where it is down at first and has no address with which old clients would be content."""
    if sys.platform != "linux":
        return
    get_flags, set_flags, set_address, up = 0x8913, 0x8914, 0x8916, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, get_flags, request))[1]
        if flags & up:
            return
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", flags | up))
        second = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("10.255.255.1"))
        fcntl.ioctl(any_socket, set_address, second)


def free_port(also: tuple[int, ...] = ()) -> int:
    """A port P of loopback that nobody uses, P + each of `also` neither, below the range of outgoing connections."""
    free_port.last = getattr(free_port, "last", 20000 + time.time_ns() // 1000 % 10000)
    while True:
        free_port.last += 7
        if all(_free(free_port.last + step) for step in (0, *also)):
            return free_port.last


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def until(seconds: float, what: str, answer):
    """Calls `answer` until it gives something true, and returns that."""
    end = time.monotonic() + seconds
    while not (found := answer()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return found


class Server:
    """One JVM: a name server or a broker."""

    def __init__(self, name: str, command: list[str], output: pathlib.Path):
        self.name, self.command, self.output, self.process = name, command, output, None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self, how: signal.Signals) -> None:
        if self.running():
            self.process.send_signal(how)
            self.process.wait(timeout=90)


class Cluster:
    """`with Cluster(...) as cluster:` has all brokers registered."""

    def __init__(
        self,
        folder: pathlib.Path,
        class_path: str,
        brokers: list[str],
        version: versions.Version = versions.VERSIONS[versions.ORACLE],
        acl: bool = False,
    ):
        self.folder, self.class_path, self.version = folder.resolve(), class_path, version
        self.credentials = SUPER_USER if acl else None
        port = free_port()
        self.name_server = f"127.0.0.1:{port}"
        self.servers: dict[str, Server] = {"name server": self._name_server(port)}
        # listenPort - 2 is a port of the broker, too
        self.brokers, self.ports = brokers, {name: free_port(also=(-2, 2)) for name in brokers}
        for name, port in self.ports.items():
            self.servers[name] = self._broker(name, port)

    def _name_server(self, port: int) -> Server:
        home = self.folder / "name-server"
        settings = self._settings("name-server", {"listenPort": port, "bindAddress": "127.0.0.1"})
        main = "org.apache.rocketmq.namesrv.NamesrvStartup"
        command = java(NAME_SERVER_OPTIONS, self.class_path, home, main, ["-c", settings])
        return Server("name server", command, home / "output")

    def _broker(self, name: str, port: int) -> Server:
        home = self.folder / name
        own = {
            "brokerName": name,
            "namesrvAddr": self.name_server,
            "listenPort": port,
            "haListenPort": port + 2,
            "storePathRootDir": self.store(name),
            "storePathCommitLog": self.store(name) / "commitlog",
        }
        if self.credentials:
            own |= ACL_SETTINGS if self.version.acl == 1 else ACL_2_SETTINGS
        settings = self._settings(name, {**BROKER_SETTINGS, **own, **self.version.settings})
        main = "org.apache.rocketmq.broker.BrokerStartup"
        command = java(BROKER_OPTIONS, self.class_path, home, main, ["-c", settings, "-n", self.name_server])
        return Server(name, command, home / "output")

    def _settings(self, name: str, values: dict) -> str:
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        file = home / "settings"
        file.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        if self.version.log_set_up:
            self._log_set_up(home)
        if self.credentials and self.version.acl == 1:
            (home / "conf" / "acl").mkdir(parents=True, exist_ok=True)
            (home / "conf" / "plain_acl.yml").write_text(ACL_FILE.format(*SUPER_USER, *READER))
        return str(file)

    @staticmethod
    def _log_set_up(home: pathlib.Path) -> None:
        (home / "conf").mkdir(exist_ok=True)
        for server in ("namesrv", "broker"):
            (home / "conf" / f"logback_{server}.xml").write_text(LOG_SET_UP.format(file=home / "server.log"))

    def __enter__(self):
        try:
            self.servers["name server"].start()
            until(120, "name server", lambda: self._registered([]))
            for name in self.brokers:
                self.servers[name].start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Kills all; what they stored is of no use any more."""
        for server in self.servers.values():
            server.end(signal.SIGKILL)

    def _registered(self, names: list[str]) -> bool:
        dead = [server for server in self.servers.values() if server.process and not server.running()]
        if dead:
            raise RuntimeError(f"{dead[0].name} ended, see {dead[0].output}")
        try:
            missing = set(names) - set(remoting.masters(self.name_server))
        except OSError:
            return False
        for name in missing:
            self._hasten(name)
        return not missing

    def _hasten(self, broker: str) -> None:
        """A broker that has booted may register as late as 10 s after; it does so at once when a topic is made."""
        try:
            fields = topic("ready", 1)
            remoting.call(self.address(broker), remoting.UPDATE_AND_CREATE_TOPIC, fields, b"", self.credentials)
        except (OSError, remoting.Refused):
            pass  # it has not booted yet

    def wait_ready(self) -> None:
        until(180, "brokers registered", lambda: self._registered(self.brokers))

    def stop(self, broker: str) -> None:
        self.servers[broker].end(signal.SIGTERM)

    def kill(self, broker: str) -> None:
        self.servers[broker].end(signal.SIGKILL)

    def start(self, broker: str) -> None:
        """Starts a broker that was stopped or killed, on the same store and ports."""
        # the name server forgets a killed broker late, so ask the broker itself
        self.servers[broker].start()
        until(180, f"{broker} registered", lambda: self._registered([broker]) and _accepts(self.address(broker)))

    def address(self, broker: str) -> str:
        return f"127.0.0.1:{self.ports[broker]}"

    def _on_all(self, code: int, fields: dict | None = None, body: dict | None = None) -> None:
        content = json.dumps(body).encode() if body else b""
        for address in remoting.masters(self.name_server).values():
            remoting.call(address, code, fields, content, self.credentials)

    def topic(self, name: str, queues: int) -> None:
        """Makes a topic on every broker, or gives it more queues."""
        self._on_all(remoting.UPDATE_AND_CREATE_TOPIC, topic(name, queues))

    def group(self, name: str) -> None:
        self._on_all(remoting.UPDATE_AND_CREATE_GROUP, body={"groupName": name})

    def reader(self) -> None:
        """Makes the normal user `READER` on every broker, where its own file does not do that."""
        if self.version.acl == 1:
            return
        name, password = READER
        user = {"username": name, "password": password, "userType": "Normal"}
        self._on_all(remoting.CREATE_USER, {"username": name}, user)
        entries = [
            {"resource": resource, "actions": actions, "sourceIps": [], "decision": "Allow"}
            for resource, actions in READER_RIGHTS.items()
        ]
        subject = f"User:{name}"
        policies = [{"policyType": "Custom", "entries": entries}]
        self._on_all(remoting.CREATE_ACL, {"subject": subject}, {"subject": subject, "policies": policies})

    def delete_topic(self, name: str) -> None:
        """At the brokers first, as the tools of RocketMQ do it."""
        self._on_all(remoting.DELETE_TOPIC_IN_BROKER, {"topic": name})
        remoting.call(self.name_server, remoting.DELETE_TOPIC_IN_NAME_SERVER, {"topic": name}, b"", self.credentials)

    def store(self, broker: str) -> pathlib.Path:
        return self.folder / broker / "store"

    def copy_store(self, broker: str, to: pathlib.Path) -> None:
        """As it is, while the broker runs or not."""
        shutil.rmtree(to, ignore_errors=True)
        # most of it is holes
        subprocess.run(["cp", "-a", "--sparse=always", self.store(broker), to], check=True)

    def put_back(self, broker: str, copy: pathlib.Path) -> None:
        """In place of the store of a broker that was killed."""
        self.lose_store(broker)
        copy.rename(self.store(broker))

    def lose_store(self, broker: str) -> None:
        shutil.rmtree(self.store(broker))


def topic(name: str, queues: int) -> dict:
    """The fields of UPDATE_AND_CREATE_TOPIC."""
    return {
        "topic": name,
        "defaultTopic": "TBW102",
        "readQueueNums": queues,
        "writeQueueNums": queues,
        "perm": 6,
        "topicFilterType": "SINGLE_TAG",
        "topicSysFlag": 0,
        "order": "false",
    }


def _accepts(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
