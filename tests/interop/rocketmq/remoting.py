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

GET_BROKER_CLUSTER_INFO = 106
UPDATE_AND_CREATE_TOPIC = 17
UPDATE_AND_CREATE_GROUP = 200
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
    texts = {name: str(value) for name, value in (fields or {}).items()}
    if credentials:
        texts["AccessKey"] = credentials[0]
        texts["Signature"] = signature(texts, body, credentials[1])
    header = json.dumps(
        {
            "code": code,
            "language": "OTHER",
            "version": VERSION_5_3_3,
            "opaque": 1,
            "flag": 0,
            "serializeTypeCurrentRPC": "JSON",
            "extFields": texts,
        }
    ).encode()
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body)
        length, header_length = struct.unpack(">II", _read(connection, 8))
        answer = json.loads(_read(connection, header_length))
        content = _read(connection, length - 4 - header_length)
    if answer["code"] != 0:
        raise Refused(f"{address} answered request {code} with {answer['code']}: {answer.get('remark')}")
    return content


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
