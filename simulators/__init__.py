"""A factory in a process, with its own truth: stands in for the machines at the head of *registers -> samples*.

A seeded script in continuous time drives real Modbus servers; an oracle computes from the same script, with its own
code, what the other end of the flow must find.
"""
