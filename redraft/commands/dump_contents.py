"""Values and the contents of payloads: each made from the other."""

from __future__ import annotations

from redraft.rdb.contents import Content, HashContent, ListContent, SetContent, SortedSetContent, StringContent
from redraft.values.hash import Hash
from redraft.values.list import List
from redraft.values.set import Set
from redraft.values.sorted_set import SortedSet
from redraft.values.value import AnyValue


def content_of(value: AnyValue) -> Content:
    """What a value says. It is read at once, and not to be kept while the value changes."""
    match value:
        case bytes() | bytearray():
            return StringContent(bytes(value))
        case List():
            return ListContent(list(value))
        case Set():
            return SetContent(value.members, value.encoding() == b"intset")
        case Hash():
            return HashContent(value.members, value.values, value.encoding() == b"listpack")
        case SortedSet():
            return SortedSetContent(list(value.order), value.encoding() == b"listpack")
        case _:
            raise TypeError(f"a {value.type_name.decode()} has no contents")


def value_of(content: Content) -> AnyValue:
    """The value that says the same. The contents' lists are the value's from now on."""
    match content:
        case StringContent(data):
            return data
        case ListContent(elements):
            return List(elements)
        case SetContent(members):
            return Set(members)
        case HashContent(fields, values):
            return Hash(fields, values)
        case SortedSetContent(pairs):
            return SortedSet([(score + 0.0, member) for score, member in pairs])
