"""Reference channels regressed out of the working copy, where the recording has them."""

from __future__ import annotations

from dataclasses import replace

from brainforge.backend import Backend
from brainforge.block import Block, Mask
from brainforge.info import Info
from brainforge.kernels.apply import apply_low_rank, apply_matrix, low_rank
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.learners.references import REFERENCE_KINDS, learn_references
from brainforge.measures.gram import GramMeasure, GramResult
from brainforge.working_copy import WorkingCopy


def without_references(
    working: WorkingCopy, gram: GramResult, info: Info, backend: Backend, folder: str | None
) -> tuple[WorkingCopy, GramResult, str]:
    """Return the working copy and its Gram matrices without what the references predict.

    Where there is nothing to regress the same objects come back. Otherwise a new working copy
    is written and the old one deleted; a sample at which a reference is masked becomes masked
    in all channels, since all of them take from it.

    Returns
    -------
    working : WorkingCopy
    gram : GramResult
    step : str
        What was done, empty where the recording has no references.
    """
    if not info.names_of(*REFERENCE_KINDS):
        return working, gram, ""
    operator = learn_references(info, gram)
    if operator.is_identity:
        return working, gram, operator.description
    # the identity on all other channels: what is filtered is finite, so they stay as they are
    matrix = operator.expand(info.names).matrix
    update = low_rank(matrix)
    references = set(info.names_of(*REFERENCE_KINDS))
    out = WorkingCopy(working.info, folder, device_bytes=working.device_bytes)
    measure = GramMeasure(working.info, backend)
    with single_threaded_blas():
        for block in working.take():
            if update is None:
                data = apply_matrix(matrix, block.data, n_threads=backend.threads)
            else:
                data = apply_low_rank(update, block.data, n_threads=backend.threads)
            masks = tuple(_widened(m, references) for m in block.masks)
            regressed = Block(data, working.info, block.start, masks)
            out.write(regressed)
            measure.update(regressed)
    working.close()
    return out, measure.result(), operator.description


def _widened(mask: Mask, references: set[str]) -> Mask:
    if mask.channels is None or references.isdisjoint(mask.channels):
        return mask
    return replace(mask, channels=None)
