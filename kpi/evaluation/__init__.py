"""Merged facts to KPIs: one table of formulas, their definitions, losses and reliability. Pure."""
