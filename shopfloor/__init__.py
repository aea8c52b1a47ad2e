"""The words every part speaks: equipment, tags, samples, quality, time, the plant model and the additive record.

Bottom floor of *registers -> samples -> messages -> points -> facts -> KPIs -> panels*: imports nothing of the others.
"""
