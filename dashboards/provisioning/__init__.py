"""What a Grafana must hold for a plant, compared with what one holds, and brought there through its HTTP API.

``wanted`` says what there must be, ``grafana`` alone talks to the server, ``push`` compares and writes.
"""
