"""Timing real engines: in this process, behind a server, over sweeps that survive interruption."""
