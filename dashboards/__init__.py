"""Grafana as code: boards, alert rules and their provisioning, generated from the plant file.

The last arrow of registers -> samples -> messages -> points -> facts -> KPIs -> panels. ``board`` holds what a board is
made of, ``queries`` what it asks, ``panels`` how an answer looks, ``boards`` one file per board, ``render`` the JSON.
Nothing here stores or computes a KPI: queries are built from the formulas that the KPI API uses.
"""
