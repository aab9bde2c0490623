"""Consensus, pure: no socket, file, thread or clock; the same state and input give the same output."""
