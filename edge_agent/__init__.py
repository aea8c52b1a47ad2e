"""The edge: *registers -> samples -> messages*, and a promise that nothing is lost between them.

It reads and never writes: no write function code is named here, and a test watches the wire for one.
"""
