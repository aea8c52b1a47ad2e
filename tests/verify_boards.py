"""Days of the example plant through the wire into influxd, then every board on them: ``python -m tests.verify_boards``.

The last line is the JSON of ``shopfloor dashboards verify --json``, with the KPIs compared with the KPI API over HTTP.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from cli.main import main as shopfloor
from shopfloor.instant import format_instant
from tests.board_data import filled, fresh_url, kpi_api
from tests.influxd import InfluxDaemon
from tests.weeks_wire import ROOT


async def verified(folder: Path, days: int, scan_s: int) -> int:
    """Fill, ask, compare; the command's own exit code."""
    influx = InfluxDaemon(folder / "influxd").start()
    try:
        began = time.monotonic()
        data = await filled(folder, fresh_url(influx), days, scan_s)
        print(f"{days} days are stored, derived and published in {time.monotonic() - began:.0f} s", file=sys.stderr)
        async with kpi_api(data) as api:
            asked = ["dashboards", "verify", str(data.plant_file), "--url", data.url, "--api", api, "--json"]
            return await asyncio.to_thread(shopfloor, [*asked, "--now", format_instant(data.now)])
    finally:
        influx.stop()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--scan", type=int, default=10, metavar="SECONDS", help="of all devices")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="boards-") as folder:
        return asyncio.run(verified(Path(folder), arguments.days, arguments.scan))


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
