"""KPIs over HTTP: the last arrow of *registers -> samples -> messages -> points -> facts -> KPIs -> panels*.

``store`` reads the historian and is of use without HTTP; ``app`` puts FastAPI and the live page on top of it.
"""
