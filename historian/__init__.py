"""Points at rest, the store in the middle of *registers -> samples -> messages -> points -> facts -> KPIs -> panels*.

``historian`` promises, ``schema`` names, ``records`` converts, ``overwrite`` keeps recomputed facts exact,
``embedded`` stores on SQLite, ``influx`` on an InfluxDB, ``connect`` opens by URL.
"""
