"""KPIs -> guidelines: what the figures of a site come to by a guideline's own scale. Evidence, no official score."""
