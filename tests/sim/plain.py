"""Any object as JSON, with all that it holds: to look into a node by hand.

An object is {"is": its class, attribute: …}. It is shown where the way to it is shortest, and elsewhere it is told
where that is. What says nothing about a node's state is only named: functions, sources of chance, tables that never
change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from random import Random
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import msgspec
from sortedcontainers import SortedList

from redraft.commands.table import Command, CommandTable

ATOMS = (type(None), bool, int, float, str, bytes, bytearray, Enum)
NAMED_ONLY = (Random, FunctionType, MethodType, BuiltinFunctionType, ModuleType, type, Command, CommandTable, Exception)
ELSEWHERE = ("sim.cluster", "sim.events", "sim.machine", "sim.wires", "sim.disk")
"""Modules of the simulator whose objects a node's callbacks lead to: not of the node."""


def plain(root: Any, name: str = "") -> Any:
    """An object as what `json.dumps` takes; its own name is what the ways begin with."""
    places = {id(root): name}
    kept = []
    queue = deque([(root, name)])
    while queue:
        value, place = queue.popleft()
        kept.append(value)  # so that no other object gets its id
        for step, _, child in _children(value):
            if _is_single(child):
                if id(child) in places:
                    continue
                places[id(child)] = place + step
            queue.append((child, place + step))
    return _shown(root, name, places)


def _shown(value: Any, place: str, places: dict[int, str]) -> Any:
    kind = type(value).__name__
    if isinstance(value, ATOMS):
        return _atom(value)
    if _is_only_named(value):
        return f"<{getattr(value, '__qualname__', kind)}>"
    if _is_single(value) and places[id(value)] != place:
        return f"<{kind}: see {places[id(value)]}>"
    children = list(_children(value))
    if isinstance(value, Mapping) or hasattr(value, "_fields"):
        return {name: _shown(child, place + step, places) for step, name, child in children}
    if isinstance(value, (Sequence, Set, SortedList)):
        return [_shown(child, place + step, places) for step, _, child in children]
    return {"is": kind, **{name: _shown(child, place + step, places) for step, name, child in children}}


def _atom(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    return value.decode("utf-8", "backslashreplace") if isinstance(value, (bytes, bytearray)) else value


def _is_only_named(value: Any) -> bool:
    return isinstance(value, NAMED_ONLY) or type(value).__module__ in ELSEWHERE


def _is_single(value: Any) -> bool:
    """Whether it is one thing, which may be referred to from several places, and not merely a value."""
    if isinstance(value, (*ATOMS, tuple, frozenset)) or _is_only_named(value):
        return False
    return not (isinstance(value, msgspec.Struct) and value.__struct_config__.frozen)


def _children(value: Any) -> Iterator[tuple[str, str, Any]]:
    """What it holds: the step to it, its name and itself."""
    if isinstance(value, ATOMS) or _is_only_named(value):
        return
    if isinstance(value, Mapping):
        for key, child in value.items():
            name = str(_atom(key)) if isinstance(key, ATOMS) else str(key)
            yield f"[{name}]", name, child
    elif isinstance(value, (Sequence, Set, SortedList)) and not hasattr(value, "_fields"):
        for position, child in enumerate(value):
            yield f"[{position}]", str(position), child
    else:
        for name in _attributes(value):
            yield f".{name}", name, getattr(value, name)


def _attributes(value: Any) -> list[str]:
    if hasattr(value, "_fields"):
        return list(value._fields)
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    if is_dataclass(value):
        return [field.name for field in fields(value)]
    slots = [getattr(cls, "__slots__", ()) for cls in type(value).__mro__]
    names = [name for each in slots for name in ([each] if isinstance(each, str) else each)]
    names += vars(value) if hasattr(value, "__dict__") else []
    return [name for name in dict.fromkeys(names) if not name.startswith("__") and hasattr(value, name)]
