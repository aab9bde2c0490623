"""Values and the contents of payloads: each made from the other."""

from __future__ import annotations

from redraft.rdb import contents
from redraft.rdb.contents import (
    Content,
    HashContent,
    ListContent,
    SetContent,
    SortedSetContent,
    StreamContent,
    StringContent,
)
from redraft.values.hash import Hash
from redraft.values.list import List
from redraft.values.pending import Pending
from redraft.values.set import Set
from redraft.values.sorted_set import SortedSet
from redraft.values.stream import Stream
from redraft.values.stream_groups import Group
from redraft.values.stream_node import NODE_MAX_ENTRIES, Node
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
            return SortedSetContent(list(value.walk(range(len(value)))), value.encoding() == b"listpack")
        case Stream():
            return _content_of_stream(value)
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
        case StreamContent():
            return _stream_of(content)


# Streams.


def _content_of_stream(stream: Stream) -> StreamContent:
    nodes = [
        contents.StreamNode(
            node.first, node.last, node.deleted, node.names, list(zip(node.ids, node.entries, strict=True))
        )
        for node in stream.nodes
    ]
    groups = [
        contents.StreamGroup(
            name,
            group.last_id,
            group.entries_read,
            {consumer: group.seen_ms[consumer] for consumer in group.consumers()},
            [contents.StreamPending(number, *group.pending[number]) for number in group.pending],
        )
        for name, group in sorted(stream.groups.items())
    ]
    return StreamContent(nodes, stream.last_id, stream.max_deleted_id, stream.entries_added, groups)


def _stream_of(content: StreamContent) -> Stream:
    stream = Stream()
    for node in content.nodes:
        stream.nodes += _nodes_of(node, stream.epoch)
    stream.size = sum([len(node.ids) for node in stream.nodes])
    stream.last_id, stream.max_deleted_id = content.last_id, content.max_deleted_id
    stream.entries_added = content.entries_added
    for told in content.groups:
        group = stream.groups[told.name] = Group(told.last_id, told.entries_read)
        group.seen_ms = told.seen_ms
        for pending in told.pending:
            group.assign(pending.number, Pending(pending.consumer, pending.delivered_ms, pending.deliveries))
    return stream


def _nodes_of(told: contents.StreamNode, epoch: object) -> list[Node]:
    """The node as it was; or several, if it comes from a server whose nodes may be larger than redraft's."""
    if len(told.entries) + told.deleted <= NODE_MAX_ENTRIES:
        node = Node(epoch, told.first, told.entries[0][1])
        node.last, node.deleted, node.names = told.last, told.deleted, told.names
        node.ids = [number for number, _ in told.entries]
        node.entries = [fields for _, fields in told.entries]
        node.size_bytes = told.size_bytes
        return [node]
    nodes: list[Node] = []
    for number, fields in told.entries:
        if nodes and len(nodes[-1].ids) < NODE_MAX_ENTRIES:
            nodes[-1].add(number, fields)
        else:
            nodes.append(Node(epoch, number, fields))
    return nodes
