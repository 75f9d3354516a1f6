"""What the newest values say that those before them did not, by which every setting was settled."""

from __future__ import annotations

from dataclasses import replace

from rnnforecast.config import RunConfig, Settings
from rnnforecast.data.panel import Panel
from rnnforecast.data.seasonality import find_seasons
from rnnforecast.forecaster import without_logarithm
from rnnforecast.workflows.reporting import Reporter
from rnnforecast.workflows.short_series import with_typical


def suited_to(config: RunConfig, panel: Panel, settings: Settings, reporter: Reporter) -> RunConfig:
    """Without what the rules took from older data and the newest ones, unlike them, do not bear.

    That is the logarithm of values without one, and a bound of 0 above values below it; where
    there are none of these, the bound takes the logarithm's place. What is typical of the series is
    then told anew, in their units.
    """
    model, below = config.model, panel.first_where(panel.values < 0)
    if below and model.nonnegative and not settings.nonnegative:
        reporter.warning(
            f"series '{below[0]}' has the value {below[1]:g} among its newest: forecasts of the "
            "model that is fitted to them are not kept above 0, as those of the one before"
        )
        model = replace(model, nonnegative=False)
    if model.log and (fault := without_logarithm(panel)):
        bounded = not below if settings.nonnegative is None else settings.nonnegative
        reporter.warning(
            f"series '{fault[0]}' has the value {fault[1]:g} among its newest: the model that is "
            "fitted to them works on plain values, while the one before worked on logarithms"
            + ("; its forecasts are kept at or above 0" if bounded else "")
        )
        plain = replace(config, model=replace(model, log=False, nonnegative=bounded))
        return with_typical(plain, panel)
    return replace(config, model=model)


def unseen_season(panel: Panel, known: Panel, seasons: tuple[int, ...]) -> int | None:
    """The season that all values show, where those before the held-out ones showed none.

    None where they did, where none is shown, or where what is known is too short to ask for it.
    """
    if seasons != (1,) or panel.frequency.unit == "step":
        return None
    season = find_seasons(panel)[0]
    return season if 1 < season <= known.lengths.max() else None


def tell_of_season(season: int | None, reporter: Reporter, *, trained: bool = False) -> None:
    """Say which one is not used, and how it would be, where there is one unseen.

    That is by the rules, or by a model that was `trained` before.
    """
    if season is not None and trained:
        reporter.note(
            f"the model knows no season, all values show one of {season} steps; train again to use "
            "it"
        )
    elif season is not None:
        reporter.note(
            f"no season is used: all values show one of {season} steps, what is not held out not "
            f"clearly enough; pass --season {season}"
        )
