"""Findings: statements about a recording, each with its uncertainty and its source.

Pure functions from the arrays of a result to :class:`brainforge.finding.Finding`. None of
them is a diagnosis, and each may abstain and say why.
"""

from __future__ import annotations

from collections.abc import Iterable

from brainforge.finding import Finding
from brainforge.findings.alpha_peak import alpha_peak
from brainforge.findings.asymmetry import asymmetry
from brainforge.findings.band_power import band_power, slowing
from brainforge.findings.heart_rate import heart_rate
from brainforge.findings.network import network
from brainforge.findings.quality import quality
from brainforge.info import Info
from brainforge.result import Artifacts, BandPower, Connectivity, Graph, Quality, Spectra

__all__ = [
    "alpha_peak",
    "asymmetry",
    "band_power",
    "heart_rate",
    "network",
    "quality",
    "resting_findings",
    "slowing",
]


def resting_findings(
    info: Info,
    quality_part: Quality,
    spectra: Spectra,
    *,
    source_sfreq: float,
    duration: float,
    band_power_part: BandPower | None = None,
    artifacts: Artifacts | None = None,
    connectivity: Connectivity | None = None,
    graph: Graph | None = None,
    gaps: Iterable[tuple[int, int]] = (),
) -> tuple[Finding, ...]:
    """Return the findings of a resting recording, in the order in which a reader wants them.

    Parameters
    ----------
    info : Info
        Kinds, positions, transform and bad channels.
    quality_part, spectra, band_power_part, artifacts, connectivity, graph
        Parts of a result; findings of parts that are None are left out.
    source_sfreq : float
        Rate of the source, Hz (heartbeats are in source samples).
    duration : float
        Length of the recording, s.
    gaps : iterable of tuple of 2 int
        Stretches without samples, source samples.
    """
    whole = (0.0, float(duration))
    out = [alpha_peak(spectra, info, evidence=whole)]
    if band_power_part is not None:
        out.append(band_power(band_power_part, info, evidence=whole))
        out.append(slowing(band_power_part, info, evidence=whole))
        out.append(asymmetry(band_power_part, info, evidence=whole))
    if connectivity is not None:
        out.append(network(connectivity, graph, evidence=whole))
    if artifacts is not None:
        out.append(heart_rate(artifacts.ecg, source_sfreq, gaps=gaps, evidence=whole))
    out.append(quality(quality_part, evidence=whole))
    return tuple(out)
