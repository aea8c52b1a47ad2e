"""Samples on the wire: topics, payloads, receipts, the MQTT client and the demo's broker. Both ends stand on it.

The second arrow of *registers -> samples -> messages -> points -> facts -> KPIs -> panels*.
"""
