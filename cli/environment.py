"""Where a process keeps its files and which store it uses. Settings come from the environment.

SHOPFLOOR_MQTT_URL, _USERNAME, _PASSWORD   the broker (default mqtt://127.0.0.1)
SHOPFLOOR_MQTT_CA                          CA file for mqtts:// (default: the system's)
SHOPFLOOR_HISTORIAN                        embedded:///path (default: historian in the data folder), or
                                           http[s]://host:8086/DATABASE after 'shopfloor historian init'
SHOPFLOOR_HISTORIAN_TOKEN, _ORG            of an InfluxDB 2.x or 3.x; _USERNAME, _PASSWORD of a 1.x; _CA for https
SHOPFLOOR_DATA                             folder for outbox, dead letters, journal (default: data)
SHOPFLOOR_API_KEY                          needed by the API to answer anybody but this machine
SHOPFLOOR_HEALTH                           host:port of the health page and metrics of edge and ingest (default: none)
"""

import os
from pathlib import Path


def data_folder() -> Path:
    """Where this process keeps its files."""
    return Path(os.environ.get("SHOPFLOOR_DATA", "data"))
