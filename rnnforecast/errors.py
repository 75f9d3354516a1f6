"""Every failure a user can cause or must know of, each with its exit code.

RnnForecastError      1
├── OutputError       1    a file or stream that cannot be written to
├── ConfigError       2    a setting that cannot be used
├── DataError         3    a file that cannot be read as series, or series that cannot be used
├── ArtifactError     4    a model file that is missing, unreadable or incompatible
├── TrainingError     5    training that diverged
├── GateError         6    a metric that is not as good as was asked for
└── LockedError      75    another run is writing to the same directory

A message is one line: what is wrong, where (file, line, column, series), and the remedy.
"""


class RnnForecastError(Exception):
    exit_code = 1


class OutputError(RnnForecastError):
    exit_code = 1


class ConfigError(RnnForecastError):
    exit_code = 2


class DataError(RnnForecastError):
    exit_code = 3


class ArtifactError(RnnForecastError):
    exit_code = 4


class TrainingError(RnnForecastError):
    exit_code = 5


class GateError(RnnForecastError):
    exit_code = 6


class LockedError(RnnForecastError):
    exit_code = 75
