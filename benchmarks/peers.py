"""Other programs on the sets of `matrix.py`, each in a process of its own.

    python peers.py train PROGRAM MODEL OPTIONS SEED DIRECTORY
    python peers.py forecast PROGRAM MODEL OPTIONS SEED DIRECTORY

This runs in an environment that has `peers-requirements.txt` and need not have rnnforecast. The
directory holds `task.npz`, see `Task`. `train` leaves a model in it, fitted once on what comes
before every cutoff, and the number of its weights; `forecast` leaves `forecasts.npy`
[window, step], each row from what lies before its cutoff. Only the first is measured.

- neuralforecast, LSTM and GRU, on every set; what is known ahead is read as `futr_exog_list`.
- darts, BlockRNNModel with RevIN, LSTM and GRU, on every set. It reads past covariates alone, so
  that what is known ahead goes in a horizon early.
- gluonts, DeepAR, on m4-hourly alone: it is recursive and samples, so that rolling sets would take
  hours, and on the one measured it is far behind.
- statsforecast: the seasonal naive on every set; AutoETS and AutoTheta where series are few or
  short enough for a fit at every cutoff.

Settings are the best of those tried before, else like them: each window on a scale of its own, an
absolute loss, for a median (of darts a squared one where MSE is scored, and on passengers), and a
lookback of some horizons or of a week; very skewed sales as logarithms. Covariates are on the scale
of the training part; gaps are filled with the last value before.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Windows that are forecast at once.
CHUNK = 4096


class Task(NamedTuple):
    """Series, and the windows of them that are to be forecast, as `matrix.py` writes them.

    Attributes:
        values: Of all series, one after the other, NaN where missing [total].
        offsets: Series `i` is `values[offsets[i]:offsets[i + 1]]` [series + 1].
        trained: How many values of each series may be trained on [series].
        series: The series of each window [window].
        cutoffs: The place in its series of the first value to forecast [window].
        features: What is known ahead beside the values, as numbers [total, feature].
        horizon: Steps to forecast.
        season: Steps in a season.
    """

    values: np.ndarray
    offsets: np.ndarray
    trained: np.ndarray
    series: np.ndarray
    cutoffs: np.ndarray
    features: np.ndarray
    horizon: int
    season: int

    @classmethod
    def load(cls, directory: Path) -> Task:
        """From `task.npz`."""
        with np.load(directory / "task.npz") as file:
            arrays = {name: file[name] for name in cls._fields}
        arrays |= {name: int(arrays[name]) for name in ("horizon", "season")}
        return cls(**arrays)

    def prepared(self, log: bool) -> Task:
        """With gaps filled, as logarithms if asked, and features on the scale of training."""
        place = np.arange(len(self.values))
        filled = self.values[np.maximum.accumulate(np.where(np.isnan(self.values), 0, place))]
        place = place - np.repeat(self.offsets[:-1], np.diff(self.offsets))
        known = self.features[place < np.repeat(self.trained, np.diff(self.offsets))]
        spread = known.std(axis=0)
        features = (self.features - known.mean(axis=0)) / np.where(spread > 0, spread, 1)
        # Coarse enough that a constant's mean in float32 is itself: neuralforecast scales windows
        # of covariates, and would take what is rounded off for their deviation.
        features = np.round(64 * features) / 64
        return self._replace(values=np.log(filled) if log else filled, features=features)

    def chunks(self) -> Iterator[range]:
        """The windows, some at a time."""
        for first in range(0, len(self.series), CHUNK):
            yield range(first, min(first + CHUNK, len(self.series)))

    def place(self, window: int) -> int:
        """The place in `values` of the cutoff of a window."""
        return int(self.offsets[self.series[window]] + self.cutoffs[window])

    def parts(self) -> list[slice]:
        """What may be trained on of each series, as places in `values`."""
        starts = self.offsets[:-1].tolist()
        return [slice(a, a + n) for a, n in zip(starts, self.trained.tolist(), strict=True)]


QUIET = {"enable_progress_bar": False, "logger": False, "enable_model_summary": False}
QUIET |= {"enable_checkpointing": False, "accelerator": "cpu"}


def nixtla_frame(task: Task, parts: list[slice], names: list[str], ahead: bool = False) -> Any:
    """These places of `values` as series of steps 0, 1, ..., with or without what is known ahead.

    The steps that are `ahead` go on from a lookback, and have no values.
    """
    import pandas as pd

    lengths = [part.stop - part.start for part in parts]
    frame = pd.DataFrame(
        np.concatenate([task.features[part] for part in parts]).astype(np.float32), columns=names
    )
    frame.insert(0, "unique_id", np.repeat(np.arange(len(parts)), lengths))
    frame.insert(1, "ds", np.concatenate([np.arange(length) for length in lengths]))
    if not ahead:
        frame.insert(2, "y", np.concatenate([task.values[part] for part in parts]))
    return frame


def neuralforecast_train(
    task: Task, model: str, options: dict[str, Any], seed: int, directory: Path
) -> int:
    """Fit, store, and count the weights."""
    from neuralforecast import NeuralForecast, models

    names = [f"x{number}" for number in range(task.features.shape[1])]
    network = getattr(models, model)(
        h=task.horizon,
        random_seed=seed,
        futr_exog_list=names,
        alias="peer",
        **options,
        **QUIET,
    )
    fitted = NeuralForecast([network], freq=1)
    fitted.fit(nixtla_frame(task, task.parts(), names))
    fitted.save(str(directory / "model"), save_dataset=False, overwrite=True)
    return sum(weights.numel() for weights in network.parameters())


def neuralforecast_forecast(
    task: Task, model: str, options: dict[str, Any], directory: Path
) -> Any:
    """Each window as a series of its own, as long as the network reads."""
    from neuralforecast import NeuralForecast

    fitted = NeuralForecast.load(str(directory / "model"))
    names, read = list(fitted.models[0].futr_exog_list), options["input_size"]
    forecasts = []
    for windows in task.chunks():
        places = [task.place(window) for window in windows]
        lookbacks = [slice(place - read, place) for place in places]
        ahead = [slice(place, place + task.horizon) for place in places]
        future = nixtla_frame(task, ahead, names, ahead=True).assign(ds=lambda it: it["ds"] + read)
        frame = fitted.predict(
            nixtla_frame(task, lookbacks, names), futr_df=future if names else None
        )
        forecasts.append(frame["peer"].to_numpy().reshape(-1, task.horizon))
    return np.concatenate(forecasts)


def darts_series(task: Task, parts: list[slice]) -> dict[str, Any]:
    """These places of `values`, and what is known a horizon after each as past covariates."""
    from darts import TimeSeries

    def series(values: np.ndarray) -> Any:
        return TimeSeries.from_values(values.astype(np.float32))

    given = {"series": [series(task.values[part]) for part in parts]}
    if task.features.shape[1]:
        early = np.roll(task.features, -task.horizon, axis=0)
        given["past_covariates"] = [series(early[part]) for part in parts]
    return given


def darts_train(task: Task, model: str, options: dict[str, Any], seed: int, directory: Path) -> int:
    """Fit, store, and count the weights."""
    from darts.models import BlockRNNModel
    from torch.nn import L1Loss, MSELoss

    options = dict(options)
    trainer = {"max_steps": options.pop("max_steps"), **QUIET}
    loss = MSELoss() if options.pop("squared") else L1Loss()
    network = BlockRNNModel(
        model=model,
        output_chunk_length=task.horizon,
        use_reversible_instance_norm=True,
        loss_fn=loss,
        n_epochs=10_000,
        random_state=seed,
        pl_trainer_kwargs=trainer,
        **options,
    )
    network.fit(**darts_series(task, task.parts()))
    network.save(str(directory / "model"))
    return sum(weights.numel() for weights in network.model.parameters())


def darts_forecast(task: Task, model: str, options: dict[str, Any], directory: Path) -> Any:
    """Each window as a series of its own, as long as the network reads."""
    from darts.models import BlockRNNModel

    network, read = BlockRNNModel.load(str(directory / "model")), options["input_chunk_length"]
    forecasts = []
    for windows in task.chunks():
        lookbacks = [slice(task.place(window) - read, task.place(window)) for window in windows]
        found = network.predict(task.horizon, **darts_series(task, lookbacks), verbose=False)
        forecasts.extend(each.values()[:, 0] for each in found)
    return np.stack(forecasts)


def gluonts_series(task: Task, parts: list[slice]) -> Any:
    """These places of `values` as hourly series."""
    from gluonts.dataset.common import ListDataset

    rows = [{"start": "2020-01-01", "target": task.values[part]} for part in parts]
    return ListDataset(rows, freq="h")


def gluonts_train(
    task: Task, model: str, options: dict[str, Any], seed: int, directory: Path
) -> int:
    """Fit, store, and count the weights."""
    from gluonts.torch import DeepAREstimator
    from lightning import seed_everything

    seed_everything(seed)
    trainer = QUIET | {"enable_checkpointing": True, "default_root_dir": str(directory), **options}
    estimator = DeepAREstimator("h", task.horizon, trainer_kwargs=trainer)
    predictor = estimator.train(gluonts_series(task, task.parts()))
    (directory / "model").mkdir()
    predictor.serialize(directory / "model")
    return sum(weights.numel() for weights in predictor.prediction_net.parameters())


def gluonts_forecast(task: Task, model: str, options: dict[str, Any], directory: Path) -> Any:
    """The medians of samples."""
    from gluonts.model.predictor import Predictor

    predictor = Predictor.deserialize(directory / "model")
    starts = task.offsets[task.series].tolist()
    parts = [slice(start, task.place(window)) for window, start in enumerate(starts)]
    found = predictor.predict(gluonts_series(task, parts))
    return np.stack([each.quantile(0.5) for each in found])


def statsforecast_train(
    task: Task, model: str, options: dict[str, Any], seed: int, directory: Path
) -> int:
    """Forecast from every cutoff; these have no weights to store, and what they fit is not told."""
    from statsforecast import models

    estimator = getattr(models, model)(season_length=task.season)
    forecasts = [
        estimator.forecast(
            y=task.values[task.offsets[series] : task.place(window)], h=task.horizon
        )["mean"]
        for window, series in enumerate(task.series)
    ]
    np.save(directory / "forecasts.npy", np.stack(forecasts))
    return 0


TRAIN: dict[str, Callable[..., int]] = {
    "neuralforecast": neuralforecast_train,
    "darts": darts_train,
    "gluonts": gluonts_train,
    "statsforecast": statsforecast_train,
}
FORECAST: dict[str, Callable[..., Any]] = {
    "neuralforecast": neuralforecast_forecast,
    "darts": darts_forecast,
    "gluonts": gluonts_forecast,
}


def main(stage: str, program: str, model: str, given: str, seed: str, place: str) -> None:
    """One stage of one program."""
    # These tell of what their own parts do, and a failure's reason is to be the last line.
    warnings.simplefilter("ignore")
    for name in ("lightning", "pytorch_lightning", "lightning.pytorch", "darts"):
        logging.getLogger(name).setLevel(logging.ERROR)
    directory, options = Path(place), json.loads(given)
    log = options.pop("log", False)
    task = Task.load(directory).prepared(log)
    if stage == "train":
        weights = TRAIN[program](task, model, options, int(seed), directory)
        (directory / "parameters").write_text(str(weights))
    elif program in FORECAST:
        forecasts = FORECAST[program](task, model, options, directory)
        np.save(directory / "forecasts.npy", np.exp(forecasts) if log else forecasts)


if __name__ == "__main__":
    main(*sys.argv[1:])
