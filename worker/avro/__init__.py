"""Bytes to columns and back. Pure: no I/O, no clock; only numpy and fastavro in memory."""
