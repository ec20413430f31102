"""Recipes: TOML in, hash of the resolved form out, clear errors."""

from __future__ import annotations

import pytest

from brainforge.errors import InputError
from brainforge.recipe import Recipe, list_recipes, load_recipe, recipe_from_toml


def test_the_bundled_recipes_load_and_round_trip_through_toml() -> None:
    assert set(list_recipes()) >= {"resting", "short"}
    for name in list_recipes():
        recipe = load_recipe(name)
        again = recipe_from_toml(recipe.to_toml())
        assert again == recipe
        assert again.hash == recipe.hash


def test_the_hash_is_over_what_a_recipe_means_not_how_it_is_written() -> None:
    bare = recipe_from_toml('name = "a"')
    spelled = recipe_from_toml('name = "b"\ndescription = "x"\n[filter]\nl_freq = 1\nh_freq = 100')
    other = recipe_from_toml('name = "a"\n[filter]\nl_freq = 2.0')
    assert bare.hash == spelled.hash
    assert bare.hash != other.hash


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = ", "TOML"),
        ("[filter]\nl_freq = 1.0", "'name'"),
        ('name = "x"\n[filter]\nlfreq = 1.0', "did you mean 'l_freq'"),
        ('name = "x"\n[filter]\nl_freq = "one"', "filter.l_freq"),
        ('name = "x"\n[filter]\nnotch = 1', "filter.notch"),
        ('name = "x"\n[filter]\nl_freq = 50.0\nh_freq = 40.0', "l_freq below h_freq"),
        ('name = "x"\n[field_correction]\norder = 4', "1 to 3"),
        ('name = "x"\n[artifacts]\nmethod = "magic"', "auto, ica, ssp, none"),
        ('name = "x"\n[bands]\nslow = [0.5, 1.0, 2.0]', "2 cycles"),
        ('name = "x"\n[bands]\nslow = [4.0, 8.0]', "bands.slow"),
        ('name = "x"\nfilter = 3', "filter"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line_that_names_the_key(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from_toml(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_is_found_by_name_path_or_itself(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n')
    assert load_recipe(path).name == "mine"
    recipe = Recipe("own")
    assert load_recipe(recipe) is recipe
    with pytest.raises(InputError, match="resting"):
        load_recipe("restng")


def test_what_is_shown_live_changes_no_hash_but_is_part_of_the_recipe() -> None:
    bare = recipe_from_toml('name = "a"')
    live = recipe_from_toml('name = "a"\n[live]\nh_freq = 45\nfeedback = "coh"\n')
    assert live.live.h_freq == 45.0
    assert live.hash == bare.hash
    assert live != bare
    assert recipe_from_toml(live.to_toml()) == live


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("l_freq = 60\nh_freq = 45", "recipe live"),
        ('feedback = "plv"', "live.feedback"),
        ('feedback = "coh"\nfeedback_band = "mu"', "live.feedback_band"),
        ("refresh_s = 1", "30 to 86400"),
        ("zapline = true", "zapline"),
    ],
)
def test_a_wrong_live_section_is_refused(line: str, told: str) -> None:
    with pytest.raises(InputError, match=told.replace(".", r"\.")):
        recipe_from_toml(f'name = "a"\n[live]\n{line}\n')
