"""The only floor with sockets, threads and trio: it drives the node's ticks and puts the whole together (`app`)."""
