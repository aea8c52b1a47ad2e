"""How fast samples come from the broker into an InfluxDB, beside posting the same lines, and beside Telegraf.

``python -m tests.bench_ingest [ours|direct|telegraf] [--samples 1 10] [--seconds N]``: mosquitto, influxd, one
``shopfloor ingest`` process with its facts engine. A peer's binary comes by SHOPFLOOR_BENCH_TELEGRAF. Exit 1 when a
limit is missed.
"""

import argparse
import asyncio
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from historian.connect import connect
from historian.influx_access import InfluxAccess
from historian.influx_setup import FOREVER, set_up
from historian.point import Point, Query
from historian.records import sample_point
from historian.schema import Measurement
from messaging.access import BrokerAccess
from messaging.client import MqttClient
from messaging.mosquitto import find as find_mosquitto
from messaging.mosquitto_files import Listener, configuration
from messaging.payload import SampleMessage, Sequenced, encode
from messaging.receipt import decode_receipt
from messaging.topic import SampleTopic, receipt_topic
from shopfloor.clock import SystemClock, Trust
from shopfloor.sample import Sample
from tests.influxd import InfluxDaemon

ROOT = Path(__file__).parent.parent
UNITS: Final = 50
TAGS: Final = 20
AGENT: Final = "edge-bench"
OUTBOX: Final = "5f0cbe"
LIMITS: Final = {1: 50_000, 10: 150_000}
"""Samples in a message -> values a second that ingest must reach."""
DIRECT_RATIO: Final = 0.25
PATIENCE_S: Final = 120
WINDOW: Final = 8_000
"""Messages that are unconfirmed at a time, as of 250 agents."""
IN_FLIGHT: Final = 20_000
"""Messages that the broker sends unacknowledged; the same for both consumers."""

PLANT: Final = """\
enterprise: bench
products:
  disc: {{name: {{en: Disc, id: Cakram}}}}
calendars:
  always: {{shifts: {{one: "00:00-12:00", two: "12:00-00:00"}}}}
sites:
  - id: works
    timezone: Asia/Jakarta
    calendar: always
    areas:
      - id: hall
        work_centers:
          - id: line-1
            work_units:
{units}
agents:
  {agent}: {{units: ["works/*"]}}
"""
UNIT: Final = """\
              - id: u-{n:02}
                device: {{template: cnc-generic, connection: "modbus-tcp://192.0.2.{host}:502", scan: {scan}}}
                states: {{0: no_order, 1: running, 2: unplanned_stop, 3: setup}}
                product: disc
                planned_run_time_s: {{disc: 10}}
"""
TELEGRAF: Final = """\
[agent]
  interval = "10s"
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  flush_interval = "1s"
  flush_jitter = "0s"
  precision = "1ms"
  omit_hostname = true
  skip_processors_after_aggregators = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://127.0.0.1:{broker}"]
  topics = ["v1/+/+/+/+/+/samples/+"]
  topic_tag = ""
  qos = 1
  persistent_session = true
  client_id = "telegraf-peer"
  max_undelivered_messages = 20000
  name_override = "samples"
  data_format = "json"
  json_query = "samples"
  json_time_key = "t"
  json_time_format = "unix_ms"
  json_strict = true
  [[inputs.mqtt_consumer.topic_parsing]]
    topic = "v1/+/+/+/+/+/samples/+"
    tags = "_/enterprise/site/area/work_center/work_unit/_/agent"
[[outputs.influxdb]]
  urls = ["http://127.0.0.1:{influx}"]
  database = "telegraf"
  timeout = "10s"
  content_encoding = "{encoding}"
"""


def write_plant(folder: Path, scan: str = "1s") -> Path:
    """A plant of UNITS machines under one agent."""
    units = "".join(UNIT.format(n=n, host=n + 1, scan=scan) for n in range(UNITS))
    file = folder / "plant.yaml"
    file.write_text(PLANT.format(units=units.rstrip(), agent=AGENT), "utf-8")
    return file


def values(tick: int, unit: int) -> dict[str, int | float]:
    """TAGS values of one machine and second, as a real one would give them."""
    running = (tick + unit * 37) % 600 < 540
    return {
        "state": 1 if running else 2,
        "good": tick // 10,
        "scrap": tick // 500,
        "energy_kwh": round(5_000 + tick * 0.0031, 3),
        "power_kw": round(9 + 3 * math.sin(tick / 40 + unit), 2) if running else 1.5,
        **{f"x_axis_{n:02}": round(20 + n + 5 * math.sin(tick / 90 + n), 2) for n in range(TAGS - 5)},
    }


def messages(count: int, each: int) -> list[tuple[str, bytes]]:
    """Topic and payload of ``count`` messages of ``each`` samples, the machines in turn, a second apart."""
    plant_topics = [f"works/hall/line-1/u-{unit:02}" for unit in range(UNITS)]
    start = SystemClock().now() - (count * each // UNITS + 3_600) * 1_000
    made = []
    for number in range(count):
        unit, first = number % UNITS, number // UNITS * each
        samples = [
            Sequenced(
                number * each + index + 1,
                Sample(
                    unit=plant_topics[unit],
                    time=start + (first + index) * 1_000,
                    values=values(first + index, unit),
                ),
            )
            for index in range(each)
        ]
        message = SampleMessage(
            agent=AGENT,
            outbox=OUTBOX,
            boot="b7e1",
            clock=Trust.SYNCED,
            mono_ms=number,
            low=1,
            oldest_t=start,
            samples=tuple(samples),
        )
        made.append((f"v1/bench/{plant_topics[unit]}/samples/{AGENT}", encode(message)))
    return made


# ---------------------------------------------------------------- a sender that costs next to nothing


class Sender:
    """Publishes ready-made QoS 1 packets over a bare socket as fast as the broker takes them, in a thread.

    With ``window`` so many of them are unconfirmed at most, as an agent's credit window has it.
    """

    def __init__(self, port: int, made: list[tuple[str, bytes]], window: int | None = None) -> None:
        self._port = port
        self._window = window or len(made)
        self.confirmed = 0
        self._packets = [_publish(topic, payload, number % 65_535 + 1) for number, (topic, payload) in enumerate(made)]
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(_connect("bench-sender"))
            connection.recv(4)
            acks = threading.Thread(target=_count_acks, args=(connection, len(self._packets)))
            acks.start()
            for first in range(0, len(self._packets), 50):
                while first - self.confirmed > self._window:
                    time.sleep(0.005)
                connection.sendall(b"".join(self._packets[first : first + 50]))
            acks.join()


def _count_acks(connection: socket.socket, count: int) -> None:
    left = count * 4
    while left > 0 and (got := connection.recv(65_536)):
        left -= len(got)


def _connect(name: str) -> bytes:
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2, "big") + name.encode()
    return b"\x10" + _length(len(body)) + body


def _publish(topic: str, payload: bytes, mid: int) -> bytes:
    head = len(topic).to_bytes(2, "big") + topic.encode() + mid.to_bytes(2, "big")
    return b"\x32" + _length(len(head) + len(payload)) + head + payload


def _length(number: int) -> bytes:
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


# ---------------------------------------------------------------- servers


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """mosquitto with the plants' limits, but open to everybody on loopback and with room for the whole run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = configuration([Listener("bench", port)], user="root", users=folder / "none", acl=folder / "none")
    kept = [
        line
        for line in text.splitlines()
        if not line.startswith(("allow_anonymous", "password_file", "acl_file", "max_queued", "max_inflight_messages"))
    ]
    more = ["allow_anonymous true", "max_queued_messages 10000000", f"max_inflight_messages {IN_FLIGHT}"]
    (folder / "mosquitto.conf").write_text("\n".join([*kept, *more]) + "\n")
    executable = find_mosquitto()
    assert executable is not None, "mosquitto is not installed"
    log = (folder / "mosquitto.log").open("wb")
    process = subprocess.Popen([executable, "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
    try:
        until(lambda: _listens(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def started(command: list[str], log: Path, environment: Mapping[str, str] = os.environ) -> "subprocess.Popen[bytes]":
    """A child whose words go into a file."""
    with log.open("wb") as words:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=words, stderr=words)


def usage(pid: int) -> str:
    """What a process has used: processor seconds and the most memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return f"{sum(map(int, ticks)) / os.sysconf('SC_CLK_TCK'):.1f} s of processor, {peak_kb / 1024:.0f} MB"


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do; raises RuntimeError when it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("waited too long")
        time.sleep(0.05)


# ---------------------------------------------------------------- the three ways


async def ours(folder: Path, port: int, influx: InfluxDaemon, made: list[tuple[str, bytes]], each: int) -> float:
    """Seconds from the first message sent to the last one confirmed by the ingest service."""
    plant = write_plant(folder)
    url = influx.url("bench")
    for _ in set_up(InfluxAccess.of(url), FOREVER):
        pass
    environment = os.environ | {
        "SHOPFLOOR_MQTT_URL": f"mqtt://127.0.0.1:{port}",
        "SHOPFLOOR_HISTORIAN": url,
        "SHOPFLOOR_DATA": str(folder),
    }
    command = [sys.executable, "-m", "cli.main", "--verbose", "ingest", str(plant)]
    profile = os.environ.get("SHOPFLOOR_BENCH_PROFILE")
    if profile:
        command = [sys.executable, "-m", "cProfile", "-o", profile, *command[1:]]
    process = started(command, folder / "ingest.log", environment)
    try:
        until(lambda: b"serving" in (folder / "ingest.log").read_bytes().partition(b"ready to serve")[2])
        access = BrokerAccess(f"mqtt://127.0.0.1:{port}")
        async with MqttClient(access, AGENT, subscriptions=[receipt_topic(AGENT)]) as client:
            await client.wait_connected(10)
            sender = Sender(port, made, WINDOW)
            began = time.monotonic()
            sender.start()
            last = len(made) * each
            try:
                async with asyncio.timeout(PATIENCE_S):
                    async for delivery in client.deliveries():
                        delivery.ack()
                        receipt = decode_receipt(delivery.message.payload)
                        sender.confirmed = receipt.upto // each
                        if receipt.upto >= last:
                            break
            except TimeoutError:
                raise RuntimeError(f"{str(receipt)[:200]}, {(folder / 'ingest.log').read_text()[-2000:]}") from None
            spent = time.monotonic() - began
            sender.join()
    finally:
        told = usage(process.pid)
        process.terminate()
        process.wait()
    print(f"  ingest: {told}; influxd: {usage(influx.pid)}; {spent:.1f} s", flush=True)
    stored = connect(url).count(Query(Measurement.SAMPLES))
    if stored != last:
        raise RuntimeError(f"{stored} samples are stored, {last} were sent")
    return spent


def direct(influx: InfluxDaemon, made: list[tuple[str, bytes]], each: int) -> float:
    """Seconds to post the same samples as ready-made lines, 5,000 in a request, one after the other."""
    import urllib3

    from historian.line_batches import batches, sound
    from messaging.payload import decode

    access = InfluxAccess.of(influx.url("direct"))
    for _ in set_up(access, FOREVER):
        pass
    points: list[Point] = []
    for topic, payload in made:
        points += [
            sample_point("bench", one.sample) for one in decode(SampleTopic.parse(topic), payload).message.samples
        ]
    found = sound(points)
    bodies = [
        b"\n".join([line.text for line in lines]) for _, lines in batches(points, found.heads, found.rejected.keys())
    ]
    pool = urllib3.PoolManager()
    began = time.monotonic()
    for body in bodies:
        answer = pool.request("POST", f"{influx.address}/write?db=direct&rp=raw&precision=ns", body=body)
        assert answer.status == 204, answer.data
    return time.monotonic() - began


def telegraf(
    folder: Path, binary: str, port: int, influx: InfluxDaemon, made: list[tuple[str, bytes]], each: int
) -> float:
    """Seconds from the first message sent until Telegraf has written all of them."""
    import json
    import urllib.parse
    import urllib.request

    def asked(query: str) -> dict:  # type: ignore[type-arg]
        data = urllib.parse.urlencode({"q": query, "db": "telegraf"}).encode()
        with urllib.request.urlopen(f"{influx.address}/query", data) as answer:
            return json.loads(answer.read())  # type: ignore[no-any-return]

    encoding = os.environ.get("SHOPFLOOR_BENCH_TELEGRAF_ENCODING", "identity")
    asked("CREATE DATABASE telegraf")
    config = folder / "telegraf.conf"
    config.write_text(TELEGRAF.format(broker=port, influx=influx.port, encoding=encoding))
    process = started([binary, "--config", str(config)], folder / "telegraf.log")
    try:
        until(lambda: b"Connected" in (folder / "telegraf.log").read_bytes())
        time.sleep(1)
        sender = Sender(port, made)
        began = time.monotonic()
        sender.start()
        last, stored = len(made) * each, 0
        deadline = began + PATIENCE_S
        while stored < last and time.monotonic() < deadline:
            time.sleep(0.25)
            series = asked("SELECT count(seq) FROM samples")["results"][0].get("series")
            stored = int(series[0]["values"][0][1]) if series else 0
        spent = time.monotonic() - began
        sender.join()
    finally:
        told = usage(process.pid)
        process.terminate()
        process.wait()
    print(f"  telegraf: {told}; influxd: {usage(influx.pid)}; {spent:.1f} s", flush=True)
    if stored != last:
        raise RuntimeError(
            f"Telegraf wrote {stored} samples, {last} were sent: {(folder / 'telegraf.log').read_text()[-800:]}"
        )
    return spent


def run(what: str, count: int, each: int) -> float:
    """Values a second of one way, on fresh servers."""
    made = messages(count, each)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        influx = InfluxDaemon(folder / "influx").start()
        try:
            with broker(folder) as port:
                if what == "ours":
                    spent = asyncio.run(ours(folder, port, influx, made, each))
                elif what == "direct":
                    spent = direct(influx, made, each)
                else:
                    spent = telegraf(folder, os.environ["SHOPFLOOR_BENCH_TELEGRAF"], port, influx, made, each)
        finally:
            influx.stop()
    return count * each * TAGS / spent


def main() -> int:
    """Print each figure beside its limit; 1 when one does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["ours", "direct", "telegraf"])
    parser.add_argument("--samples", type=int, nargs="*", default=[1, 10])
    parser.add_argument("--seconds", type=int, default=60, help="as many messages as the limit takes in this time")
    arguments = parser.parse_args()
    held = True
    for each in arguments.samples:
        count = LIMITS[each] * arguments.seconds // TAGS // each
        rates = {}
        for what in arguments.what:
            if what == "telegraf" and "SHOPFLOOR_BENCH_TELEGRAF" not in os.environ:
                continue
            rates[what] = run(what, count, each)
            print(f"  {what}: {rates[what]:,.0f} values/s", flush=True)
        name = f"messages of {each} sample{'s' if each > 1 else ''} x {TAGS} tags"
        if "ours" in rates:
            held &= rates["ours"] >= LIMITS[each]
            print(f"| ingest into influxd, {name} | {rates['ours']:,.0f} values/s | >= {LIMITS[each]:,} |", flush=True)
        if {"ours", "direct"} <= rates.keys():
            ratio = rates["ours"] / rates["direct"]
            held &= ratio >= DIRECT_RATIO
            print(f"| the same beside posting ready-made lines | {ratio:.2f} | >= {DIRECT_RATIO} |", flush=True)
        if {"ours", "telegraf"} <= rates.keys():
            ratio = rates["ours"] / rates["telegraf"]
            held &= ratio > 1
            print(f"| the same beside Telegraf | {ratio:.2f} | > 1 |", flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
