"""The report on a tuning, for people: one HTML file without network."""

from .document import document
from .page import render, write_report
from .views import Views, look

__all__ = ["Views", "document", "look", "render", "write_report"]
