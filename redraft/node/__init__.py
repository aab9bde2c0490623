"""A whole node above its sockets, sans-IO: sessions, routing, the tick, flushes.

The server floor (or the simulator) hands in bytes, time, persistence and finished background jobs, and takes out bytes
to send, Readies to persist and jobs to run. Here may not live: sockets, files, threads, clocks.
"""
