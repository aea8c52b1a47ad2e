"""KPIs -> panels: one module for each noun of the HTTP contract."""
