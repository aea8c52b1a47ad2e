"""``shopfloor calc``: a case of given elements to KPIs, no store. Pure."""
