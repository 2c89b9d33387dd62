"""Nasty requests for the event door: what people, proxies and attackers send; data only.

Each is (name, headers, body); `EVENT` and `BINARY` are good, so that one thing at a time is bad.
"""

import gzip
import json
from typing import Any

SCOPE: dict[str, Any] = {"project": "p", "stage": "s", "service": "svc"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "fuzz",
    "source": "fuzz",
    "type": "sh.keptn.event.test.triggered",
    "data": SCOPE,
}
JSON = {"content-type": "application/cloudevents+json"}
BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "fuzz",
    "ce-source": "fuzz",
    "ce-type": "sh.keptn.event.test.triggered",
}
GOOD = json.dumps(EVENT).encode()
DATA = json.dumps(SCOPE).encode()


def holding(text: str) -> bytes:
    """An event with this JSON text somewhere in its data."""
    return GOOD[:-2] + b', "odd": ' + text.encode() + b"}}"


def changed(**attributes: Any) -> bytes:
    """An event with other attributes."""
    return json.dumps({**EVENT, **attributes}).encode()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \r\n\t ",
    "a nul": b"\0",
    "only nuls": b"\0" * 4096,
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "utf-32": GOOD.decode().encode("utf-32"),
    "latin-1": changed(source="x").replace(b'"x"', b'"\xfc"'),
    "invalid utf-8 in a key": b'{"\xff\xfe": 1}',
    "overlong utf-8": b'{"id": "\xc0\xaf"}',
    "a utf-8 surrogate": b'{"id": "\xed\xa0\x80"}',
    "gzip": gzip.compress(GOOD),
    "xml": b"<event id='1'/>",
    "a form": b"id=1&source=x",
    "yaml": b"id: x\nsource: y\n",
    "a python literal": b"{'id': 'x'}",
    "a comment": b"/* x */" + GOOD,
    "a trailing comma": b'{"id": "x",}',
    "text after it": GOOD + b" trailing",
    "two documents": GOOD + GOOD,
    "half of it": GOOD[: len(GOOD) // 2],
    "an open string": b'{"id": "x',
    "a list": b"[" + GOOD + b"]",
    "an empty list": b"[]",
    "null": b"null",
    "true": b"true",
    "a number": b"1e400",
    "a text": b'"text"',
    "an empty object": b"{}",
    "nested lists": b"[" * 100_000,
    "closed nested lists": b"[" * 50_000 + b"]" * 50_000,
    "nested objects": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "data nested to the edge": holding("[" * 150 + "]" * 150),
    "data nested too deeply": holding("[" * 5000 + "]" * 5000),
    "NaN": holding("NaN"),
    "infinity": holding("-Infinity"),
    "a number beyond doubles": holding("1e999"),
    "a huge integer": holding("9" * 5000),
    "a large integer": holding("9" * 400),
    "a negative zero": holding("-0.0"),
    "a long fraction": holding("0." + "1" * 5000),
    "a leading zero": holding("007"),
    "a lone surrogate": holding('"\\ud800"'),
    "a lone surrogate as a key": holding('{"\\udfff": 1}'),
    "an escaped nul": holding('"\\u0000"'),
    "a bad escape": holding('"\\x"'),
    "a raw newline in a text": holding('"a\nb"'),
    "a key twice": GOOD[:-1] + b', "id": "other"}',
    "many keys": holding("{" + ",".join(f'"k{n}": 1' for n in range(9999)) + "}"),
    "a prototype": holding('{"__proto__": {"x": 1}, "__class__": "x"}'),
    "a long text": holding('"' + "x" * 200_000 + '"'),
    "many labels": changed(data={**SCOPE, "labels": {str(n): "x" for n in range(5000)}}),
    "a nested label": changed(data={**SCOPE, "labels": {"a": {"b": ["c"]}}}),
    "an id of a lone surrogate": GOOD.replace(b'"fuzz"', b'"\\ud83d"', 1),
    "an id of a nul": changed(id="\0"),
    "an id like a path": changed(id="../../../../etc/passwd"),
    "an id like sql": changed(id="'; DROP TABLE runs; --"),
    "an id as a number": changed(id=5),
    "an id as a list": changed(id=["x"]),
    "an id of 100 kB": changed(id="x" * 100_000),
    "a type of dots": changed(type="." * 1000),
    "a type with newlines": changed(type="sh.keptn.event.a\nb.triggered"),
    "a type of blanks": changed(type="sh.keptn.event. .triggered"),
    "a project like a path": changed(data={**SCOPE, "project": "../../x?y#z"}),
    "a project with a nul": changed(data={**SCOPE, "project": "a\0b"}),
    "a stage that is a list": changed(data={**SCOPE, "stage": ["s"]}),
    "a time before time": changed(time="0000-00-00T00:00:00Z"),
    "a time far away": changed(time="9999-12-31T23:59:59.999999999Z"),
    "a time with an odd zone": changed(time="2023-05-17T08:21:44+99:99"),
    "a time in bc": changed(time="-2023-05-17T08:21:44Z"),
    "a context of odd type": changed(shkeptncontext={"a": 1}),
    "data as text": changed(data=json.dumps(SCOPE)),
    "data_base64": changed(data=None, data_base64="eyJ9"),
    "an unknown version": changed(specversion="99"),
}
"""Bodies in structured mode."""

HEADERS: dict[str, dict[str, str]] = {
    "no id": {**BINARY, "ce-id": ""},
    "an unknown version": {**BINARY, "ce-specversion": "2.0"},
    "an odd time": {**BINARY, "ce-time": "yesterday"},
    "a time far away": {**BINARY, "ce-time": "99999-01-01T00:00:00Z"},
    "a percent escape": {**BINARY, "ce-id": "%ff%00%zz"},
    "an escaped newline": {**BINARY, "ce-id": "a%0d%0aX-Injected: 1"},
    "latin-1": {**BINARY, "ce-source": "\xfc\xff"},
    "an odd extension": {**BINARY, "ce-odd_name": "x", "ce-": "y"},
    "an id of 30 kB": {**BINARY, "ce-id": "x" * 30_000},
    "a stray ce- header beside a structured body": {**JSON, "ce-id": "other", "ce-time": "x"},
    "a token that is no ascii": {**JSON, "x-token": "\xfc", "authorization": "\xfc"},
    "a gzip encoding": {**JSON, "content-encoding": "gzip"},
    "a charset that is none": {"content-type": "application/json; charset=klingon"},
    "a media type of slashes": {"content-type": "/" * 500 + "+json"},
    "a broken media type": {"content-type": '; ="+json'},
    "a batch": {"content-type": "application/cloudevents-batch+json"},
    "a forwarded host": {**JSON, "x-forwarded-host": "evil.example", "forwarded": "host=x"},
    "an expectation": {**JSON, "expect": "the-impossible"},
    "a range": {**JSON, "range": "bytes=0-1"},
    "another method": {**JSON, "x-http-method-override": "DELETE"},
    "an upgrade": {**JSON, "connection": "upgrade", "upgrade": "h2c"},
}
"""Headers beside a good body."""

RAW: dict[str, bytes] = {
    "a folded header": b"POST / HTTP/1.1\r\nhost: localhost\r\nx: a\r\n b\r\n\r\n",
    "a header without a colon": b"POST / HTTP/1.1\r\nhost localhost\r\n\r\n",
    "a header with a nul": b"POST / HTTP/1.1\r\nhost: local\0host\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n"
    b"content-length: 2\r\n\r\nxx",
    "a negative length": b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
    "a length that is none": b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
    "a bad chunk": b"POST / HTTP/1.1\r\nhost: localhost\r\n"
    b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "no host": b"POST / HTTP/1.0\r\n\r\n",
    "two hosts": b"POST / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n"
    b"content-length: 0\r\n\r\n",
    "a target that is a url": b"POST http://evil.example/ HTTP/1.1\r\nhost: evil.example\r\n"
    b"content-length: 0\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "an unknown version": b"POST / HTTP/9.9\r\nhost: localhost\r\n\r\n",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
"""Whole requests, byte by byte."""
