"""The boards, one file each, in the order in which an engineer asks."""

from collections.abc import Callable
from typing import Final

from dashboards.board import Board
from dashboards.boards import cluster, energy, line, losses, machine, overview, pipeline, quality, scorecard
from dashboards.places import named
from shopfloor.plant import Plant

_BOARDS: Final[tuple[Callable[[Plant], Board], ...]] = (
    overview.board,
    line.board,
    losses.board,
    machine.board,
    quality.board,
    energy.board,
    scorecard.board,
    cluster.board,
    pipeline.board,
)


def boards_of(plant: Plant) -> tuple[Board, ...]:
    """Every board of a plant."""
    return tuple(named(board(plant), plant) for board in _BOARDS)
