"""The protocol, pure: requests parsed (RESP arrays and inline), replies encoded (RESP2 and RESP3).

Here may not live: sockets, commands, sessions.
"""
