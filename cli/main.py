"""The ``shopfloor`` command line. Every failure is one clear line and a non-zero exit."""

import logging
import sys
from collections.abc import Sequence

from cli.parsers import Command, parser
from shopfloor.errors import PlantError, ShopfloorError

WRONG_INPUT = 2
FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did its job, 2 for wrong input, 1 for any other failure."""
    arguments = parser().parse_args(argv)
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


if __name__ == "__main__":
    sys.exit(main())
