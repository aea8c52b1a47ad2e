"""Alert rules, messages and contact points of a plant as data, then as Grafana's provisioning files or API bodies.

``rules`` says when people are called, ``messages`` in which words, ``contacts`` by which way, ``render`` writes it all
down. Beside the panels on registers -> samples -> messages -> points -> facts -> KPIs -> panels. Pure.
"""
