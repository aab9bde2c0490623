"""Feature levels: what every version of redraft can do that runs in a cluster (design section 7).

A cluster is upgraded a node at a time, and meanwhile two versions execute one log. So what an older version would not
know (a command, another form of an entry, of a message between nodes or of a change of the config table) is given the
next level here, and is refused until the cluster is at that level. It rises by itself, once each node has announced a
version that knows the level (`cluster.table.Rise`), and never falls: from then on an older version is not admitted, and
one that is started again on its old directory stops and says why.

Level 1 is the first. Level 2 has introductions (`node.links`).
"""

FIRST = 1
INTRODUCTIONS = 2
NEWEST = 2
"""What this version knows."""
