"""The few remoting requests that preparing a cluster takes: JSON header, one connection a request.

It never sends a heart-beat, so that it leaves no group and no client behind.
"""

import base64
import hashlib
import hmac
import json
import re
import socket
import struct
import time

GET_BROKER_CLUSTER_INFO = 106
UPDATE_AND_CREATE_TOPIC = 17
SEND_MESSAGE_V2 = 310
UPDATE_AND_CREATE_GROUP = 200
DELETE_TOPIC_IN_BROKER = 215
DELETE_TOPIC_IN_NAME_SERVER = 216
CREATE_USER = 3001
CREATE_ACL = 3006

VERSION_5_3_3 = 479


class Refused(Exception):
    """The server answered with a code other than 0."""


def signature(fields: dict[str, str], body: bytes, secret_key: str) -> str:
    """The values in the order of their names, then the body: HMAC-SHA1, Base64."""
    content = "".join(fields[name] for name in sorted(fields)).encode() + body
    return base64.b64encode(hmac.new(secret_key.encode(), content, hashlib.sha1).digest()).decode()


def call(address: str, code: int, fields: dict | None = None, body: bytes = b"", credentials=None) -> bytes:
    """The body of the answer. `credentials` is (access key, secret key). Raises OSError or Refused."""
    with _connect(address, 5) as connection:
        connection.sendall(_request(code, 1, fields, body, credentials))
        return _answer(connection, address, code)[1]


def send(address: str, messages: list[tuple[dict, bytes]], credentials=None) -> list[dict]:
    """Sends all at once, each as (properties with `topic` and `queue`, body); the fields of the answers, as they come."""
    with _connect(address, 30) as connection:
        for number, (properties, body) in enumerate(messages):
            fields = _send_fields(properties)
            connection.sendall(_request(SEND_MESSAGE_V2, number, fields, body, credentials))
        return [_answer(connection, address, SEND_MESSAGE_V2)[0]["extFields"] for _ in messages]


def _send_fields(properties: dict) -> dict:
    """The one-letter names of version 2, in the order of the fields of a send."""
    kept = "".join(f"{key}\x01{value}\x02" for key, value in properties.items() if key.isupper())
    born = time.time_ns() // 1_000_000
    values = ("loss", properties["topic"], "TBW102", 4, properties["queue"], 0, born, 0, kept, 0, "false")
    return dict(zip("abcdefghijk", values))


def _connect(address: str, timeout: float) -> socket.socket:
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=timeout)


def _request(code: int, opaque: int, fields: dict | None, body: bytes, credentials) -> bytes:
    texts = {name: str(value) for name, value in (fields or {}).items()}
    if credentials:
        texts["AccessKey"] = credentials[0]
        texts["Signature"] = signature(texts, body, credentials[1])
    header = json.dumps(
        {
            "code": code,
            "language": "OTHER",
            "version": VERSION_5_3_3,
            "opaque": opaque,
            "flag": 0,
            "serializeTypeCurrentRPC": "JSON",
            "extFields": texts,
        }
    ).encode()
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


def _answer(connection: socket.socket, address: str, code: int) -> tuple[dict, bytes]:
    length, header_length = struct.unpack(">II", _read(connection, 8))
    answer = json.loads(_read(connection, header_length))
    content = _read(connection, length - 4 - header_length)
    if answer["code"] != 0:
        raise Refused(f"{address} answered request {code} with {answer['code']}: {answer.get('remark')}")
    return answer, content


def _read(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the server closed the connection")
        parts += part
    return bytes(parts)


def masters(name_server: str) -> dict[str, str]:
    """Broker name to the address of its master, as the name server knows them."""
    text = call(name_server, GET_BROKER_CLUSTER_INFO).decode()
    # keys that are numbers come unquoted
    table = json.loads(re.sub(r"([{,])(\d+):", r'\1"\2":', text)).get("brokerAddrTable", {})
    return {name: data["brokerAddrs"]["0"] for name, data in table.items() if "0" in data["brokerAddrs"]}
