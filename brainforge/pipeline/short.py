"""Recipe `short`: quality, mains removed as sinusoids, field correction, spectra. No more.

A recording shorter than three filter lengths would be edge from end to end: nothing is filtered
here, drifts are taken off as straight lines and mains lines as least-squares sinusoids.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block, Mask, RawBlock
from brainforge.findings import quality as quality_finding
from brainforge.info import Channel, Info
from brainforge.kernels.sinusoids import remove_lines
from brainforge.learners.bad_channels import BadChannelParams, find_bad_channels
from brainforge.learners.field import learn_field_correction
from brainforge.learners.repair import learn_repair
from brainforge.measures.gram import GramMeasure
from brainforge.measures.psd import WelchMeasure
from brainforge.measures.raw_quality import RawQualityMeasure
from brainforge.operator import Operator
from brainforge.pipeline.assemble import (
    EXCERPT_S,
    Account,
    coverage,
    mask_intervals,
    quality_part,
    recording_part,
    units_of,
)
from brainforge.pipeline.cleaning import Cleaner
from brainforge.pipeline.clock import Clock
from brainforge.pipeline.first_pass import Seen, raw_spectrum
from brainforge.pipeline.learning import mark_bads
from brainforge.pipeline.summaries import line_level_db
from brainforge.provenance import provenance
from brainforge.recipe import Recipe
from brainforge.regrid import Regrid
from brainforge.result import BadChannel, Result, Spectra, Traces
from brainforge.units import MEG_KINDS, to_si, to_working

#: a few unfiltered seconds are too little to judge a channel by its distance from the others
SHORT_BADS = BadChannelParams(lof=np.inf, correlation=0.0)


def short_result(
    recipe: Recipe,
    info: Info,
    raw: list[RawBlock],
    seen: Seen,
    account: Account,
    backend: Backend,
    clock: Clock,
    warnings: tuple[str, ...] = (),
) -> Result:
    """Return the Result of a recording that is held in memory."""
    with clock("preprocess_s"):
        segments = _segments(raw, seen)
        if info.line_freq is None:
            info = replace(
                info,
                line_freq=raw_spectrum(max(segments, key=lambda b: b.stop - b.start)).line_freq(),
            )
        judge = RawQualityMeasure(info, backend)
        blocks, cleaned = [], []
        for segment in segments:
            masked = replace(segment, masks=segment.masks + judge.judge(segment))
            block, without = _working(masked, info, recipe)
            blocks.append(block)
            cleaned.append(without)
        work = blocks[0].info
        bads, field, repair = _operators(recipe, work, cleaned, judge, backend)
        work = mark_bads(work, bads)
        fused = repair.expand(work.names) @ field.expand(work.names)
        identity = Operator.identity(work.names)
        cleaner = Cleaner(work, fused, lambda masked: learn_repair(work, (*work.bads, *masked)))
        raw_cleaner = Cleaner(work, identity, lambda masked: Operator.identity(work.names))
        before = [raw_cleaner(b) for b in blocks]
        after = [cleaner(b) for b in cleaned]
        spectra = _spectra(recipe, work, before, after, backend)
    part = recording_part(info, account, seen)
    masks = [m for b in blocks for m in b.masks]
    intervals = mask_intervals(masks, 1, part["first_sample"], info.sfreq, set(work.bads))
    line_db = line_level_db(spectra.freqs, spectra.before, info.line_freq)
    quality = quality_part(
        work, work.names, spectra, line_db, bads, intervals,
        coverage(part, intervals, work.n_channels), _peak_to_peak(before),
    )  # fmt: skip
    lines = (
        f"mains lines at multiples of {info.line_freq:g} Hz fitted as sinusoids and removed"
        if info.line_freq
        else "no mains line known, none removed"
    )
    steps = ("Straight-line drift removed; " + lines + ".", field.description, repair.description)
    return Result(
        info=work,
        recording=part,
        recipe=recipe.name,
        quality=quality,
        spectra=spectra,
        findings=(quality_finding(quality, evidence=(0.0, part["duration_s"])),),
        traces=_traces(work, before, after),
        operator=fused,
        steps=tuple(s for s in steps if s),
        warnings=warnings,
        provenance={
            **provenance(recipe, account.source or {"name": account.name}, backend),
            "operator": fused.summary(),
        },
    )


def _segments(raw: list[RawBlock], seen: Seen) -> list[RawBlock]:
    """Join blocks into one for each continuous stretch of at least a tenth of a second."""
    regrid = Regrid(max(b.stop for b in raw) + 1)
    joined = [out for block in raw for out in regrid.process(block)] + regrid.finish()
    sfreq = raw[0].info.sfreq
    return [b for b in joined if b.data.shape[1] >= 0.1 * sfreq]


def _working(raw: RawBlock, info: Info, recipe: Recipe) -> tuple[Block, Block]:
    """Return the MEG channels in working units, drift removed; without and with mains removed."""
    names = info.names_of(*MEG_KINDS)
    rows = info.rows(names)
    out_info = replace(
        info.pick(names), channels=tuple(_calibrated(info.channel(n)) for n in names)
    )
    factor = np.array([to_working(c.kind) for c in out_info.channels])[:, None]
    x = raw.to_si()[rows] * factor
    masks = _meg_masks(raw.masks, names)
    good = Block(np.zeros(x.shape, np.float32), out_info, raw.start, masks).good()
    good &= np.isfinite(x)
    x = _detrended(np.where(good, x, np.nan))
    without = x
    if info.line_freq and recipe.filter.notch:
        without = remove_lines(x, info.sfreq, info.line_freq)[0]
    blocks = [Block(y.astype(np.float32), out_info, raw.start, masks) for y in (x, without)]
    return blocks[0], blocks[1]


def _calibrated(channel: Channel) -> Channel:
    return replace(channel, cal=to_si(channel.kind), offset=0.0, rails=None)


def _meg_masks(masks: tuple[Mask, ...], names: tuple[str, ...]) -> tuple[Mask, ...]:
    out = []
    for mask in masks:
        if mask.channels is None:
            out.append(mask)
        elif kept := tuple(n for n in mask.channels if n in names):
            out.append(replace(mask, channels=kept))
    return tuple(out)


def _detrended(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Take off a straight line fitted to the believed samples; the others become 0."""
    t = np.linspace(-1.0, 1.0, x.shape[1])
    good = np.isfinite(x)
    y = np.where(good, x, 0.0)
    n = np.maximum(good.sum(axis=1), 1)
    mean_t, mean_y = (good * t).sum(axis=1) / n, y.sum(axis=1) / n
    centred = np.where(good, t - mean_t[:, None], 0.0)
    power = (centred**2).sum(axis=1)
    slope = np.divide((centred * y).sum(axis=1), power, out=np.zeros_like(power), where=power > 0)
    line = mean_y[:, None] + slope[:, None] * (t - mean_t[:, None])
    return np.where(good, x - line, 0.0)


def _operators(
    recipe: Recipe, info: Info, blocks: list[Block], judge: RawQualityMeasure, backend: Backend
) -> tuple[tuple[BadChannel, ...], Operator, Operator]:
    bads: tuple[BadChannel, ...] = ()
    if recipe.quality.find_bads:
        gram = GramMeasure(info, backend)
        for block in blocks:
            gram.update(block)
        bads = find_bad_channels(info, judge.result(), gram.result(), SHORT_BADS)
    info = mark_bads(info, bads)
    f = recipe.field_correction
    field = learn_field_correction(info, info.bads, method=f.method, order=f.order)
    repair = Operator.identity(info.names)
    if recipe.quality.repair:
        repair = learn_repair(info, info.bads, after=field)
    return bads, field, repair


def _spectra(
    recipe: Recipe, info: Info, before: list[Block], after: list[Block], backend: Backend
) -> Spectra:
    # windows of the recipe's length, or of the longest stretch where it is shorter
    longest = max(b.data.shape[1] for b in before) / info.sfreq
    seg_s = min(recipe.spectra.segment_s, longest)
    psds = []
    for blocks in (before, after):
        measure = WelchMeasure(info, backend, seg_s=seg_s, overlap=recipe.spectra.overlap)
        for block in blocks:
            measure.update(block)
        freqs, psd = measure.result()
        psds.append(psd)
    return Spectra(info.names, units_of(info, info.names), freqs, psds[0], psds[1])


def _peak_to_peak(blocks: list[Block]) -> npt.NDArray[np.float64]:
    lows, highs = [], []
    for block in blocks:
        good = block.good()
        lows.append(np.where(good, block.data, np.inf).min(axis=1))
        highs.append(np.where(good, block.data, -np.inf).max(axis=1))
    spread = np.max(highs, axis=0) - np.min(lows, axis=0)
    return np.where(np.isfinite(spread), spread, np.nan).astype(np.float64)


def _traces(info: Info, before: list[Block], after: list[Block]) -> Traces:
    longest = int(np.argmax([b.data.shape[1] for b in before]))
    n = min(before[longest].data.shape[1], round(EXCERPT_S * info.sfreq))
    times = (before[longest].start - before[0].start + np.arange(n)) / info.sfreq
    return Traces(
        info.names, units_of(info, info.names), times,
        before[longest].data[:, :n], after[longest].data[:, :n],
    )  # fmt: skip
