"""redraft: a Redis-protocol database that keeps every acknowledged write."""

__version__ = "0.1.0"
