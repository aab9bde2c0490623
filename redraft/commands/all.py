"""Every family of data commands: importing this module declares them in `commands.table.TABLE`."""

from __future__ import annotations

from redraft.commands import (
    bitfields,
    bits,
    blocking,
    counters,
    dump,
    expiry,
    geo,
    hashes,
    hyperloglog,
    internal,
    keys,
    lcs,
    lists,
    objects,
    sets,
    sort,
    sorted_set_algebra,
    sorted_set_pops,
    sorted_set_ranges,
    sorted_sets,
    stream_groups,
    stream_info,
    streams,
    strings,
)
from redraft.commands.table import TABLE

FAMILIES = (
    bitfields,
    bits,
    blocking,
    counters,
    dump,
    expiry,
    geo,
    hashes,
    hyperloglog,
    internal,
    keys,
    lcs,
    lists,
    objects,
    sets,
    sort,
    sorted_set_algebra,
    sorted_set_pops,
    sorted_set_ranges,
    sorted_sets,
    stream_groups,
    stream_info,
    streams,
    strings,
)

__all__ = ["FAMILIES", "TABLE"]
