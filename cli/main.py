"""The ``shopfloor`` command line. Every failure is one clear line and a non-zero exit."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cli.check import check
from shopfloor.errors import PlantError, ShopfloorError
from shopfloor.plant_schema import duration_ms

Command = Callable[[argparse.Namespace], int]
WRONG_INPUT = 2
FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did its job, 2 for wrong input, 1 for any other failure."""
    arguments = _parser().parse_args(argv)
    level = logging.INFO if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        command: Command = arguments.command
        return command(arguments)
    except PlantError as fault:
        print(fault, file=sys.stderr)
        return WRONG_INPUT
    except ShopfloorError as fault:
        print(f"shopfloor: {fault}", file=sys.stderr)
        return FAILED
    except OSError as fault:
        print(f"shopfloor: {fault}; check the path, its rights and the disk", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shopfloor", description="Shop-floor monitoring: registers to OEE.")
    parser.add_argument("--verbose", action="store_true", help="tell more on standard error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_check(commands)
    _add_demo(commands)
    _add_services(commands)
    _add_kpi(commands)
    return parser


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("check", help="validate a plant file offline")
    parser.add_argument("plant", type=Path)
    parser.set_defaults(command=lambda arguments: check(arguments.plant))


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("demo", help="a simulated plant through the whole pipeline, with page and truth")
    parser.add_argument("--plant", type=Path, default=_example(), metavar="F")
    parser.add_argument("--source", type=Path, metavar="CSV", help="replay a metered year instead of a scenario")
    parser.add_argument(
        "--for", dest="live_ms", type=_duration, metavar="60s", help="end this long after the past has caught up"
    )
    parser.add_argument("--history", dest="history_ms", type=_duration, default=duration_ms("8h"), metavar="8h")
    parser.add_argument("--data", type=Path, metavar="DIR", help="where it keeps its data; default .demo/PLANT-seed-N")
    parser.add_argument("--seed", type=int, default=7, metavar="N")
    parser.add_argument("--port", type=int, default=8080, help="page and API; another free one when taken")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write ledger, KPIs and the simulator's truth here")
    parser.set_defaults(command=_demo)


def _add_services(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    simulate = commands.add_parser("simulate", help="Modbus devices of a plant, simulated")
    simulate.add_argument("--seed", type=int, default=7, metavar="N")
    edge = commands.add_parser("edge", help="one edge agent")
    edge.add_argument("--agent", required=True, metavar="A")
    edge.add_argument(
        "--endpoints", type=Path, metavar="FILE", help="addresses that 'simulate' wrote, instead of the plant's"
    )
    ingest = commands.add_parser("ingest", help="messages to historian and facts")
    ingest.add_argument("--agents", default="*", metavar="GLOB")
    api = commands.add_parser("api", help="KPI API and page")
    api.add_argument("--host", default="127.0.0.1")
    api.add_argument("--port", type=int, default=8080)
    for name, parser in {"simulate": simulate, "edge": edge, "ingest": ingest, "api": api}.items():
        parser.add_argument("plant", type=Path)
        parser.set_defaults(command=_service, service=name)


def _add_kpi(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("kpi", help="KPIs from the historian")
    parser.add_argument("plant", type=Path)
    parser.add_argument("--unit", required=True, metavar="PATH")
    parser.add_argument("--from", dest="start", required=True, metavar="T")
    parser.add_argument("--to", dest="end", required=True, metavar="T")
    parser.add_argument("--by", default="total", choices=["total", "hour", "shift", "day"])
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(command=_kpi)


def _example() -> Path:
    """The example plant: in this folder, else beside the code."""
    path = Path("plants") / "ceper" / "plant.yaml"
    return path if path.exists() else Path(__file__).parents[1] / path


def _duration(text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


def _demo(arguments: argparse.Namespace) -> int:
    from cli.demo import Options, run

    data = arguments.data or Path(".demo") / f"{arguments.plant.resolve().parent.name}-seed-{arguments.seed}"
    return run(
        Options(
            plant=arguments.plant,
            source=arguments.source,
            live_ms=arguments.live_ms,
            history_ms=arguments.history_ms,
            data=data,
            seed=arguments.seed,
            port=arguments.port,
            json=arguments.json,
        )
    )


def _service(arguments: argparse.Namespace) -> int:
    from cli import services

    command: Command = getattr(services, arguments.service)
    return command(arguments)


def _kpi(arguments: argparse.Namespace) -> int:
    from cli.kpi import kpi

    return kpi(arguments)


if __name__ == "__main__":
    sys.exit(main())
