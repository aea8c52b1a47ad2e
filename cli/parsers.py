"""The command line: what may be written after ``shopfloor``, and which function does it.

A command's module is imported when it runs: an edge box needs neither NumPy nor a web server to know its options.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shopfloor.duration import duration_ms
from shopfloor.errors import ShopfloorError
from shopfloor.instant import BadInstant, parse_instant

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

Command = Callable[[argparse.Namespace], int]
BY = ("total", "hour", "shift", "day", "week", "month", "product", "reason")


def parser() -> argparse.ArgumentParser:
    """All commands; the chosen one's function is ``command`` in the parsed arguments."""
    root = argparse.ArgumentParser(prog="shopfloor", description="Shop-floor monitoring: registers to OEE.")
    root.add_argument("--verbose", action="store_true", help="tell more on standard error")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_demo(commands)
    _add_services(commands)
    _add_replay(commands)
    _add_kpi(commands)
    _add_calc(commands)
    _add_rederive(commands)
    _add_dead_letters(commands)
    _add_deploy(commands)
    _add_historian(commands)
    _add_dashboards(commands)
    return root


def _lazy(module: str, name: str) -> Command:
    def command(arguments: argparse.Namespace) -> int:
        try:
            function: Command = getattr(import_module(module), name)
        except ModuleNotFoundError as fault:
            library = (fault.name or "").partition(".")[0]
            if not library or find_spec(library):
                raise
            raise ShopfloorError(
                f"this command needs {library}, which is not installed; install shopfloor with the extra that has"
                " it: edge, simulators, ingest, api, deploy, push, or demo for everything"
            ) from None
        return function(arguments)

    return command


def _add_check(commands: "Commands") -> None:
    check = commands.add_parser("check", help="validate a plant file offline")
    check.add_argument("plant", type=Path)
    check.set_defaults(command=_lazy("cli.check", "check"))


def _add_demo(commands: "Commands") -> None:
    demo = commands.add_parser("demo", help="a simulated plant through the whole pipeline, with page and truth")
    demo.add_argument("--plant", type=Path, default=_example(), metavar="F")
    demo.add_argument("--source", type=Path, metavar="CSV", help="replay a metered year instead of a scenario")
    demo.add_argument(
        "--for", dest="live_ms", type=_duration, metavar="60s", help="end this long after the past has caught up"
    )
    demo.add_argument("--history", dest="history_ms", type=_duration, default=duration_ms("8h"), metavar="8h")
    demo.add_argument("--data", type=Path, metavar="DIR", help="where it keeps its data; default .demo/PLANT-seed-N")
    demo.add_argument("--seed", type=int, default=7, metavar="N")
    demo.add_argument("--port", type=int, default=8080, help="page and API; another free one when taken")
    demo.add_argument("--json", type=Path, metavar="OUT", help="write ledger, KPIs and the simulator's truth here")
    demo.set_defaults(command=_lazy("cli.demo", "demo"))


def _add_services(commands: "Commands") -> None:
    simulate = commands.add_parser("simulate", help="Modbus devices of a plant, simulated")
    simulate.add_argument("--seed", type=int, default=7, metavar="N")
    simulate.add_argument("--epoch", type=_instant, metavar="T", help="when the script begins, RFC 3339 (default: now)")
    edge = commands.add_parser("edge", help="one edge agent")
    edge.add_argument("--agent", required=True, metavar="A")
    edge.add_argument(
        "--endpoints", type=Path, metavar="FILE", help="addresses that 'simulate' wrote, instead of the plant's"
    )
    edge.add_argument(
        "--drain",
        dest="drain_ms",
        type=_duration,
        default=0,
        metavar="30s",
        help="when asked to end: poll no more, and wait at most so long until everything is stored",
    )
    ingest = commands.add_parser("ingest", help="messages to historian and facts")
    ingest.add_argument("--agents", default="*", metavar="GLOB")
    api = commands.add_parser("api", help="KPI API and page")
    api.add_argument("--host", default="127.0.0.1")
    api.add_argument("--port", type=int, default=8080)
    for name, service in {"simulate": simulate, "edge": edge, "ingest": ingest, "api": api}.items():
        service.add_argument("plant", type=Path)
        service.set_defaults(command=_lazy(f"cli.{name}", name))


def _add_replay(commands: "Commands") -> None:
    replay = commands.add_parser(
        "replay",
        help="bring history from a CSV (time,work_unit,tag,value) into the historian",
        description="Rows time,work_unit,tag,value: RFC 3339 time with offset, path site/area/work_center/work_unit, "
        "a tag of the canonical list, a number in the tag's unit (empty: the source had none). Any order; rows of one "
        "unit and time are one sample. SHOPFLOOR_HISTORIAN or SHOPFLOOR_DATA name the store.",
    )
    replay.add_argument("plant", type=Path)
    replay.add_argument("samples", type=Path, metavar="SAMPLES.csv")
    replay.set_defaults(command=_lazy("cli.replay", "replay"))


def _add_kpi(commands: "Commands") -> None:
    kpi = commands.add_parser("kpi", help="KPIs from the historian")
    kpi.add_argument("plant", type=Path)
    kpi.add_argument(
        "--unit", required=True, metavar="PATH", help="a unit; a pattern with *; or a line, area, site: rolled up"
    )
    kpi.add_argument("--from", dest="start", required=True, metavar="T", help="RFC 3339 with offset")
    kpi.add_argument("--to", dest="end", required=True, metavar="T")
    kpi.add_argument("--by", default="total", choices=BY)
    kpi.add_argument("--json", action="store_true")
    kpi.set_defaults(command=_lazy("cli.kpi", "kpi"))


def _add_calc(commands: "Commands") -> None:
    calc = commands.add_parser("calc", help="KPIs from given elements, no store (docs/calc.md)")
    calc.add_argument("case", type=Path, metavar="CASE.yaml")
    calc.add_argument("--json", action="store_true", help="one JSON document: kpis, elements, flags")
    calc.set_defaults(command=_lazy("cli.calc", "calc"))


def _add_rederive(commands: "Commands") -> None:
    rederive = commands.add_parser(
        "rederive",
        help="derive the past again under today's plan; prints the differences",
        description="Facts of the given time are derived again from raw samples and statements. A running ingest keeps "
        "the plan that it was started with: start it again after a change of the plant file.",
    )
    rederive.add_argument("plant", type=Path)
    rederive.add_argument("--from", dest="start", required=True, metavar="T", help="RFC 3339 time with offset")
    rederive.add_argument("--to", dest="end", required=True, metavar="T", help="first instant that no longer counts")
    rederive.add_argument("--unit", default="*", metavar="PATTERN", help="path or pattern; all units by default")
    rederive.add_argument("--name", help="who asks for it, kept in the revisions; your login by default")
    rederive.add_argument("--dry-run", action="store_true", help="print the differences and write nothing")
    rederive.set_defaults(command=_lazy("cli.rederive", "rederive"))


def _add_dead_letters(commands: "Commands") -> None:
    letters = commands.add_parser(
        "deadletters",
        help="what ingest could not store: list, show, replay",
        description="The file is dead_letters.db in the folder that SHOPFLOOR_DATA names; ingest may be running.",
    )
    verbs = letters.add_subparsers(required=True, metavar="list|show|replay")
    listing = verbs.add_parser("list", help="the newest first")
    listing.add_argument("--limit", type=int, default=50, metavar="N")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_lazy("cli.dead_letters", "list_letters"))
    show = verbs.add_parser("show", help="one letter in full")
    show.add_argument("id", type=int, metavar="ID")
    show.set_defaults(command=_lazy("cli.dead_letters", "show"))
    replay = verbs.add_parser(
        "replay",
        help="judge letters again and store what can be stored now",
        description="For after the plant file was corrected. Samples are stored with the facts that follow from them, "
        "and their letters are withdrawn; what is still refused is kept. Doing it twice changes nothing.",
    )
    replay.add_argument("plant", type=Path)
    replay.add_argument("ids", type=int, nargs="*", metavar="ID")
    replay.add_argument("--all", action="store_true", help="every letter that tells its sample")
    replay.add_argument("--dry-run", action="store_true", help="judge and count, and write nothing")
    dated = replay.add_mutually_exclusive_group()
    dated.add_argument(
        "--accept-times", action="store_true", help="an agent that did not know the time told it right all the same"
    )
    dated.add_argument(
        "--shift-to", metavar="T", help="the earliest of the letters was taken at T, the others keep their distance"
    )
    replay.set_defaults(command=_lazy("cli.dead_letters", "replay"))
    for verb in (listing, replay):
        verb.add_argument("--reason", metavar="R", help="only those refused for this reason")
        verb.add_argument("--agent", metavar="A", help="only this agent's")
        verb.add_argument("--since", metavar="T", help="only those that came at T or later (RFC 3339 with offset)")


def _add_deploy(commands: "Commands") -> None:
    deploy = commands.add_parser("deploy", help="what a plant's machines need beside its plant file")
    init = deploy.add_subparsers(required=True, metavar="WHAT").add_parser(
        "init",
        help="secrets, certificates, the broker's users and rights",
        description="Run again it keeps secrets and certificates, adds new agents and takes the rights of those that "
        "are gone from the plant file. What it prints holds no secret. See docs/deploy.md.",
    )
    init.add_argument("plant", type=Path)
    init.add_argument(
        "--directory", type=Path, default=Path("deploy") / "generated", metavar="DIR", help="where the files stay"
    )
    names = "the broker's name or address, first the one that agents use; may be repeated; needed the first time"
    init.add_argument("--host", dest="hosts", action="append", default=[], metavar="NAME", help=names)
    init.add_argument("--port", type=int, default=8883, help="for agents, TLS")
    init.add_argument("--local-port", type=int, default=1883, help="for services on the broker's machine, plain")
    init.add_argument(
        "--services-port", type=int, metavar="PORT", help="for services on other machines, TLS; else none"
    )
    init.add_argument("--owner", metavar="USER", help="the system's user that the broker runs as; default mosquitto")
    init.add_argument("--renew", action="store_true", help="new certificates for those that expire within 30 days")
    init.add_argument(
        "--rotate", action="append", default=[], metavar="USER", help="a new password for an agent or for ingest"
    )
    init.set_defaults(command=_lazy("cli.deploy", "init"))


def _add_historian(commands: "Commands") -> None:
    historian = commands.add_parser("historian", help="set up, back up and restore the store")
    actions = historian.add_subparsers(required=True, metavar="ACTION")
    init = actions.add_parser(
        "init",
        help="make and check database or buckets, retention and mapping",
        description="Sets up the store that SHOPFLOOR_HISTORIAN names, http[s]://host:8086/DATABASE or a folder, and "
        "tells what it found or changed; doing it again changes nothing. SHOPFLOOR_HISTORIAN_TOKEN (2.x, 3.x) or "
        "_USERNAME and _PASSWORD (1.x) must belong to an administrator.",
    )
    init.add_argument("plant", type=Path, nargs="?", metavar="PLANT", help="tell what this plant will store")
    init.add_argument(
        "--raw-retention",
        dest="raw_retention_ms",
        type=_retention,
        default=duration_ms("400d"),
        metavar="400d",
        help="how long samples are kept; 0: for ever. Facts are kept for ever",
    )
    init.set_defaults(command=_lazy("cli.historian_init", "init"))
    backup = actions.add_parser(
        "backup",
        help="copy the embedded store and the dead letters while they are used",
        description="Copies what SHOPFLOOR_HISTORIAN (a folder) and SHOPFLOOR_DATA name, as of one moment, and checks "
        "the copy; writers wait meanwhile. For an InfluxDB only the dead letters: deploy/backup does the rest.",
    )
    restore = actions.add_parser("restore", help="the way back, into places where nothing is")
    for verb, name in ((backup, "backup"), (restore, "restore")):
        verb.add_argument("folder", type=Path, metavar="FOLDER")
        verb.set_defaults(command=_lazy("cli.historian_backup", name))
    told = actions.add_parser("counts", help="how many points each measurement has, as JSON")
    told.set_defaults(command=_lazy("cli.historian_backup", "told_counts"))


def _add_dashboards(commands: "Commands") -> None:
    dashboards = commands.add_parser("dashboards", help="Grafana boards of a plant")
    actions = dashboards.add_subparsers(required=True, metavar="ACTION")
    render = actions.add_parser("render", help="write the boards as JSON, a folder for each language")
    render.add_argument("-o", "--output", type=Path, default=Path("dashboards-json"), metavar="DIR")
    render.add_argument("--lang", choices=("en", "id", "all"), default="all")
    check = actions.add_parser("check", help="check texts, units, windows, links and places of the boards")
    for name, action in {"render_boards": render, "check_boards": check}.items():
        action.add_argument("plant", type=Path)
        action.set_defaults(command=_lazy("cli.dashboards", name))
    _add_push(actions)
    _add_verify(actions)


def _add_verify(actions: "Commands") -> None:
    verify = actions.add_parser(
        "verify",
        help="run every query of every board on a real InfluxDB",
        description="Variables and macros are expanded as Grafana does. Ends with 1 when a query fails, when one finds "
        "nothing on a panel that does not say why, or when a KPI is not the KPI API's. Secrets come from "
        "SHOPFLOOR_HISTORIAN_TOKEN, or _USERNAME and _PASSWORD, and SHOPFLOOR_API_KEY.",
    )
    verify.add_argument("plant", type=Path, nargs="?", default=_example(), metavar="PLANT")
    verify.add_argument("--url", metavar="URL", help="http://host:8086/DATABASE; default SHOPFLOOR_HISTORIAN")
    verify.add_argument("--api", metavar="URL", help="compare KPIs with this KPI API, e.g. http://127.0.0.1:8080")
    verify.add_argument("--language", dest="lang", choices=("en", "id", "all"), default="all")
    verify.add_argument("--now", type=_instant, metavar="T", help="what 'now' is in the boards' ranges; default: now")
    verify.add_argument("--from", dest="start", type=_instant, metavar="T", help="instead of the boards' own ranges")
    verify.add_argument("--to", dest="end", type=_instant, metavar="T")
    verify.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    verify.set_defaults(command=_lazy("cli.dashboards_verify", "verify_boards"))


def _add_push(actions: "Commands") -> None:
    push = actions.add_parser(
        "push",
        help="bring a running Grafana to hold data source and boards",
        description="SHOPFLOOR_GRAFANA_URL names it (default http://127.0.0.1:3000), SHOPFLOOR_GRAFANA_TOKEN is the "
        "token of a service account with the role Admin. SHOPFLOOR_HISTORIAN=http://host:8086/DATABASE as Grafana "
        "reaches it, with SHOPFLOOR_HISTORIAN_READER_USERNAME and _PASSWORD, makes the data source; without it the "
        "data source is left as it is. Doing it again changes nothing.",
    )
    push.add_argument("plant", type=Path)
    push.add_argument("--dry-run", action="store_true", help="tell what would change, and write nothing")
    push.add_argument("--diff", action="store_true", help="show what differs, line by line")
    push.add_argument(
        "--secrets", action="store_true", help="send passwords and tokens again: Grafana never tells them"
    )
    push.add_argument("--lang", choices=("en", "id", "all"), default="all")
    push.set_defaults(command=_lazy("cli.grafana_push", "push_boards"))


def _retention(text: str) -> int:
    return 0 if text == "0" else _duration(text)


def _example() -> Path:
    """The example plant: in this folder, else beside the code."""
    path = Path("plants") / "ceper" / "plant.yaml"
    return path if path.exists() else Path(__file__).parents[1] / path


def _instant(text: str) -> int:
    try:
        return parse_instant(text)
    except BadInstant as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


def _duration(text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None
