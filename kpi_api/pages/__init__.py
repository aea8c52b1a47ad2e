"""KPIs -> panels: the pages for people, with everything they need in ``static/``."""
