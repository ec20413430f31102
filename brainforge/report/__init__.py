"""The report: one HTML file with every figure, readable without any network."""

from __future__ import annotations

from brainforge.report.render import render_report
from brainforge.report.write import write_report

__all__ = ["render_report", "write_report"]
