#!/usr/bin/env python3
"""In place of Kafka's own: asks the broker for the versions of its protocol, and fails where it does not answer."""

import socket
import struct
import sys

host, port = sys.argv[sys.argv.index("--bootstrap-server") + 1].split(":")
with socket.create_connection((host, int(port)), timeout=5) as broker:
    # ApiVersions, version 0, correlation id 1, no client id.
    broker.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
    _, correlation, error = struct.unpack(">iih", broker.recv(10, socket.MSG_WAITALL))
sys.exit((correlation, error) != (1, 0))
