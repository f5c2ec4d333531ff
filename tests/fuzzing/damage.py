"""Hypothesis strategies that damage intact files or make them hostile."""

import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st

NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    31,
    64,
    127,
    128,
    255,
    256,
    2**15,
    2**16 - 1,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
"""Hostile values for the fields of a header."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 31, 64, 2**31, 2**63, 2**64, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e308, 1e400, -1e400),
    *(float("nan"), "", "x", "1", "nan", "-1", "1e9", " 7\n", "a\nb", "\0", "\ud800", "../../../etc/passwd", "/etc"),
    *("lite", "|O", "<f8", "<M8[s]", "x" * 10_000, "9" * 5000, [], {}, [0], [-1], [1, 1], [2**40, 2**40], [[[]]]),
    *([None] * 9, {"": None}, {"id": "pickle"}, {"name": "sharding_indexed"}),
)
"""Hostile values for JSON."""


class Field(NamedTuple):
    """A number in a header: its position, its length in bytes, and the byte order."""

    offset: int
    size: int
    order: str = "little"


class Seed(NamedTuple):
    """An intact file with the fields of its header."""

    data: bytes
    fields: tuple[Field, ...] = ()


@st.composite
def damaged(draw: st.DrawFn, seed: Seed, most: int = 4) -> bytes:
    """Draw a damaged file: fields replaced; bytes changed, cut, repeated or inserted."""
    data = bytearray(seed.data)
    for _ in range(draw(st.integers(1, most))):
        kinds = ["byte", "number", "cut", "drop", "insert", "double"]
        kind = draw(st.sampled_from((["field"] * 8 if seed.fields else []) + kinds))
        if kind == "field":
            field = draw(st.sampled_from(seed.fields))
            data[field.offset : field.offset + field.size] = _number(draw, field.size, field.order)
            continue
        at = _place(draw, len(data))
        length = draw(st.integers(1, 64))
        if kind == "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "number":
            size = draw(st.sampled_from((2, 4, 8)))
            data[at : at + size] = _number(draw, size, draw(st.sampled_from(("little", "big"))))
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=64))
        else:
            data[at:at] = data[at : at + length]
    return bytes(data)


def _place(draw: st.DrawFn, length: int) -> int:
    """Draw a position, more often among the first or the last bytes, where headers are."""
    head = st.integers(0, min(length, 512))
    return draw(st.one_of(head, st.integers(max(0, length - 512), length), st.integers(0, length)))


def _number(draw: st.DrawFn, size: int, order: Any) -> bytes:
    number = draw(st.one_of(st.sampled_from(NUMBERS), st.integers(0, 256**size - 1)))
    return (number % 256**size).to_bytes(size, order)


def paths(document: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON document."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(document, dict):
        items = document.items()
    elif isinstance(document, list):
        items = enumerate(document)
    for key, value in items:
        yield (*before, key)
        yield from paths(value, (*before, key))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
"""Like Hypothesis's own, but that takes it a second to find out which characters UTF-8 has."""


@st.composite
def hostile_json(draw: st.DrawFn, document: Any, most: int = 3) -> str:
    """Draw a JSON document with values replaced, removed, added or deeply nested."""
    made = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, most))):
        found = list(paths(made))
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        place = made
        for key in way:
            place = place[key]
        kind = draw(st.sampled_from(("replace",) * 6 + ("near", "near", "remove", "add")))
        value = deepcopy(draw(st.sampled_from(VALUES)))
        old = place[last]
        if kind == "near" and isinstance(old, int | float):
            with suppress(OverflowError):  # half of an integer that is larger than any float
                place[last] = old * draw(st.sampled_from((-1, 0.5, 2, 3, 1000, 10**6)))
        elif kind == "remove":
            del place[last]
        elif kind == "add" and isinstance(place, dict):
            place[draw(_TEXT)] = value
        else:
            place[last] = value
    text = json.dumps(made)
    if draw(st.integers(0, 40)) == 0:
        text = text.replace("null", "[" * 100_000 + "]" * 100_000) if "null" in text else "[" * 100_000
    return text


def png_repaired(data: bytes) -> bytes:
    """Return a PNG with corrected checksums, so that damage gets past them."""
    made, at = bytearray(data), 8
    while at + 12 <= len(made):
        length = int.from_bytes(made[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(made)
