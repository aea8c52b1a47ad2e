"""The ``shopfloor`` command: composition of all stages; imported by nobody."""
