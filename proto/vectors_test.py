#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The test vectors, judged by another implementation: python's msgpack and the rules of PROTOCOL.md, from schema.json.

Prints TAP. Usage: vectors_test.py [DIRECTORY]
"""

import json
import math
import pathlib
import re
import sys

import msgpack

DIRECTORY = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "vectors")
SCHEMA = json.loads((DIRECTORY / "schema.json").read_text())
NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
OLDEST = 1420070400000000


class Refused(Exception):
    """`code` refuses a message, `reason` and `key` an event."""

    def __init__(self, code, reason, key=""):
        super().__init__(code, reason, key)
        self.code, self.reason, self.key = code, reason, key


def malformed(key):
    return Refused("malformed", "malformed", key)


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def check_int(field, value):
    key = field["key"]
    if isinstance(value, float) and math.isfinite(value) and value == math.floor(value):
        value = int(value)
    if not is_int(value):
        raise malformed(key)
    if "min" in field and not field["min"] <= value <= field["max"]:
        if key == "v":
            raise Refused("unsupported", "range", key)
        raise Refused("range", "too_old" if field["min"] == OLDEST and value < OLDEST else "range", key)


def check_float(field, value):
    if value is None:
        return
    if not (is_int(value) or isinstance(value, float)) or value != value:
        raise malformed(field["key"])
    if math.isinf(value) or ("min" in field and not field["min"] <= value <= field["max"]):
        raise Refused("range", "range", field["key"])


def check_text(field, value):
    if not isinstance(value, str):
        raise malformed(field["key"])
    if not field["min"] <= len(value.encode()) <= field["max"]:
        raise Refused("range", "range", field["key"])
    if CONTROL.search(value):
        raise malformed(field["key"])


def check_name(field, value):
    if not isinstance(value, str):
        raise malformed(field["key"])
    parts = value.split("/")
    if not NAME.fullmatch(value) or len(value) > field["max"] or {".", ".."} & set(parts):
        raise Refused("malformed", "name", field["key"])


def check_word(field, value):
    if not isinstance(value, str):
        raise malformed(field["key"])
    if value not in SCHEMA["words"][field["words"]] or (field["required"] and value == ""):
        raise Refused("unsupported", "range", field["key"])


def check_list(field, value):
    if not isinstance(value, list):
        raise malformed(field["key"])
    if not field["min"] <= len(value) <= field["max"]:
        raise Refused("range", "range", field["key"])
    item = {"key": field["key"]}
    for one in value:
        if field["kind"] == "list":
            check_map(SCHEMA["messages"][field["of"]]["fields"], one)
        elif field["kind"] == "ints":
            check_int(item, one)
        elif field["kind"] == "floats":
            check_float(item, one)
        elif field["kind"] == "texts":
            check_text(dict(item, min=0, max=SCHEMA["limits"]["text_of_list"]), one)


def check_value(field, value):
    kind = field["kind"]
    if kind == "int":
        check_int(field, value)
    elif kind == "float":
        check_float(field, value)
    elif kind == "text":
        check_text(field, value)
    elif kind == "name":
        check_name(field, value)
    elif kind == "word":
        check_word(field, value)
    elif kind == "map":
        check_map(SCHEMA["messages"][field["of"]]["fields"], value)
    elif kind == "bool":
        if not isinstance(value, bool):
            raise malformed(field["key"])
    else:
        check_list(field, value)


def check_map(fields, value):
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise malformed("")
    for field in fields:
        here = value.get(field["key"])
        if field["key"] not in value:
            if field["required"]:
                raise Refused("malformed", "missing", field["key"])
        elif here is not None or field["required"]:
            check_value(field, here)


def check_event(event):
    if not isinstance(event, dict) or not all(isinstance(key, str) for key in event):
        raise malformed("")
    if "t" not in event:
        raise Refused("malformed", "missing", "t")
    if not isinstance(event["t"], str):
        raise malformed("t")
    if event["t"] not in SCHEMA["events"]:
        raise Refused("unsupported", "unknown_type", "t")
    check_map(SCHEMA["events"][event["t"]]["fields"], event)
    if event["t"] == "tally" and event["to"] <= event["from"]:
        raise Refused("range", "interval", "to")
    if event["t"] == "move":
        parent, new_parent = event.get("model"), event.get("to_model")
        if (parent is None) != (new_parent is None):
            raise Refused("malformed", "missing", "model" if parent is None else "to_model")
        if event["from"] == event["to"] and parent == new_parent:
            raise Refused("malformed", "self", "to")


def depth(value):
    if isinstance(value, dict):
        return 1 + max((max(depth(k), depth(v)) for k, v in value.items()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def decode(data):
    """The bytes as one value; whatever msgpack thinks wrong is `malformed`."""
    def no_ext(code, _data):
        raise ValueError(f"ext type {code}")
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=False, ext_hook=no_ext)
    except Exception as error:
        raise malformed("") from error
    if depth(value) > SCHEMA["limits"]["depth"]:
        raise malformed("")
    return value


def judge(type_name, data):
    """What the data is to an implementation: (message, None), (None, code), or (message, rejects)."""
    rejects = []
    try:
        value = decode(data)
        if type_name == "event":
            check_event(value)
            return value, None, rejects
        check_map(SCHEMA["messages"][type_name]["fields"], value)
    except Refused as refused:
        return None, refused.code, rejects
    for index, event in enumerate(value["events"] if type_name == "batch" else []):
        try:
            check_event(event)
        except Refused as refused:
            rejects.append({"index": index, "reason": refused.reason, "key": refused.key})
    return value, None, rejects


def same(a, b):
    """Equal, and of equal types: 7 is not 7.0 here."""
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def try_vector(path):
    expected = json.loads(path.read_text())
    data = path.with_suffix(".msgpack").read_bytes()
    value, code, rejects = judge(expected["type"], data)
    if code != expected.get("error"):
        return f"refused with {code}, not {expected.get('error')}"
    if rejects != expected.get("rejects", []):
        return f"rejects {rejects}, not {expected.get('rejects')}"
    if "message" in expected:
        if not same(value, expected["message"]):
            return "the value differs"
        if msgpack.packb(value, use_bin_type=True) != data:
            return "packed again it differs"
    return None


def main():
    paths = sorted(path for path in DIRECTORY.glob("*.json") if path.name != "schema.json")
    failed = 0
    print(f"1..{len(paths) + 1}")
    for number, path in enumerate(paths, 1):
        problem = try_vector(path)
        failed += problem is not None
        print(f"{'not ok' if problem else 'ok'} {number} - {path.stem}")
        if problem:
            print(f"# {problem}")
    covered = {json.loads(path.read_text())["type"] for path in paths if "message" in json.loads(path.read_text())}
    missing = set(SCHEMA["messages"]) - covered
    failed += bool(missing)
    print(f"{'not ok' if missing else 'ok'} {len(paths) + 1} - every message has a good vector")
    for name in sorted(missing):
        print(f"# {name} has none")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
