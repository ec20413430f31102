"""``brainforge recipes``: what there is, and what one of them declares."""

from __future__ import annotations

from typing import Annotated

import typer

from brainforge.cli.output import print_json, show, table
from brainforge.cli.state import Debug, Json


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Recipe to print: a name or a TOML file.")
    ] = None,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """List the recipes, or print one, resolved, with its content hash."""
    from brainforge.recipe import list_recipes, load_recipe

    if name is not None:
        recipe = load_recipe(name)
        if json_:
            print_json({**recipe.to_dict(), "hash": recipe.hash})
        else:
            typer.echo(f"# hash {recipe.hash}\n{recipe.to_toml()}", nl=False)
        return
    every = [load_recipe(each) for each in list_recipes()]
    if json_:
        print_json(
            {
                "recipes": [
                    {"name": r.name, "description": r.description, "hash": r.hash} for r in every
                ]
            }
        )
        return
    made = table("Recipes", "name", "what it is for", "hash")
    for recipe in every:
        made.add_row(recipe.name, recipe.description, recipe.hash[:12])
    show(made)
