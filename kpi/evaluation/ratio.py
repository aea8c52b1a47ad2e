"""The guarded division that every KPI of *facts -> KPIs* is made of."""


def ratio(numerator: float, denominator: float) -> float | None:
    """The quotient, or None for a zero denominator."""
    return numerator / denominator if denominator else None
