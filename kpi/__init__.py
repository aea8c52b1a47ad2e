"""Samples to facts to KPIs: the pure part of *registers -> samples -> messages -> points -> facts -> KPIs -> panels*.

No IO and no clock: everything that a number depends on is an argument.
"""
