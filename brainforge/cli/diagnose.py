"""``brainforge diagnose``: which backend would be used, why, and what its kernels can do."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Annotated, Any

import typer

from brainforge.cli.output import print_json, show, table
from brainforge.cli.state import Debug, Json, state_of


def diagnose(
    context: typer.Context,
    kernels: Annotated[
        bool, typer.Option("--kernels", help="List every kernel and where it can run.")
    ] = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Say which backend would be used and why: processor, threads, CUDA, kernels."""
    from brainforge.cli.choice import chosen_backend
    from brainforge.kernels.device.memory import describe
    from brainforge.kernels.dispatch import catalogue

    settings = state_of(context).settings
    # a device that is asked for and not there is what this command is to tell, not to fail at
    asked, trouble = settings.backend, ""
    if asked == "cuda":
        from brainforge.device import cuda_trouble

        trouble = cuda_trouble()
    chosen = chosen_backend(settings, backend="cpu" if trouble else asked)
    rows = catalogue()
    facts: dict[str, Any] = {
        "backend": chosen.name,
        "why": f"cuda was asked for: {trouble}" if trouble else chosen.why,
        "asked_for": asked,
        "threads": chosen.threads,
        "machine": {"processor": _processor(), "system": platform.platform()},
        "cuda": describe(),
        "kernels": [asdict(row) for row in rows],
    }
    if json_:
        print_json(facts)
        return
    show(_overview(facts))
    if kernels:
        show(_kernels(facts["kernels"]))


def _processor() -> str:
    from brainforge.provenance import processor

    return processor()


def _overview(facts: dict[str, Any]) -> Any:
    cuda = facts["cuda"]
    made = table("Backend", "", "")
    made.show_header = False
    made.add_row("would be used", facts["backend"])
    made.add_row("because", facts["why"])
    made.add_row("asked for", facts["asked_for"])
    made.add_row("threads", str(facts["threads"]))
    made.add_row("processor", facts["machine"]["processor"])
    made.add_row("CUDA", cuda["why"] or "available")
    for device in cuda["devices"]:
        memory = f"{device['free_mib']} of {device['total_mib']} MiB free"
        made.add_row("device", f"{device['name']}, {memory}")
    twins = sum(row["device"] is not None for row in facts["kernels"])
    made.add_row("kernels", f"{len(facts['kernels'])}, {twins} with a device twin (--kernels)")
    return made


def _kernels(rows: list[dict[str, Any]]) -> Any:
    made = table("Kernels", "kernel", "CPU", "device", "what it cannot do, or why not")
    for row in rows:
        how = "–" if row["device"] is None else "CUDA source" if row["raw"] else "portable"
        made.add_row(row["name"], "yes", how, row["supports"] or row["why_not"])
    return made
