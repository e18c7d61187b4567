"""edge-seq cross-validate: one run for each fold by group, repeated with other folds, and scores over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_seq.data.recording import Windows
from edge_seq.data.window_file import load_windows
from edge_seq.ir.model import FloatModel
from edge_seq.pipeline.config import RunConfig
from edge_seq.pipeline.logits import probabilities_of
from edge_seq.pipeline.prepare import split_note, with_split_of_source
from edge_seq.scores import words
from edge_seq.scores.evaluation import SplitNote
from edge_seq.scores.metrics import Metrics, evaluate_predictions
from edge_seq.scores.paired import PairedScores, confusion_by_group, paired_scores
from edge_seq.support.display import ShownAsTables, Table
from edge_seq.support.errors import ConfigError, DataError, ToolError
from edge_seq.support.figure_text import percent
from edge_seq.support.json_tables import save_json
from edge_seq.support.results import Result, written
from edge_seq.training.others.baselines import aeon_is_here
from edge_seq.workflow.evaluate import sklearn_version
from edge_seq.workflow.folder import (
    RunFolder,
    check_can_hold_runs,
    load_learnt_windows,
    load_run_float,
    load_run_int,
    open_run,
)
from edge_seq.workflow.quantize import quantize_run
from edge_seq.workflow.train import train_run

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Spread(Result):
    """Mean and standard deviation of a score over repeats; a single repeat has no deviation."""

    mean: float
    standard_deviation: float | None

    def text(self) -> str:
        """Format the mean, and the deviation if there is one."""
        spread = self.standard_deviation
        return percent(self.mean) + ("" if spread is None else f" +- {percent(spread)} over repeats")


@dataclass(frozen=True)
class ScoreSummary(Result):
    """Scores over all repeats."""

    accuracy: Spread
    balanced_accuracy: Spread
    macro_f1: Spread

    def text(self) -> str:
        """Format the scores in one line."""
        return ", ".join(f"{name} {getattr(self, field).text()}" for field, name in words.WINDOW_SCORES.items())


@dataclass(frozen=True)
class ValidatedModel(Result):
    """Scores of one classifier.

    Attributes:
        repeats: scores of each repeat, from the windows of all its folds.
        summary: mean and standard deviation over the repeats.
    """

    repeats: tuple[Metrics, ...]
    summary: ScoreSummary


@dataclass(frozen=True)
class ValidatedConfig(Result):
    """Scores of the models of one configuration."""

    float_model: ValidatedModel = field(metadata=written("float"))
    int_model: ValidatedModel = field(metadata=written("int"))


@dataclass(frozen=True)
class Difference(Result):
    """Differences of the scores of two classifiers on the same windows.

    Attributes:
        better: name of the classifier that counts positive.
        than: name of the other classifier.
        scores: differences of the scores.
    """

    better: str
    than: str
    scores: PairedScores = field(metadata=written(inline=True))


@dataclass(frozen=True, kw_only=True)
class CrossValidation(Result, ShownAsTables):
    """Scores of a configuration by cross-validation over groups.

    Attributes:
        folds: number of folds.
        repeats: number of cross-validations with other folds.
        note: kind of split, ``group`` or ``time_blocks``, with a warning where the evidence is weaker.
        models: scores of the configuration.
        random_forest: scores of the random forest on the same folds; None if it was not asked for.
        minirocket: scores of MiniRocket on the same folds; likewise.
        against: scores of the second configuration on the same folds; None if there is none.
        differences: the configuration less each of the other classifiers; None if there is none.
    """

    folds: int
    repeats: int
    note: SplitNote = field(metadata=written(inline=True))
    models: ValidatedConfig = field(metadata=written(inline=True))
    random_forest: ValidatedModel | None = field(default=None, metadata=written(unless_none=True))
    minirocket: ValidatedModel | None = field(default=None, metadata=written(unless_none=True))
    against: ValidatedConfig | None = field(default=None, metadata=written(unless_none=True))
    differences: tuple[Difference, ...] | None = field(default=None, metadata=written(unless_none=True))

    def classifiers(self) -> dict[str, ValidatedModel]:
        """Scores by the name of the classifier, for people."""
        found = {words.FLOAT_MODEL: self.models.float_model, words.INT_MODEL: self.models.int_model}
        if self.random_forest is not None:
            found[words.RANDOM_FOREST] = self.random_forest
        if self.minirocket is not None:
            found[words.MINIROCKET] = self.minirocket
        if self.against is not None:
            found[AGAINST_FLOAT], found[AGAINST_INT] = self.against.float_model, self.against.int_model
        return found

    def tables(self) -> Sequence[Table]:
        """Scores of each repeat, and differences if there are any."""
        rows = [
            [f"{name}, repeat {number}", *map(str, one.window_scores)]
            for name, model in self.classifiers().items()
            for number, one in enumerate(model.repeats, start=1)
        ]
        tables = [Table(f"{self.folds} folds by {self._units}", ["", *words.WINDOW_SCORES.values()], rows)]
        if self.differences is not None:
            less = [
                [f"{one.better} less {one.than}", one.scores.accuracy.text(), one.scores.macro_f1.text()]
                for one in self.differences
            ]
            units = "groups" if self.note.split == "group" else "blocks"
            title = f"differences on the same windows, mean over repeats (95 % intervals over {units})"
            tables.append(Table(title, ["", words.ACCURACY, words.MACRO_F1], less))
        return tables

    @property
    def _units(self) -> str:
        return "group" if self.note.split == "group" else "blocks of time"

    def warned(self) -> str | None:
        """Warning of the split, if there is one."""
        return self.note.warning


_CLASSIFIERS = (words.RANDOM_FOREST, words.MINIROCKET)
AGAINST_FLOAT, AGAINST_INT = f"second {words.FLOAT_MODEL}", f"second {words.INT_MODEL}"


@dataclass(frozen=True)
class _Repeat:
    """Probabilities float64 [B, K] of each classifier on the test windows of all folds of a repeat.

    Labels are int16 [B], groups str [B].
    """

    labels: NDArray[np.int16]
    groups: NDArray[np.str_]
    probabilities: Mapping[str, NDArray[np.float64]]


def cross_validate(
    path: Path,
    config: RunConfig,
    *,
    folds: int = 5,
    repeats: int = 1,
    against: RunConfig | None = None,
    forest: bool = False,
    minirocket: bool = False,
    progress: Progress = lambda *_: None,
) -> CrossValidation:
    """Train and quantize every fold of every repeat, and score the predictions of a repeat together.

    Where the configuration or its data source asks for blocks of time (``split = "time_blocks"``), folds are blocks of
    time; the result then has a warning that this is weaker evidence.

    Each fold is a run in ``path/repeat_<r>/fold_<k>``, so that an interrupted cross-validation resumes. Runs of the
    second configuration are in ``path/against``. Repeat r takes ``split_seed + r`` for the folds and
    ``training.seed + r`` for the training. A test part that the data source gives stays untouched.

    Args:
        path: folder for the runs and ``cross_validation.json``.
        config: configuration of every run, except for seeds and folds.
        folds: number of parts by group, at least 2.
        repeats: number of cross-validations with other folds, at least 1.
        against: second configuration, for the same windows. It is trained on the same folds, and the differences of
            the scores are given.
        forest: also score the random forest on the same folds, with the differences from it.
        minirocket: also score MiniRocket, likewise.
        progress: called with runs done, runs in all, and what is being done.

    Returns:
        The scores, which are also written to cross_validation.json. Intervals are 95 %, from resampling groups.

    Raises:
        ConfigError: folds or repeats are out of range, a split is neither by group nor by time, a training would
            begin with a trained model, or another classifier is asked for beside one class.
        DataError: the second configuration has other windows, or as the steps say.
        ToolError: the package of a classifier that is asked for is not installed, or as the steps say.
        ContractError, ModelError: as the steps say.
    """
    if folds < 2 or repeats < 1:
        raise ConfigError(f"cross-validation: {folds} folds, {repeats} repeats; give at least 2 folds and 1 repeat")
    config = with_split_of_source(config)
    others = [name for name, wanted in zip(_CLASSIFIERS, (forest, minirocket), strict=True) if wanted]
    configs = {path: config} if against is None else {path: config, path / "against": with_split_of_source(against)}
    for one in configs.values():
        if one.data.split not in ("group", "time_blocks"):
            raise ConfigError(
                f"cross-validation: split is {one.data.split!r}; folds are by group or by blocks of time, so leave "
                "data.split out or set it to time_blocks"
            )
        if others and one.data.one_class is not None:
            raise ConfigError(
                "cross-validation: other classifiers learn all classes, but data.one_class learns one alone; leave "
                "--forest and --minirocket out"
            )
        for key, other in (("start_from", one.start_from), ("teacher", one.teacher)):
            if other is not None:
                raise ConfigError(
                    f"cross-validation: {key} is {other!r}, a model that has learnt from recordings of every fold, so "
                    "that the scores would be too good; leave it out"
                )
    if forest and sklearn_version() is None:
        raise ToolError(
            "cross-validate --forest needs scikit-learn, which is not installed; pip install 'edge-seq[data]'"
        )
    if minirocket and not aeon_is_here():
        raise ToolError(
            "cross-validate --minirocket needs aeon, which is not installed; pip install 'edge-seq[rocket]'"
        )
    check_can_hold_runs(path, doing="cross-validation")
    made: list[_Repeat] = []
    names: tuple[str, ...] = ()
    done, total = 0, folds * repeats * len(configs)
    for repeat in range(repeats):
        parts: list[_Repeat] = []
        for fold in range(1, folds + 1):
            runs = []
            for place, one in configs.items():
                progress(done, total, f"repeat {repeat + 1}, fold {fold}")
                folder = place / f"repeat_{repeat + 1}" / f"fold_{fold}"
                train_run(folder, _config_of(one, config, folds, fold, repeat))
                quantize_run(open_run(folder))
                runs.append(open_run(folder))
                done += 1
            names = load_run_float(runs[0]).labels
            parts.append(_predict(runs, others, seed=config.training.seed + repeat))
        made.append(_pool(parts))
    progress(total, total, "done")
    result = _score(made, names, folds=folds, seed=config.training.seed, note=split_note(config))
    save_json(path / "cross_validation.json", result)
    return result


def _config_of(config: RunConfig, folds_of: RunConfig, folds: int, fold: int, repeat: int) -> RunConfig:
    """Configuration of one run; the folds are those of ``folds_of``."""
    data = {"folds": folds, "fold": fold, "split_seed": folds_of.data.split_seed + repeat}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=data),
            "training": config.training.model_copy(update={"seed": config.training.seed + repeat}),
        }
    )


def _predict(runs: Sequence[RunFolder], others: Sequence[str], *, seed: int) -> _Repeat:
    """Predict the test windows of one fold, by the models of one or two configurations and by other classifiers.

    Raises:
        DataError: the second configuration has other windows.
        ToolError: the windows are too short for a classifier.
    """
    from edge_seq.training.others.baselines import minirocket_baseline, random_forest_baseline

    model, windows = _test_of(runs[0])
    found = {
        words.FLOAT_MODEL: probabilities_of(model, windows.counts),
        words.INT_MODEL: probabilities_of(load_run_int(runs[0]), windows.counts),
    }
    for run in runs[1:]:
        other, of_other = _test_of(run)
        same = np.array_equal(windows.labels, of_other.labels) and np.array_equal(windows.groups, of_other.groups)
        if not same or model.labels != other.labels:
            raise DataError(
                f"comparing cross-validations: {run.path} has {len(of_other.labels)} test windows of "
                f"{len(set(of_other.groups.tolist()))} groups, {runs[0].path} has {len(windows.labels)} of "
                f"{len(set(windows.groups.tolist()))}, and they must have the same labels in the same order; give "
                "--against a configuration of the same data"
            )
        found[AGAINST_FLOAT] = probabilities_of(other, of_other.counts)
        found[AGAINST_INT] = probabilities_of(load_run_int(run), of_other.counts)
    if others:
        train = load_learnt_windows(runs[0], num_classes=model.num_classes)
        baselines = {words.RANDOM_FOREST: random_forest_baseline, words.MINIROCKET: minirocket_baseline}
        for name in others:
            found[name] = baselines[name](train, windows, model.contract, model.num_classes, seed=seed)
    return _Repeat(windows.labels, windows.groups, found)


def _test_of(run: RunFolder) -> tuple[FloatModel, Windows]:
    model = load_run_float(run)
    return model, load_windows(run.windows("test"), num_classes=model.num_classes)


def _pool(parts: Sequence[_Repeat]) -> _Repeat:
    """Put the folds of a repeat together."""
    return _Repeat(
        labels=np.concatenate([one.labels for one in parts]),
        groups=np.concatenate([one.groups for one in parts]),
        probabilities={
            name: np.concatenate([one.probabilities[name] for one in parts]) for name in parts[0].probabilities
        },
    )


def _score(
    made: Sequence[_Repeat], labels: tuple[str, ...], *, folds: int, seed: int, note: SplitNote
) -> CrossValidation:
    def model(name: str) -> ValidatedModel:
        found = [
            evaluate_predictions(one.labels, one.probabilities[name], one.groups, label_names=labels, seed=seed)
            for one in made
        ]
        return ValidatedModel(tuple(found), _summary(found))

    def confusions(name: str) -> NDArray[np.int64]:
        """Confusion matrices int64 [G, R, K, K]; every repeat has the same groups."""
        found = [
            confusion_by_group(one.labels, one.probabilities[name].argmax(axis=1), one.groups, len(labels))
            for one in made
        ]
        return np.stack(found, axis=1)

    there = made[0].probabilities
    pairs = [
        *((own, other) for other in _CLASSIFIERS for own in (words.FLOAT_MODEL, words.INT_MODEL)),
        (words.FLOAT_MODEL, AGAINST_FLOAT),
        (words.INT_MODEL, AGAINST_INT),
    ]
    differences = tuple(
        Difference(better, than, paired_scores(confusions(better), confusions(than)))
        for better, than in pairs
        if than in there
    )
    return CrossValidation(
        folds=folds,
        repeats=len(made),
        note=note,
        models=ValidatedConfig(model(words.FLOAT_MODEL), model(words.INT_MODEL)),
        random_forest=model(words.RANDOM_FOREST) if words.RANDOM_FOREST in there else None,
        minirocket=model(words.MINIROCKET) if words.MINIROCKET in there else None,
        against=ValidatedConfig(model(AGAINST_FLOAT), model(AGAINST_INT)) if AGAINST_INT in there else None,
        differences=differences or None,
    )


def _summary(repeats: Sequence[Metrics]) -> ScoreSummary:
    """Mean and standard deviation of each score over the repeats."""

    def spread(values: Sequence[float]) -> Spread:
        return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)

    return ScoreSummary(**{name: spread([getattr(one, name).value for one in repeats]) for name in words.WINDOW_SCORES})
